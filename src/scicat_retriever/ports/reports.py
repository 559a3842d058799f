"""The outbox: what SciCat has to hear and was not told yet, kept in the ledger beside what caused it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from scicat_retriever.domain.errors import CatalogueGone, Failure, error_of
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import JobState
from scicat_retriever.ports.catalogue import LifecycleUpdate


class ReportState(StrEnum):
    """How far a report is."""

    WAITING = "waiting"
    """It is tried again by itself."""
    PARKED = "parked"
    """It is not tried again until somebody asks for it."""
    UNDELIVERABLE = "undeliverable"
    """The same, and SciCat can never take it: what it is about was deleted there."""
    DROPPED = "dropped"
    """It is given up: SciCat will not hear of it."""


class ReportKind(StrEnum):
    """What a report is about."""

    JOB = "job"
    DATASET = "dataset"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a report is about: its reports are told in the order in which they were written.

    Attributes:
        kind: Job or dataset.
        name: The job's id, or the dataset's pid.
    """

    kind: ReportKind
    name: str

    @classmethod
    def job(cls, job_id: JobId) -> Subject:
        """Name a job."""
        return cls(ReportKind.JOB, job_id)

    @classmethod
    def dataset(cls, pid: DatasetPid) -> Subject:
        """Name a dataset."""
        return cls(ReportKind.DATASET, pid)


@dataclass(frozen=True, slots=True)
class Report:
    """Something that SciCat has to hear.

    Attributes:
        number: Its place in the order of all reports.
        subject: Whom it is about.
        content: What SciCat has to hear: a job's state, whose result is composed, with fresh links, when the
            report is delivered; or a dataset's lifecycle.
        created_at: When it was written (UTC).
        attempts: How often it was tried in vain.
        due_at: When it is tried next; of one that is parked or dropped, when that was (UTC).
        failure: Why the last attempt failed.
        parked: Whether it is not tried any more until somebody asks for it.
        dropped: Who dropped it and why, in words; empty where nobody did. What is dropped is parked, too.
    """

    number: int
    subject: Subject
    content: JobState | LifecycleUpdate
    created_at: datetime
    due_at: datetime
    attempts: int = 0
    failure: Failure | None = field(default=None)
    parked: bool = False
    dropped: str = ""

    @property
    def state(self) -> ReportState:
        """How far it is."""
        if self.dropped:
            return ReportState.DROPPED
        if not self.parked:
            return ReportState.WAITING
        return ReportState.UNDELIVERABLE if is_undeliverable(self.failure) else ReportState.PARKED


def is_undeliverable(failure: Failure | None) -> bool:
    """Say whether a report that failed so can never be told."""
    return failure is not None and error_of(failure, CatalogueGone) is not None


class Reports(Protocol):
    """The reports to SciCat. Promises and errors as of `ports.ledger.Ledger`.

    A subject's reports are told in their order, by one teller at a time: a teller claims a report for a short
    while, renews the claim while it works, and loses it by dying. Reports of jobs are written by `jobs.move`.
    """

    def tell_dataset(self, pid: DatasetPid, update: LifecycleUpdate) -> None:
        """Have SciCat told a dataset's state.

        Raises:
            TransitionIllegal: It would be told as retrieved, and not all of its datablocks are staged.
        """
        ...

    def tell_job_again(self, job_id: JobId) -> bool:
        """Write a report of a job's state once more.

        False, and none is written, where one waits, is parked, or was dropped.
        """
        ...

    def claim(self, teller: str, claim: timedelta, subject: Subject | None = None) -> Report | None:
        """Claim the first report that is due and nobody else's; None where there is none.

        Of each subject only the first report that is not parked can be claimed. The end of a job is not due
        before what was written earlier of its datasets was told, so that SciCat hears of them first; it does
        not wait for a dataset of which SciCat was tried to be told in vain.

        Args:
            teller: Who claims.
            claim: For how long, unless renewed.
            subject: Look at this one's alone, due or not.
        """
        ...

    def renew(self, teller: str, numbers: Collection[int], claim: timedelta) -> None:
        """Hold those of these reports that the teller has claimed for that much longer from now."""
        ...

    def delivered(self, number: int) -> None:
        """Note that SciCat holds a report: it is forgotten, and older parked ones of its subject."""
        ...

    def postpone(self, number: int, failure: Failure, due_at: datetime) -> None:
        """Note a vain attempt, and when to try again (UTC); the claim ends."""
        ...

    def park(self, number: int, failure: Failure) -> None:
        """Park a report that SciCat cannot be told, with the reason: it is not tried again until `unpark`."""
        ...

    def unpark(self, subject: Subject | None = None) -> int:
        """Have parked reports, of one subject or all, tried again at once; gives how many.

        Those that a later report of their subject has overtaken are forgotten. Dropped ones stay so.
        """
        ...

    def drop(self, numbers: Collection[int], why: str) -> Sequence[Report]:
        """Drop parked reports, for the reason `why`.

        They are kept as dropped until a later report of their subject is delivered.

        Each is also a row of the transitions table, of kind `report`.

        Returns:
            The reports as they are now, in the order of their numbers.

        Raises:
            ReportNotParked: One of them is not parked, or unknown, or dropped already; then none is dropped.
        """
        ...

    def drop_undeliverable(self, parked_before: datetime, why: str) -> Sequence[Report]:
        """As `drop`, of all undeliverable ones that were parked before that moment (UTC)."""
        ...

    def find(
        self, subject: Subject | None = None, after: int = 0, limit: int = 100, *, dropped: bool = True
    ) -> Sequence[Report]:
        """Reports not told yet, parked ones included, in their order, with numbers above `after`.

        Args:
            subject: This one's alone.
            after: A report's number.
            limit: Most of them.
            dropped: Whether those that were dropped are among them.
        """
        ...

    def count(self) -> tuple[int, int]:
        """How many reports wait to be told, and how many are parked, dropped ones not counted."""
        ...

    def count_undeliverable(self) -> int:
        """How many of the parked ones SciCat can never take."""
        ...
