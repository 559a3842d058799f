"""The settings of a mounted folder."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

from scicat_retriever.storage.lts.paths.settings import (
    AbsoluteFolder,
    AbsolutePath,
    PathBelowRoot,
    TemplateText,
)
from scicat_retriever.storage.lts.posix.probe import Probe
from scicat_retriever.storage.lts.programs.archive_command import ArchiveCommand
from scicat_retriever.storage.lts.programs.words import ExitCode
from scicat_retriever.storage.lts.store_kind import StoreKeys

RECALL_FIELDS = frozenset({"path", "paths_file"})
"""Names that may stand in braces in `recall_command`."""


class PosixShareSettings(StoreKeys):
    """A mounted folder that holds the archives, with or without an HSM behind it."""

    kind: Literal["posix"] = Field("posix", description="A mounted folder, with or without an HSM behind it.")
    root: AbsoluteFolder = Field(description="The folder; absolute. No archiveId leads out of it.")
    path_template: TemplateText = Field(
        "{archive_id}",
        description="Path of an archive below `root`, from its archiveId. Slices are allowed: "
        "`{archive_id[0:2]}/{archive_id}.tar`. An absolute archiveId is taken as the path itself.",
    )
    catalogued_root: AbsolutePath | None = Field(
        None,
        description="What absolute archiveIds begin with in place of `root`, where the machine that archived saw the "
        "folder under another name.",
    )
    must_exist: PathBelowRoot | None = Field(
        None,
        min_length=1,
        description="A file or folder below `root` that is there whenever the share is mounted. Without it an "
        "absent or empty `root` alone counts as not mounted.",
    )
    offline_by_blocks: bool = Field(
        True,
        description="Whether an archive with fewer blocks on disk than bytes is on tape. Set it to false on file "
        "systems that compress or deduplicate, and where no HSM is behind.",
    )
    settle_seconds: NonNegativeFloat = Field(
        0.0, description="How long an archive must have been left unchanged before it is read."
    )
    answer_timeout: PositiveFloat = Field(
        30.0, description="How long the share may take to say where the files of a batch are."
    )
    answer_threads: PositiveInt = Field(8, description="Such questions asked at the same time.")
    recall_requests: PositiveInt = Field(
        4,
        description="Reads, or recall commands, that may block at the same time so that the HSM recalls a file.",
    )
    probe: Probe | None = Field(
        None,
        discriminator="kind",
        description="How the HSM itself is asked where a file is; its word then counts in place of the blocks. "
        "See the how-to guide of this store.",
    )
    recall_command: tuple[str, ...] | None = Field(
        None,
        description="The command that asks the HSM for a file, `{path}` its absolute path; or for many, `{paths_file}` "
        "the path of a list with a path on each line. Not set: a byte is read.",
    )
    accepted_exit_codes: tuple[ExitCode, ...] = Field(
        (),
        description="Exit codes beside 0 with which `recall_command` has done its work: those of a warning.",
    )
    recall_timeout: PositiveFloat = Field(
        86400.0, description="After how long a recall command that has not ended is killed."
    )
    ask_again_after: PositiveFloat = Field(
        21600.0,
        description="How long after a recall was asked for the archive counts as on its way though nothing is to be seen.",
    )
    command_environment: tuple[str, ...] = Field(
        (), description="Variables of the service's environment that commands see beside PATH and HOME."
    )
    batch: PositiveInt = Field(100, description="The most archives asked about in one call.")

    @field_validator("recall_command")
    @classmethod
    def _runnable(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None:
            ArchiveCommand(value, RECALL_FIELDS)
        return value
