"""The sections of the long-term stores: each adapter's own keys, and those that all have."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    model_validator,
)

from scicat_retriever.recall_planner.requests import RecallPolicy
from scicat_retriever.storage.lts.command.settings import CommandStoreSettings
from scicat_retriever.storage.lts.glacier.settings import S3GlacierSettings
from scicat_retriever.storage.lts.posix.store import PosixShareSettings
from scicat_retriever.storage.lts.programs.tape_places import TapeCommand, TapePattern
from scicat_retriever.storage.lts.wlcg.settings import WlcgTapeSettings


def _store_name(value: str) -> str:
    if re.fullmatch(r"[a-z0-9]+([_-][a-z0-9]+)*", value) is None:
        raise ValueError(
            "a store's name is of small letters and digits, with single hyphens or underscores between them"
        )
    return value


StoreName = Annotated[str, Field(max_length=60), AfterValidator(_store_name)]
"""The environment has no capitals, and takes two underscores for the next key."""
Seconds = Annotated[float, Field(ge=0, le=3650 * 86400.0)]
_POLICY = RecallPolicy()


class RecallSettings(BaseModel):
    """How recalls from one store are put together. Durations are seconds, sizes are bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    collect: bool | None = Field(
        None,
        description="Whether requests are collected until a tape is worth a mount. Without it: yes, but not for `s3_glacier`.",
    )
    drives: PositiveInt = Field(
        _POLICY.drives, description="Tapes that the store is asked to read from at once."
    )
    mount_bytes: PositiveInt = Field(
        _POLICY.mount_bytes, description="A tape is asked for once so much waits for it,"
    )
    mount_count: PositiveInt = Field(_POLICY.mount_count, description="or so many archives,")
    mount_age: Seconds = Field(
        _POLICY.mount_age, description="or one of them has waited so long. 0 collects nothing."
    )
    collect_time: Seconds = Field(
        _POLICY.collect_time, description="As `mount_age`, for archives of which no tape is known."
    )
    longest_wait: Seconds = Field(
        _POLICY.longest_wait,
        description="What has waited longer goes before all else, whatever the priorities and shares.",
    )
    linger: Seconds = Field(
        _POLICY.linger,
        description="How long the store leaves a tape in its drive when nothing is asked from it.",
    )
    stall_time: Seconds = Field(
        _POLICY.stall_time,
        description="After which a tape that gave nothing does not count for `drives` any more: it may be broken.",
    )
    longest_session: Seconds = Field(
        _POLICY.longest_session, description="After which a tape that is read makes way for others."
    )
    bytes_in_flight: PositiveInt = Field(
        _POLICY.bytes_in_flight, description="Most that is asked for, or online and not copied yet."
    )
    requests_in_flight: PositiveInt = Field(_POLICY.requests_in_flight, description="The same in archives.")
    requests_per_second: float | None = Field(
        None, gt=0, description="Most archives asked for per second, on average."
    )
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="Shares of owner groups of the drives; 1 for those that are not named."
    )

    @model_validator(mode="after")
    def _usable(self) -> RecallSettings:
        self.policy(collect=True)
        return self

    def policy(self, *, collect: bool) -> RecallPolicy:
        """Give them to the planner; `collect` is what the kind of store wants where nothing is set."""
        values: dict[str, Any] = self.model_dump()
        values["collect"] = collect if self.collect is None else self.collect
        return RecallPolicy(**values)


class StoreKeys(BaseModel):
    """What all long-term stores have in common."""

    locations: tuple[str, ...] = Field(
        (),
        description="Values of SciCat's `datasetlifecycle.storageLocation` whose datasets are here. The store `[lts]` has "
        "also those that no store names, unless it names some itself.",
    )
    other_copy: str | None = Field(
        None,
        description="Name of the store that has a second copy of what is here: it is read where the first cannot be had or "
        "is not right.",
    )
    recalls: RecallSettings = Field(
        RecallSettings(), description="How recalls from this store are put together."
    )
    tape_places: TapePattern | TapeCommand | None = Field(
        None,
        discriminator="kind",
        description="How to learn on which tape an archive is, where the store does not tell.",
    )


class PosixStore(PosixShareSettings, StoreKeys):
    """A mounted folder that holds the archives, with or without an HSM behind it."""


class S3GlacierStore(S3GlacierSettings, StoreKeys):
    """A bucket of an S3 whose objects are archived: in S3 Glacier, or on the tapes behind an S3."""


class WlcgTapeStore(WlcgTapeSettings, StoreKeys):
    """A tape system with the WLCG Tape REST API v1 (dCache, StoRM, EOS with CTA)."""


class CommandedStore(CommandStoreSettings, StoreKeys):
    """A store that is reached by commands: `dsmc`, `hsi`, scripts of your own."""


def _kind(section: object) -> object:
    if isinstance(section, dict):
        return section.get("kind", "posix")
    return getattr(section, "kind", None)


StoreSettings = Annotated[
    Annotated[PosixStore, Tag("posix")]
    | Annotated[S3GlacierStore, Tag("s3_glacier")]
    | Annotated[WlcgTapeStore, Tag("wlcg_tape")]
    | Annotated[CommandedStore, Tag("command")],
    Discriminator(_kind),
]


def collects(store: StoreKeys) -> bool:
    """Say whether a store of this kind has tapes whose mounts are worth waiting for."""
    return not isinstance(store, S3GlacierStore)
