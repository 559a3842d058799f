"""The recalls that are open: what all jobs want from tape, shared by the flows that wait and the planner that asks for it."""

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
        group: Owner group of the oldest job that waited for its dataset when it was wanted; empty where SciCat does not say.
        priority: The highest of those of the jobs that waited for its dataset then, or when `set_priority` was last called
            for one of them; 0 is ordinary.
        wanted_at: Since when it is wanted (UTC).
        phase: How far it is.
        tape: Where the store says that it lies; None where it was not asked yet, an empty tape where it does not know.
        request: How the store calls the request for its recall; see `ports.long_term_store.AskedArchive`.
        asked_at: When the store was asked (UTC); None while it waits.
        first_asked_at: When the store was asked first for this run (UTC), however often the recall failed since.
        online_at: When it was first seen online (UTC).
        expected_at: When it was first expected online, once asked for (UTC).
        missing_since: Since when the store says that it has no such archive, or was away when that was to be told; None while
            it says otherwise.
        reason: What it waits for, in words.
        is_wanted: Whether a run still wants it. If not, the store is to be told, and it is to be forgotten.
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
        phase: How far it is now. Being `asked` or `online` notes the time where it was not noted yet; being `waiting`
            forgets the request, and when it was asked for last, seen online, and expected. The other values are noted after that.
            To be `asked` is a late word, of which nothing changes, where it is online or has ended.
        request: How the store calls the request.
        tape: Where it lies; with an empty tape, the store does not know.
        expected_at: When it is expected online; noted once, the first expectation stays.
        is_missing: Whether the store says that it has no such archive; the time since when is kept.
        reason: What it waits for, in words; also noted for the datablock, while that is recalling or waits for space and
            the recall is wanted.
        run: The flow run, and the store, of the recall that is meant: of another one nothing changes. None means whichever.
        store: See `run`.
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


class RecallLedger(Protocol):
    """The part of the ledger that holds open recalls. Promises and errors as of `ports.ledger.Ledger`."""

    def want_recalls(self, keys: Sequence[DatablockKey]) -> None:
        """Have archives of datablocks recalled, from the store that each is read from now.

        One whose recall is open for the same run, store and archive keeps it; one that was seen online, or ended, goes back to
        `waiting`, since whoever asks again did not find it so. One that was open for an earlier run becomes this run's: it is
        wanted since now, and what the store was asked for stays asked for. A recall from another store, or of another
        archive, begins anew. Group and priority are those of the jobs that wait for the dataset now: that are
        not ended, and that it was started for.

        A datablock that is not recalling yet becomes so, and waits for what its recall waits for; of one that is, nothing
        changes. All in one transaction: where one of them cannot be recalled, none is.

        Raises:
            TransitionIllegal: One is not known, or cannot become recalling.
        """
        ...

    def recalls(self, store: str, limit: int | None = None) -> Sequence[RecallRecord]:
        """The open recalls of a store, all or so many.

        Those wanted first come first, those wanted at once in the order of their datasets. One is wanted as long as its datablock is recalling, waits for space, or is being copied, for the same run, from the
        same store and of the same archive.
        """
        ...

    def recalls_of(self, pid: DatasetPid) -> Sequence[RecallRecord]:
        """The open recalls of a dataset that are wanted, in the datablocks' order."""
        ...

    def change_recalls(self, changes: Sequence[RecallChange]) -> None:
        """Note what is new, all in one transaction; of recalls that are not open any more, nothing changes."""
        ...

    def forget_recalls(self, records: Sequence[RecallRecord]) -> None:
        """Forget recalls that are not wanted any more and that the store was told of.

        One that is wanted again stays, as does one that has another run, store or request by now.
        """
        ...

    def lead_recalls(self, store: str, holder: str, lease: timedelta) -> bool:
        """Have one planner at a time for a store: say whether `holder` is it, from now on for `lease`.

        It is if nobody is, if it was already, or if the time of who was it is over. A time that ends minutes later than
        a lease given now could is over, too: it was noted by a clock that was wrong.
        """
        ...

    def leave_recalls(self, holder: str) -> None:
        """End the lead of `holder`, wherever it has it."""
        ...

    def read_from(self, key: DatablockKey, store: str, reason: str) -> None:
        """Have a datablock be read from another store: it becomes planned again, for the same run, and its copy counts no more.

        Of one that is read from that store already, nothing changes: a step that comes again must not undo what was begun.

        Raises:
            TransitionIllegal: It is not known, staged, or released.
        """
        ...

    def set_priority(self, job_id: JobId, priority: int) -> None:
        """Have a job be of a priority, and each open recall of its datasets of the highest of the jobs that wait for its dataset.

        Raises:
            JobNotFound: It is not known.
            JobEnded: It has ended.
        """
        ...

    def open_recalls(self) -> Mapping[str, Mapping[RecallPhase, int]]:
        """How many recalls are open, wanted or not, by store and phase; those that there are none of are left out."""
        ...
