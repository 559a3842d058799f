"""The sections of the settings that belong to no single adapter. Durations are seconds, sizes are bytes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)

from scicat_retriever.domain.secret_text import SHORTEST_KEY, is_placeholder
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.errors import UnknownChecksumAlgorithm
from scicat_retriever.ports.space import EvictionOrder
from scicat_retriever.section import Section

DAY = 86400.0
Seconds = Annotated[float, Field(gt=0, le=3650 * DAY)]
Interval = Annotated[float, Field(ge=1, le=3650 * DAY)]
"""Seconds between two runs of a schedule; the engine takes no shorter ones."""


def _no_placeholder(value: SecretStr) -> SecretStr:
    if is_placeholder(value.get_secret_value()):
        raise ValueError(
            "is an example of the documentation, which everybody knows: make one with `openssl rand -hex 32`"
        )
    return value


SigningKey = Annotated[SecretStr, Field(min_length=SHORTEST_KEY), AfterValidator(_no_placeholder)]
"""A key that signs or seals something."""


class EngineSettings(Section):
    """The workflow engine (Temporal)."""

    address: str | None = Field(
        None,
        pattern=r"^[^\s/:]+:\d+$",
        description="`host:port` of an existing Temporal. Without it `retriever serve` runs an engine of its own.",
    )
    namespace: str = Field("default", description="Temporal namespace.")
    task_queue: str = Field("retriever", description="Prefix of the task queues' names.")
    tls: bool = Field(False, description="Whether to speak TLS to the engine.")
    api_key: SecretStr | None = Field(None, description="API key for the engine, if it asks for one.")
    keys: tuple[SigningKey, ...] = Field(
        (),
        description="Keys that seal all that the engine is given, so that nobody else who reaches it is believed; the same "
        "for all processes. The first seals, all open: several allow changing one while flows run. Without it one is made "
        "and kept in the data folder.",
    )
    port: int = Field(0, ge=0, le=65535, description="Port of the service's own engine; 0 takes a free one.")
    ui_port: int | None = Field(
        None, ge=0, le=65535, description="Port of the own engine's web page; without it there is no page."
    )


class LedgerSettings(Section):
    """The database."""

    url: SecretStr | None = Field(
        None,
        description="`postgresql+psycopg://user:password@host/database`. Without it a SQLite file in the data folder.",
    )


class FlowSettings(Section):
    """How a retrieval runs: how much at once, how long to wait, and how to try again."""

    parallel_datasets: PositiveInt = Field(
        100,
        description="Datasets of one job that are retrieved at once: whose recalls can be put together. How much is read "
        "at once, `read_slots` says.",
    )
    parallel_datablocks: PositiveInt = Field(
        64,
        description="Datablocks of one dataset that wait or are copied at once; a batch of small ones counts as one.",
    )
    read_slots: PositiveInt = Field(
        4, description="Archives read from the long-term store at once, per worker."
    )
    verification_slots: PositiveInt = Field(1, description="Datasets verified at once, per worker.")
    missing_checksum: Literal["fail", "size_only"] = Field(
        "fail",
        description="What to do with files that the catalogue has no checksum of: fail, or compare sizes alone and "
        "say so in the result.",
    )
    unnamed_algorithm: str | None = Field(
        None, description="Checksum algorithm of datablocks that have checksums and no `chkAlg`."
    )
    check_packed_size: bool = Field(
        True,
        description="Whether an archive must have exactly the size that the catalogue says (`packedSize`). Its files "
        "are compared in any case.",
    )
    check_declared_sums: bool = Field(
        False,
        description="Whether a dataset fails that declares more files or bytes (`numberOfFilesArchived`, `packedSize`) than "
        "its datablocks hold, although SciCat shows all of them. Else the job's result says that the sums differ.",
    )
    duplicate_members: Literal["refuse", "last"] = Field(
        "refuse",
        description="What to do with an archive that holds a file twice, as `tar -r` makes them: refuse it, or take the last "
        "one of a path, which is what unpacking leaves, and compare that with the catalogue.",
    )
    joined_tars: Literal["refuse", "read"] = Field(
        "refuse",
        description="What to do with several tars one after the other in one archive, as `cat a.tar b.tar` makes them: refuse "
        "it, or read them all. Whoever downloads it has to unpack it with `tar --ignore-zeros`: without that, the first one "
        "alone is unpacked.",
    )
    gnu_incremental: Literal["refuse", "take"] = Field(
        "refuse",
        description="What to do with archives of `tar --incremental` in GNU tar's own format: refuse them, since Python's "
        "`tarfile` unpacks them in other places without a word, or take them, and have them unpacked with GNU tar or bsdtar.",
    )
    pass_over: tuple[str, ...] = Field(
        (),
        description="Patterns of members that archives may hold although they are not catalogued, such as an archiver's own "
        "list: `*`, `?`, `[...]` as in a shell. Without a `/`: of a name in any folder; with one: of the whole path; with one "
        "at the beginning: of a path that begins so. How many were passed over, the result says.",
    )
    catalogue_timeout: Seconds = Field(1 * DAY, description="How long reading from SciCat is tried again.")
    report_timeout: Seconds = Field(
        14 * DAY,
        description="How long telling SciCat is tried again; after that it is parked until an operator asks for it.",
    )
    undeliverable_kept: Seconds = Field(
        30 * DAY,
        description="How long a report is kept that SciCat can never take, since its job or dataset was deleted there; "
        "then it is dropped, with a row of the ledger that says so.",
    )
    space_timeout: Seconds = Field(
        14 * DAY,
        description="How long a job waits for staging space. Shorter than `links.retention`, it may give up before what "
        "is pinned goes.",
    )
    appear_timeout: Seconds = Field(
        600.0, description="How long to look for an archive that the long-term store does not have."
    )
    recall_timeout: Seconds = Field(
        2 * DAY,
        description="How long a recall from tape may take, from the moment when the store was asked for it first, or its "
        "store be away before that. What waits for its turn waits as long as the job may.",
    )
    stall_timeout: Seconds = Field(
        300.0, description="How long a read may give no byte, or a write take none."
    )
    transfer_timeout: Seconds = Field(1 * DAY, description="How long copying one datablock may take in all.")
    transfer_attempts: PositiveInt = Field(
        4, description="How often a copy is tried that fails by an I/O error."
    )
    job_timeout: Seconds = Field(30 * DAY, description="How long a whole job may take.")
    reconcile_interval: Interval = Field(
        60.0,
        description="How often open jobs in SciCat are compared with the ledger, and the ledger's with the engine's "
        "flows: a job that the service was not told of is found after at most two such times.",
    )
    backoff_initial: Seconds = Field(1.0, description="Pause before the first repetition.")
    backoff_maximum: Seconds = Field(300.0, description="Longest pause between repetitions.")
    poll_initial: Seconds = Field(1.0, description="Pause before asking again for a recall or for space.")
    poll_maximum: Seconds = Field(120.0, description="Longest pause between such questions.")

    @field_validator("pass_over")
    @classmethod
    def _leaves_something(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not pattern.strip("*/. ") for pattern in value):
            raise ValueError("a pattern of `pass_over` must not be empty or fit every name")
        return value

    @field_validator("unnamed_algorithm")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        try:
            return None if value is None else ChecksumAlgorithm.named(value)
        except UnknownChecksumAlgorithm as unknown:
            raise ValueError(f"{unknown}; known are {', '.join(ChecksumAlgorithm)}") from None


class LinkSettings(Section):
    """Download links."""

    lifetime: Seconds = Field(7 * DAY, description="How long a link is valid.")
    retention: Seconds = Field(
        8 * DAY,
        description="How long the datasets of an ended job are pinned: not removed whatever happens. Not shorter than a "
        "link's lifetime. Without a pin they stay until their space is needed (`cache`).",
    )
    secret: SigningKey | None = Field(
        None,
        description="Key that signs the links, the same for all processes. Without it one is made and kept in the data folder.",
    )
    former_secrets: tuple[SigningKey, ...] = Field(
        (),
        description="Keys that signed links before `secret`: these links stay valid. Remove one when the links of its time "
        "have expired, `lifetime` after the change.",
    )

    @model_validator(mode="after")
    def _files_outlive_their_links(self) -> Self:
        if self.retention < self.lifetime:
            raise ValueError(
                "`retention` must not be shorter than `lifetime`: links would outlive their files"
            )
        return self


class CacheSettings(Section):
    """How staging is used as a cache: what nobody pins stays there until its space is needed."""

    order: EvictionOrder = Field(
        EvictionOrder.LEAST_RECENTLY_USED, description="Which of the datablocks that nobody pins go first."
    )
    evict_above: float = Field(
        0.9, gt=0, le=1, description="Share of staging in use above which datablocks are evicted."
    )
    evict_to: float = Field(0.8, ge=0, le=1, description="Share in use down to which they are evicted.")
    spared: Seconds = Field(
        2 * 3600.0,
        description="How long a datablock is left alone that was downloaded or asked for. Not shorter than "
        "`staging.url_lifetime`, if staging is on S3.",
    )
    keep_unpinned: Seconds | None = Field(
        None,
        description="How long a datablock that nobody pins is kept at the most; without it, until its space is needed.",
    )
    quotas: dict[str, NonNegativeInt] = Field(
        {}, description="Bytes that jobs of an owner group may pin in all, by the group's name."
    )
    default_quota: NonNegativeInt | None = Field(
        None, description="The same for groups that `quotas` does not name; without it, any number."
    )
    tell_scicat: bool = Field(
        False,
        description="Whether SciCat is told when a dataset leaves staging: its `retrieveStatusMessage` becomes empty.",
    )
    sweep_interval: Interval = Field(
        300.0, description="How often pins that are over are ended, and datablocks evicted."
    )
    check_interval: Interval = Field(
        1 * DAY,
        description="How often the ledger is compared with the files in staging; also done at each start.",
    )
    fixity_interval: Seconds = Field(
        30 * DAY, description="After which time a staged datablock is read again and compared."
    )
    fixity_bytes_per_second: NonNegativeInt = Field(
        20_000_000, description="How fast staged datablocks are read again; 0: never."
    )

    @model_validator(mode="after")
    def _marks_are_in_order(self) -> Self:
        if self.evict_to > self.evict_above:
            raise ValueError("`evict_to` must not be above `evict_above`")
        return self
