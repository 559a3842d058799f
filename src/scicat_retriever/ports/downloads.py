"""The downloads that were asked for: who was given which bytes, and how that ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from scicat_retriever.domain.ids import JobId


class DownloadEnd(StrEnum):
    """How a download ended.

    RUNNING is one that has not ended, or whose process was killed: `Download.seen` tells these apart. WHOLE
    says that all bytes were handed to the network, not that they arrived. ELSEWHERE is a redirect to the
    storage's own server: what that one sent is not known.
    """

    RUNNING = "running"
    ELSEWHERE = "elsewhere"
    WHOLE = "whole"
    BROKEN_OFF = "broken off"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Download:
    """One request that was answered with bytes.

    Attributes:
        id: A UUID.
        who: The id of the link, or the name of the person, by whose right it was given.
        what: The path below the retrieval, or the name of the datablock's file. No secret is in it.
        first: The first byte that was asked for, from 0.
        last: The last byte that was asked for; `first - 1` where the whole is empty.
        began: When (UTC).
        seen: The last time (UTC) at which it was known to run; once it has ended, the time of that.
        job_id: The job of the retrieval; None for a link to one datablock.
        sent: Bytes that were handed to the network until then; None where that is not known.
        end: How it ended.
    """

    id: str
    who: str
    what: str
    first: int
    last: int
    began: datetime
    seen: datetime
    job_id: JobId | None = None
    sent: int | None = 0
    end: DownloadEnd = DownloadEnd.RUNNING


@dataclass(frozen=True, slots=True)
class DownloadSum:
    """The downloads of a job.

    Attributes:
        job_id: The job.
        downloads: How many there are.
        sent: The bytes that were handed to the network, where that is known.
        last: When (UTC) the last one began.
    """

    job_id: JobId
    downloads: int
    sent: int
    last: datetime


class Downloads(Protocol):
    """The downloads. Promises and errors as of `ports.ledger.Ledger`."""

    def note(self, downloads: Sequence[Download]) -> None:
        """Note downloads, each in place of what was noted under its id, in one transaction.

        One that was noted as ended is not changed any more, so that notes may come in any order.
        """
        ...

    def find(
        self, job_id: JobId | None = None, before: int | None = None, limit: int = 100
    ) -> Sequence[tuple[int, Download]]:
        """Downloads with their numbers, of a job or of all, the last one first, below number `before`."""
        ...

    def sums(self, job_ids: Sequence[JobId]) -> Sequence[DownloadSum]:
        """The sums of these jobs, those without downloads left out."""
        ...

    def forget(self, before: datetime, limit: int) -> int:
        """Remove at most `limit` downloads that began before a time (UTC). Gives their number."""
        ...
