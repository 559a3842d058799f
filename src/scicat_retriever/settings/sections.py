"""The sections of the settings that belong to no single adapter. Durations are seconds, sizes are bytes."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from scicat_retriever.domain.backoff import Polling
from scicat_retriever.domain.policy import DAY, Seconds
from scicat_retriever.domain.secret_text import SHORTEST_KEY, is_placeholder
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.errors import UnknownChecksumAlgorithm
from scicat_retriever.pipeline.reports.patience import Patience
from scicat_retriever.pipeline.staging.fixity_pace import FixityPace
from scicat_retriever.pipeline.tools.archive_policy import ArchivePolicy
from scicat_retriever.pipeline.tools.cache_policy import CachePolicy
from scicat_retriever.pipeline.tools.checksum_policy import MOST_ALGORITHMS, ChecksumPolicy
from scicat_retriever.section import Section
from scicat_retriever.workflow.flows.choices import FlowChoices, WorkerSlots

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


# The keys of the last base come first, the own ones last: `undeliverable_kept` follows `report_timeout`.
class FlowSettings(Section, Patience, Polling, ArchivePolicy, ChecksumPolicy, WorkerSlots, FlowChoices):
    """How a retrieval runs: how much at once, how long to wait, and how to try again."""

    undeliverable_kept: Seconds = Field(
        30 * DAY,
        description="How long a report is kept that SciCat can never take, since its job or dataset was deleted there; "
        "then it is dropped, with a row of the ledger that says so.",
    )
    stall_timeout: Seconds = Field(
        300.0, description="How long a read may give no byte, or a write take none."
    )
    reconcile_interval: Interval = Field(
        60.0,
        description="How often open jobs in SciCat are compared with the ledger, and the ledger's with the engine's "
        "flows: a job that the service was not told of is found after at most two such times.",
    )

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

    @field_validator("also_hash")
    @classmethod
    def _each_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) > MOST_ALGORITHMS:
            raise ValueError(f"{MOST_ALGORITHMS} algorithms are the most")
        return tuple(filter(None, map(cls._known, value)))


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
    manifest_secret: SigningKey | None = Field(
        None,
        description="Key that signs the lists of retrieved files (`manifest.json`, `SHA256SUMS`), the same for all processes. "
        "Without it `retriever serve` makes one and keeps it in the data folder; an API that runs apart signs none.",
    )

    @model_validator(mode="after")
    def _files_outlive_their_links(self) -> Self:
        if self.retention < self.lifetime:
            raise ValueError(
                "`retention` must not be shorter than `lifetime`: links would outlive their files"
            )
        return self


class CacheSettings(Section, FixityPace, CachePolicy):
    """How staging is used as a cache: what nobody pins stays there until its space is needed."""

    sweep_interval: Interval = Field(
        300.0, description="How often pins that are over are ended, and datablocks evicted."
    )
    check_interval: Interval = Field(
        1 * DAY,
        description="How often the ledger is compared with the files in staging; also done at each start.",
    )
