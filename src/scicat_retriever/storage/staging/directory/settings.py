"""The settings of a staging area in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator

from scicat_retriever.section import Section


class DirectoryStagingSettings(Section):
    """A folder that holds the staged archives. Sizes are bytes."""

    kind: Literal["directory"] = Field("directory", description="A folder on a local or shared file system.")
    root: Path = Field(description="The folder; absolute. It is made if its parent is there.")
    keep_free_bytes: NonNegativeInt = Field(
        2**30, description="Bytes of the file system that are never filled."
    )
    keep_free_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the file system that is never filled, such as 0.05; the larger of the two counts.",
    )
    capacity_bytes: PositiveInt | None = Field(
        None, description="Most bytes that staging may take; without it, what the file system has."
    )

    @field_validator("root")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError("must be an absolute path")
        return value
