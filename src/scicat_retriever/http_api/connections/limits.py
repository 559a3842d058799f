"""How much of the process clients may hold, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

DOWNLOADS, DOWNLOAD_WAIT = 1000, 30.0
"""What is usual: downloads at once, and the seconds that another one waits."""
KEPT_BACK = 256
"""Descriptors that no connection and no download gets: the ledger, the engine, logs, the staging area's own look-ups."""


class LimitSettings(BaseModel):
    """How much of the service clients may hold, and for how long. Durations are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connections: PositiveInt = Field(
        5000,
        description="Connections at once. Above it, those that have waited longest without sending a request are closed to "
        "make place. Fewer where the process may have fewer open files: it raises its own limit to the hard one at the "
        "start (`LimitNOFILE` of a unit).",
    )
    connections_per_address: PositiveInt = Field(
        500, description="The same for one address; not for those of `api.trusted_proxies`."
    )
    header_timeout: PositiveFloat = Field(10.0, description="How long a request's head may take to arrive.")
    body_timeout: PositiveFloat = Field(60.0, description="How long a request's body may take.")
    idle_timeout: PositiveInt = Field(
        5, description="How long a connection is kept after an answer for another request, in whole seconds."
    )
    write_timeout: PositiveFloat = Field(
        60.0,
        description="A client that reads less than 1 KiB a second of an answer for so long is disconnected.",
    )
    downloads: PositiveInt = Field(
        DOWNLOADS,
        description="Downloads that are sent at once. As many more wait for their turn. Fewer where the process may have "
        "fewer open files.",
    )
    download_wait: PositiveFloat = Field(
        DOWNLOAD_WAIT,
        description="How long a download waits for its turn; then it is answered 503 with `Retry-After`.",
    )


@dataclass(frozen=True, slots=True)
class DescriptorShares:
    """What the process's descriptors are given to.

    Attributes:
        connections: Connections at once.
        downloads: Downloads at once, each of which has a file open beside its connection.
    """

    connections: int
    downloads: int


def shares(limits: LimitSettings, descriptors: int) -> DescriptorShares:
    """Divide the descriptors that the process may have: what is kept back, files of downloads, connections.

    Downloads that are sent, and those that wait, never are more than half of all connections: the rest is for SciCat.

    Args:
        limits: What is wanted.
        descriptors: How many files the process may have open (`RLIMIT_NOFILE`).
    """
    free = descriptors - min(KEPT_BACK, descriptors // 2)
    downloads = max(1, min(limits.downloads, free // 5, limits.connections // 4))
    return DescriptorShares(max(1, min(limits.connections, free - downloads)), downloads)
