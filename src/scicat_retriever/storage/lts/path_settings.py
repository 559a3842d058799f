"""Kinds of settings that several stores have: folders, and templates of paths."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, TypeVar

from pydantic import AfterValidator

from scicat_retriever.storage.lts.archive_path import PathTemplate

P = TypeVar("P", bound=PurePosixPath)


def _absolute(value: P) -> P:
    if not value.is_absolute() or ".." in value.parts:
        raise ValueError("must be an absolute path without '..'")
    return value


def _usable(value: str) -> str:
    PathTemplate(value)
    return value


AbsoluteFolder = Annotated[Path, AfterValidator(_absolute)]
"""A folder of this machine."""
AbsolutePath = Annotated[PurePosixPath, AfterValidator(_absolute)]
"""A path of another one."""
TemplateText = Annotated[str, AfterValidator(_usable)]
"""What `PathTemplate` takes."""
