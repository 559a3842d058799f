"""The open recalls: what all jobs want from tape, shared by flows that wait and desks that ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import ArchiveId, DatasetPid, JobId
from scicat_retriever.domain.states import RecallPhase
from scicat_retriever.ports.long_term_store import TapePosition


@dataclass(frozen=True, slots=True)
class RecallRecord:
    """An open recall as the ledger holds it.

    Attributes:
        key: The datablock.
        store: Name of the store that it is recalled from.
        archive_id: The archive.
        position: As of its `DatablockRecord`: the order in which the datablocks of a dataset were archived.
        bytes: What it takes, as was known when it was wanted.
        run: The flow run that wants it.
        group: Owner group of the oldest job that waited for its dataset when it was wanted; empty where
            SciCat does not say.
        priority: The highest of those of the jobs that waited for its dataset then, or when `set_priority`
            was last called for one of them; 0 is ordinary.
        wanted_at: Since when it is wanted (UTC).
        phase: How far it is.
        tape: Where the store says that it lies; None where it was not asked yet, an empty tape where it does
            not know.
        request: How the store calls the request for its recall; see `ports.long_term_store.AskedArchive`.
        asked_at: When the store was asked (UTC); None while it waits.
        first_asked_at: When the store was asked first for this run (UTC), however often the recall failed
            since.
        online_at: When it was first seen online (UTC).
        expected_at: When it was first expected online, once asked for (UTC).
        missing_since: Since when the store says that it has no such archive, or is away and cannot say so;
            None while it says otherwise.
        reason: What the recall waits for, in words.
        is_wanted: Whether a run still waits for the archive. If not, the store is told to let it go, and then
            the recall is forgotten.
    """

    key: DatablockKey
    store: str
    archive_id: ArchiveId
    position: int
    bytes: int
    run: str
    group: str
    priority: int
    wanted_at: datetime
    phase: RecallPhase
    tape: TapePosition | None = None
    request: str = ""
    asked_at: datetime | None = None
    online_at: datetime | None = None
    expected_at: datetime | None = None
    missing_since: datetime | None = None
    reason: str = ""
    is_wanted: bool = True
    first_asked_at: datetime | None = None

    def change(
        self,
        phase: RecallPhase | None = None,
        *,
        request: str | None = None,
        tape: TapePosition | None = None,
        expected_at: datetime | None = None,
        is_missing: bool | None = None,
        reason: str | None = None,
    ) -> RecallChange:
        """Say what is new about this very recall; see `RecallChange`."""
        return RecallChange(
            self.key, phase, request, tape, expected_at, is_missing, reason, self.run, self.store
        )


@dataclass(frozen=True, slots=True)
class RecallChange:
    """What is new about an open recall. What is None stays as it is.

    Attributes:
        key: The datablock.
        phase: The new phase. Setting `WAITING` clears `request`, `asked_at`, `online_at` and `expected_at`;
            the other fields of the change are applied after that. Setting `ASKED` or `ONLINE` notes the time,
            if none is noted yet. A change to `ASKED` is ignored when the recall is `ONLINE` or `ENDED`
            already: the message was late.
        request: How the store calls the request.
        tape: Where it lies; with an empty tape, the store does not know.
        expected_at: When it is expected online; noted once, the first expectation stays.
        is_missing: Whether the store says that it has no such archive; the time since when is kept.
        reason: What it waits for, in words; also noted for the datablock, while that is recalling or waits
            for space and the recall is wanted.
        run: The run of the recall that is meant; a recall of another run stays as it is. None means any run.
        store: The store of the recall that is meant, likewise.
    """

    key: DatablockKey
    phase: RecallPhase | None = None
    request: str | None = None
    tape: TapePosition | None = None
    expected_at: datetime | None = None
    is_missing: bool | None = None
    reason: str | None = None
    run: str | None = None
    store: str | None = None


class Recalls(Protocol):
    """The open recalls. Promises and errors as of `ports.ledger.Ledger`."""

    def want(self, keys: Sequence[DatablockKey]) -> None:
        """Open a recall for each datablock, from the store that it is read from now; all of them, or none.

        A recall that is open already for the same run, store and archive is kept. If it is `ONLINE` or
        `ENDED`, it becomes `WAITING`: whoever asks again did not find it so. A recall of an earlier run
        becomes this run's: it is wanted since now, and what the store was asked for stays asked for. A recall
        from another store, or of another archive, begins anew. Group and priority are those of the jobs that
        have not ended and for which the dataset was started.

        A datablock that is not recalling becomes so, with the reason of its recall. One that is recalling
        already stays as it is.

        Raises:
            TransitionIllegal: A datablock is not known, or cannot become recalling.
        """
        ...

    def of_store(self, store: str, limit: int | None = None) -> Sequence[RecallRecord]:
        """The open recalls of a store, `limit` of them at most, by the time since when they are wanted.

        Recalls of the same moment come in the order of their datasets and datablocks. A recall is wanted as
        long as its datablock is recalling, waits for space, or is being copied, for the same run, from the
        same store and of the same archive.
        """
        ...

    def of_dataset(self, pid: DatasetPid) -> Sequence[RecallRecord]:
        """The open recalls of a dataset that are wanted, in the datablocks' order."""
        ...

    def change(self, changes: Sequence[RecallChange]) -> None:
        """Note what is new of recalls, all in one transaction; changes of closed recalls are ignored."""
        ...

    def forget(self, records: Sequence[RecallRecord]) -> None:
        """Forget recalls that nobody wants and that the store has let go of.

        A recall that is wanted again stays, and so does one that has another run, store or request by now.
        """
        ...

    def lead(self, store: str, holder: str, lease: timedelta) -> bool:
        """Have one desk at a time lead for a store: say whether `holder` leads, from now on for `lease`.

        It leads if nobody does, if it led already, or if the lease of the other holder is over. A lease that
        ends minutes later than one given now is taken for over: the clock that noted it was wrong.
        """
        ...

    def leave(self, holder: str) -> None:
        """End the lead of `holder`, wherever it has it."""
        ...

    def set_priority(self, job_id: JobId, priority: int) -> None:
        """Set the priority of a job.

        Each open recall of its datasets gets the highest of the jobs that wait for it.

        Raises:
            JobNotFound: It is not known.
            JobEnded: It has ended.
        """
        ...

    def counts(self) -> Mapping[str, Mapping[RecallPhase, int]]:
        """How many recalls are open, wanted or not, by store and phase.

        Stores and phases without any are left out.
        """
        ...
