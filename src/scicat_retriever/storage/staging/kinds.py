"""The one table of staging areas: a new kind is a folder beside this module, and an entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from scicat_retriever.ports.staging_area import StagingArea
from scicat_retriever.storage.staging.directory.area import DirectoryStaging
from scicat_retriever.storage.staging.directory.settings import DirectoryStagingSettings
from scicat_retriever.storage.staging.s3.settings import S3StagingSettings


@dataclass(frozen=True, slots=True)
class StagingKind:
    """A kind of staging area.

    Attributes:
        open: Makes the area from its section of the settings. An S3 is asked whether the bucket is there.
        trusted_seconds: How long its marker is believed after it was read: to read one on a disk costs
            nothing, one in a bucket a request.
    """

    open: Callable[[Any], StagingArea]
    trusted_seconds: float


def _open_s3(settings: S3StagingSettings) -> StagingArea:
    # Deferred: boto3 takes most of a second to import.
    from scicat_retriever.storage.staging.s3.area import S3Staging

    return S3Staging(settings)


KINDS = {
    DirectoryStagingSettings: StagingKind(DirectoryStaging, trusted_seconds=0.0),
    S3StagingSettings: StagingKind(_open_s3, trusted_seconds=10.0),
}
"""All kinds, by their section of the settings; the first is the one where `kind` is not set."""


def _kind_of(section: object) -> object:
    if isinstance(section, dict):
        return section.get("kind", "directory")
    return getattr(section, "kind", None)


StagingSettings = Annotated[
    Annotated[DirectoryStagingSettings, Tag("directory")] | Annotated[S3StagingSettings, Tag("s3")],
    Discriminator(_kind_of),
]
"""The section of a staging area; its key `kind` tells of which kind the area is."""


def staging_kind(settings: StagingSettings) -> StagingKind:
    """Give the kind of the staging area that a section of the settings describes."""
    return KINDS[type(settings)]
