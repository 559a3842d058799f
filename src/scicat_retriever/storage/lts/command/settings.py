"""Settings of the store that is spoken to by commands."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from scicat_retriever.storage.lts.paths.settings import AbsoluteFolder, AbsolutePath, TemplateText
from scicat_retriever.storage.lts.programs.archive_command import ArchiveCommand
from scicat_retriever.storage.lts.programs.expressions import compiled
from scicat_retriever.storage.lts.programs.template import CommandTemplate
from scicat_retriever.storage.lts.programs.words import ExitCode, StoreWords
from scicat_retriever.storage.lts.store_kind import StoreKeys

ONE_OR_MANY = frozenset({"archive_id", "path", "list_file", "paths_file"})
"""Names that may stand in braces in `state`, `recall`, `release` and `place`."""

_ANSWERING = frozenset({"state", "place"})
"""The commands whose answers for many begin with the archiveId."""

FETCH_FIELDS = frozenset({"archive_id", "path", "target"})
"""Names that may stand in braces in `fetch`."""


class CommandStoreSettings(StoreKeys):
    """A store that is reached by commands: `dsmc`, `hsi`, scripts of your own.

    In a command `{archive_id}` is the archiveId and `{path}` the path made of it. Where it takes many,
    `{list_file}` is the path of a list with an archiveId on each line, `{paths_file}` one with a path. No
    shell is between.
    """

    kind: Literal["command"] = Field(description="A store that is spoken to by commands.")
    state: tuple[str, ...] = Field(
        description="Says where an archive is; or, for many, prints a line for each: the archiveId, a tab, where it is."
    )
    words: StoreWords = Field(description="What `state` says means.")
    recall: tuple[str, ...] = Field(
        description="Asks for an archive, or for many. It may end at once or when the archive is there."
    )
    fetch: tuple[str, ...] = Field(
        description="Writes an archive to its stdout; or to `{target}`, where that is one of its arguments."
    )
    fetch_target: Literal["fifo", "file"] = Field(
        "fifo",
        description="What `{target}` is: a named pipe that is read while it is written, or, for programs that insist on "
        "making a file, the path of one that is not there yet, which takes the archive's size in `spool`.",
    )
    first_byte_timeout: PositiveFloat | None = Field(
        None,
        description="How long `fetch` may wait for the tape before it gives its first byte, or begins to write its file. Not "
        "set: `flow.stall_timeout`, as for any other read.",
    )
    release: tuple[str, ...] | None = Field(
        None, description="Tells that an archive, or many, need not be kept on disk any longer."
    )
    place: tuple[str, ...] | None = Field(
        None,
        description="Prints the tape and the position of an archive; for many a line for each: archiveId, tape, position, "
        "with tabs between.",
    )
    archive_ids: str = Field(
        r"[^\x00-\x1f\x7f]+",
        description="Regular expression that an archiveId must match as a whole, or it is refused. Make it narrow for "
        "programs that read their arguments as a language of their own, as `hsi` does.",
    )
    root: AbsolutePath | None = Field(
        None,
        description="What `{path}` begins with, absolute. Not set: `{path}` is relative, and absolute archiveIds are refused.",
    )
    path_template: TemplateText = Field(
        "{archive_id}",
        description="Path of an archive below `root`, from its archiveId; slices are allowed: `{archive_id[0:2]}/{archive_id}.tar`.",
    )
    catalogued_root: AbsolutePath | None = Field(
        None, description="What absolute archiveIds begin with in place of `root`."
    )
    accepted_exit_codes: tuple[ExitCode, ...] = Field(
        (),
        description="Exit codes beside 0 with which `fetch`, `recall`, `release`, and a `state` for many archives, have done "
        "their work: those of a warning, such as 4 and 8 of dsmc. What `fetch` gave is verified all the same.",
    )
    answer_timeout: PositiveFloat = Field(
        60.0, description="How long `state`, `release` and `place` may take for the archives of a batch."
    )
    answers_at_once: PositiveInt = Field(8, description="Most of those commands run at the same time.")
    recall_timeout: PositiveFloat = Field(86400.0, description="After how long `recall` is killed.")
    recall_requests: PositiveInt = Field(4, description="Most `recall` commands run at the same time.")
    ask_again_after: PositiveFloat = Field(
        21600.0,
        description="How long after a recall was asked for the archive counts as on its way though `state` says offline.",
    )
    command_environment: tuple[str, ...] = Field(
        (), description="Variables of the service's environment that commands see beside PATH and HOME."
    )
    spool: AbsoluteFolder | None = Field(
        None, description="Folder for lists and targets. Not set: the system's folder for temporary files."
    )
    batch: PositiveInt = Field(100, description="The most archives asked about in one call.")

    @field_validator("state", "recall", "fetch", "release", "place")
    @classmethod
    def _runnable(cls, value: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        if value is None:
            return None
        fields = FETCH_FIELDS if info.field_name == "fetch" else ONE_OR_MANY
        ArchiveCommand(value, fields)
        if info.field_name in _ANSWERING and CommandTemplate(value, fields).fields == {"paths_file"}:
            raise ValueError(
                "each line of the answer begins with an archiveId, which {paths_file} does not hold: add {list_file}"
            )
        return value

    @field_validator("archive_ids")
    @classmethod
    def _compiles(cls, value: str) -> str:
        compiled(value)
        return value

    @model_validator(mode="after")
    def _fetches_one(self) -> Self:
        if CommandTemplate(self.fetch, FETCH_FIELDS).fields == {"target"}:
            raise ValueError("`fetch` must name the archive: put {archive_id} or {path} into it")
        return self
