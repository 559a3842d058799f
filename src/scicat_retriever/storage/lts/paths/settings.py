"""Kinds of settings that several stores have: folders, paths, and templates of paths."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, TypeVar

from pydantic import AfterValidator

from scicat_retriever.storage.lts.paths.archive_path import PathTemplate

P = TypeVar("P", bound=PurePosixPath)


def _absolute(value: P) -> P:
    if not value.is_absolute() or ".." in value.parts:
        raise ValueError("must be an absolute path without '..'")
    return value


def _below(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("must be a path below `root`: not absolute, and without '..'")
    return value


def _usable(value: str) -> str:
    PathTemplate(value)
    return value


AbsoluteFolder = Annotated[Path, AfterValidator(_absolute)]
"""A folder of this machine."""
AbsolutePath = Annotated[PurePosixPath, AfterValidator(_absolute)]
"""A path of another one."""
PathBelowRoot = Annotated[str, AfterValidator(_below)]
"""A path that begins at the store's `root`, and does not lead out of it."""
TemplateText = Annotated[str, AfterValidator(_usable)]
"""The text of a `PathTemplate`."""
