"""How much of the process clients may hold, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field, PositiveFloat, PositiveInt

from scicat_retriever.section import Section

DOWNLOADS, DOWNLOAD_WAIT = 1000, 30.0
"""The defaults: downloads at once, and the seconds that a further one waits."""
KEPT_BACK = 256
"""Descriptors that no connection and no download gets.

They are for the ledger, the engine, logs, and the staging area's own look-ups.
"""


class LimitSettings(Section):
    """How much of the service clients may hold, and for how long. Durations are seconds."""

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
    """The shares of the process's descriptors.

    Attributes:
        connections: The most connections at once.
        downloads: The most downloads at once, each of which has a file open beside its connection.
    """

    connections: int
    downloads: int


def shares(limits: LimitSettings, descriptors: int) -> DescriptorShares:
    """Divide the process's descriptors: those kept back, files of downloads, connections.

    Downloads, running and waiting together, are never more than half of all connections: the rest is for
    SciCat.

    Args:
        limits: The limits that the operator wants.
        descriptors: How many files the process may have open (`RLIMIT_NOFILE`).
    """
    free = descriptors - min(KEPT_BACK, descriptors // 2)
    downloads = max(1, min(limits.downloads, free // 5, limits.connections // 4))
    return DescriptorShares(max(1, min(limits.connections, free - downloads)), downloads)
