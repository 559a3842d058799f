"""The recall desk: where all that flows want from one store is put together, asked for in good order, and watched.

The ledger holds what is wanted and how far it is, so a desk that dies loses nothing: another one, of this process or of another
machine, goes on from there. One desk at a time leads for a store.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

import structlog

from scicat_retriever.domain.errors import LedgerUnavailable, RecallError, RetrieverError
from scicat_retriever.domain.ids import ArchiveId, DatasetPid
from scicat_retriever.pipeline.recall import APPEARING
from scicat_retriever.pipeline.recall_planner.planner import Decision, RecallPlanner
from scicat_retriever.pipeline.recall_planner.requests import RecallRequest
from scicat_retriever.pipeline.recall_verdict import verdict
from scicat_retriever.pipeline.toolbox import Toolbox
from scicat_retriever.ports.long_term_store import LongTermStore, RecallState, TapePlace, Wanted
from scicat_retriever.ports.recalls import RecallChange, RecallPhase, RecallRecord

log = structlog.get_logger(__name__)
T = TypeVar("T")
LEASE = timedelta(seconds=5)
"""How long a store stays with a desk that is not heard of any more."""
IDLE_SECONDS = 5.0
"""How often a desk that nobody rang looks for what is wanted, while nothing is."""
SHARE = 0.1
"""The part of its time that a desk is at work, at most; it pauses longer after long turns."""
AT_ONCE = 2000
"""Archives that a store is asked about in one turn: a turn stays short, however many wait."""
WORDS_SECONDS = 20.0
"""How often it is written down anew what recalls wait for."""
REMIND_SECONDS = 60.0
"""After which a flow is told once more that there is news, should it not have heard."""
_NEWS = frozenset({RecallPhase.ONLINE, RecallPhase.ENDED})


@dataclass(frozen=True, slots=True)
class DeskPace:
    """How often a store is asked, in seconds.

    Attributes:
        turn: Between two turns of the desk, while recalls are open.
        look_initial: Before the first look at an archive that was asked for, or is missing.
        look_maximum: The longest time between two such looks.
        look_waiting: Between two looks at an archive that is not asked for yet: others may have asked.
    """

    turn: float = 1.0
    look_initial: float = 1.0
    look_maximum: float = 120.0
    look_waiting: float = 600.0


@dataclass(slots=True)
class _Watch:
    """What the desk remembers of one archive; to lose it costs a look or two."""

    looks: int = 0
    next_look: float = 0.0
    expected: float | None = None
    failures: int = 0
    not_before: float = 0.0


class _LeadLost(Exception):
    """Another desk leads by now."""


class RecallDesk:
    """The desk of one store.

    Args:
        store: The store's name.
        holder: Names this desk among those of all processes.
        planner: Decides what is asked for when.
        tools: The ports.
        tell: Called with a dataset when there is news of its recalls, so that its flow looks. May raise a `RetrieverError`.
        pace: How often the store is asked.
    """

    def __init__(
        self,
        store: str,
        holder: str,
        planner: RecallPlanner,
        tools: Toolbox,
        tell: Callable[[DatasetPid], None],
        pace: DeskPace,
    ) -> None:
        self._name = store
        self._holder = holder
        self._planner = planner
        self._tools = tools
        self._tell = tell
        self._pace = pace
        self._watched: dict[ArchiveId, _Watch] = defaultdict(_Watch)
        self._told: dict[DatasetPid, float] = {}
        self._words_at = self._led_at = self._quiet_until = self._noted_at = 0.0
        self._troubles = 0
        self._bell = threading.Event()

    def ring(self) -> None:
        """Say that something is wanted: it looks soon."""
        self._bell.set()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop. A store or a ledger that is down is asked again."""
        while not stop.is_set():
            self._bell.clear()
            begun = time.monotonic()
            try:
                pause = self.turn()
            except LedgerUnavailable as error:
                log.warning("the recall desk waits for the ledger", store=self._name, why=str(error))
                pause = IDLE_SECONDS
            except Exception:
                # Were this thread to end, nothing would be recalled any more and nobody would know.
                log.exception("the recall desk met a fault of the service", store=self._name)
                pause = IDLE_SECONDS
            took = time.monotonic() - begun
            stop.wait(took * (1 - SHARE) / SHARE if took > SHARE else 0)
            self._wait(stop, pause)
        self._tools.ledger.leave_recalls(self._holder)

    def _wait(self, stop: threading.Event, pause: float) -> None:
        end = time.monotonic() + pause
        while not stop.is_set() and time.monotonic() < end and not self._bell.wait(0.1):
            pass

    def turn(self) -> float:
        """Do what is to be done now; gives the seconds until the next turn.

        Raises:
            LedgerUnavailable: The ledger does not answer.
        """
        records = self._tools.ledger.recalls(self._name)
        if not records:
            self._watched.clear()
            return IDLE_SECONDS
        self._led_at = 0.0
        try:
            self._keep_lead()
            self._serve(records)
        except _LeadLost:
            return LEASE.total_seconds() / 2
        return self._pace.turn

    def _keep_lead(self) -> None:
        """Stay the one that leads; asked often, since a store may be slow."""
        now = self._now()
        if now - self._led_at > LEASE.total_seconds() / 4:
            if not self._tools.ledger.lead_recalls(self._name, self._holder, LEASE):
                raise _LeadLost
            self._led_at = now

    def _serve(self, records: Sequence[RecallRecord]) -> None:
        wanted = [each for each in records if each.is_wanted]
        try:
            store = self._tools.stores.named(self._name)
            if self._now() >= self._quiet_until:
                self._let_go([each for each in records if not each.is_wanted], wanted, store)
                if self._locate(wanted, store) + self._look(wanted, store):
                    wanted = [each for each in self._tools.ledger.recalls(self._name) if each.is_wanted]
                self._ask(wanted, store)
                self._troubles = 0
        except RecallError as error:
            self._note_trouble(error, wanted)
        self._remind(wanted)
        self._note_finding()

    def _note_finding(self) -> None:
        """Keep how wrong the outlooks were, for operators."""
        now, error = self._now(), self._planner.eta_error
        if error is not None and now - self._noted_at >= WORDS_SECONDS:
            self._noted_at = now
            found = {
                "outlooks": error.count,
                "medianErrorPercent": round(100 * error.median),
                "p90ErrorPercent": round(100 * error.p90),
            }
            self._tools.ledger.note_finding(f"recalls from {self._name}", found)

    def _note_trouble(self, error: RecallError, wanted: Sequence[RecallRecord]) -> None:
        """The store as a whole does not answer: have all that waits say so, and leave it alone for a while."""
        pause = min(self._pace.look_maximum, self._pace.look_initial * 2.0 ** min(self._troubles, 20))
        self._troubles += 1
        self._quiet_until = self._now() + pause
        log.warning("a long-term store does not answer", store=self._name, why=str(error))
        waiting = [each for each in wanted if each.phase not in _NEWS and each.reason != str(error)]
        self._write(RecallChange(each.key, reason=str(error)) for each in waiting)

    def _let_go(
        self, gone: Sequence[RecallRecord], wanted: Sequence[RecallRecord], store: LongTermStore
    ) -> None:
        """Tell the store of what nobody wants any more, and forget it once it was told."""
        # Of one archive, several extracts may be wanted, or it and an extract.
        kept = {each.archive_id for each in wanted}
        for batch in _batches(gone, store.capabilities.batch):
            self._keep_lead()
            over = [each for each in batch if each.archive_id not in kept]
            known = [Wanted(each.archive_id, each.request) for each in over if each.asked_at is not None]
            if known:
                store.release(known)
            self._tools.ledger.forget_recalls(batch)
            for each in over:
                self._watched.pop(each.archive_id, None)

    def _locate(self, wanted: Sequence[RecallRecord], store: LongTermStore) -> int:
        """Have the tape of each known, where the store tells; gives how many were new."""
        unplaced = [each for each in wanted if each.tape is None][:AT_ONCE]
        for batch in _batches(unplaced, store.capabilities.batch):
            self._keep_lead()
            names = [each.archive_id for each in batch]
            places: Mapping[ArchiveId, TapePlace] = store.places(names) if store.capabilities.places else {}
            nowhere = TapePlace("")
            self._write(RecallChange(each.key, tape=places.get(each.archive_id, nowhere)) for each in batch)
        return len(unplaced)

    def _look(self, wanted: Sequence[RecallRecord], store: LongTermStore) -> int:
        """Ask the store where what is due for a look is; gives how much was news."""
        now = self._now()
        due = [e for e in wanted if e.phase not in _NEWS and self._watched[e.archive_id].next_look <= now]
        due.sort(key=lambda each: self._watched[each.archive_id].next_look)
        count = 0
        for batch in _batches(due[:AT_ONCE], store.capabilities.batch):
            self._keep_lead()
            states = store.recall_states([Wanted(each.archive_id, each.request) for each in batch])
            changes = [(each, self._judged(each, states)) for each in batch]
            self._write(change for _, change in changes if change is not None)
            self._tell_all({e.key.pid for e, change in changes if change is not None and _is_news(change)})
            count += sum(change is not None for _, change in changes)
        return count

    def _judged(
        self, each: RecallRecord, states: Mapping[ArchiveId, RecallState | RecallError]
    ) -> RecallChange | None:
        watch, pace = self._watched[each.archive_id], self._pace
        change = verdict(each, states.get(each.archive_id), self._tools, patient=watch.looks == 0)
        if change is not None and change.phase is RecallPhase.WAITING:
            watch.failures += 1
            watch.not_before = self._now() + min(600.0, pace.look_initial * 2.0 ** min(watch.failures, 20))
        if change is not None and change.phase is RecallPhase.ONLINE and each.phase is RecallPhase.ASKED:
            self._planner.delivered(_request(each), self._now())
        watch.looks += 1
        seen_missing = each.missing_since is not None or (change is not None and change.is_missing)
        patient = each.phase is RecallPhase.WAITING and not seen_missing
        watch.next_look = self._now() + (pace.look_waiting if patient else self._pause(watch))
        return change

    def _pause(self, watch: _Watch) -> float:
        """Give the time until the next look: longer with each, and short about the moment when the archive is expected."""
        pace = self._pace
        growing = pace.look_initial * 1.5 ** min(watch.looks - 1, 40)
        if watch.expected is not None:
            growing = min(growing, max(5 * pace.look_initial, 0.1 * abs(watch.expected - self._now())))
        return min(pace.look_maximum, growing)

    def _ask(self, wanted: Sequence[RecallRecord], store: LongTermStore) -> None:
        """Have the planner say what is asked for now, ask for it, and write down what all others wait for."""
        now = self._now()
        concerned: dict[str, list[RecallRecord]] = defaultdict(list)
        for each in wanted:
            if self._takes_part(each, now):
                concerned[each.archive_id].append(each)
        decision = self._planner.decide([_request(its[0]) for its in concerned.values()], now)
        for batch in _batches(decision.ask, store.capabilities.batch):
            self._keep_lead()
            given = store.request_recalls([ArchiveId(name) for name in batch])
            self._write(
                self._asked(each, given.get(each.archive_id, ""), decision, now)
                for name in batch
                for each in concerned[name]
            )
        for name, outlook in decision.outlook.items():
            self._watched[ArchiveId(name)].expected = (
                None if outlook.seconds is None else now + outlook.seconds
            )
        self._write_words(concerned, decision, now)

    def _takes_part(self, each: RecallRecord, now: float) -> bool:
        """Say whether a recall is the planner's business: its tape was asked for, and it is not missing, and did not fail just now."""
        if each.tape is None or each.phase is RecallPhase.ENDED or each.missing_since is not None:
            return False
        return each.phase is not RecallPhase.WAITING or self._watched[each.archive_id].not_before <= now

    def _asked(
        self, each: RecallRecord, given: str | RecallError, decision: Decision, now: float
    ) -> RecallChange:
        if isinstance(given, RecallError):
            if isinstance(given, APPEARING) or given.retryable:
                return RecallChange(each.key, is_missing=isinstance(given, APPEARING), reason=str(given))
            return RecallChange(each.key, phase=RecallPhase.ENDED, reason=str(given))
        watch, outlook = self._watched[each.archive_id], decision.outlook.get(each.archive_id)
        watch.looks, watch.next_look = 0, now + self._pace.look_initial
        seconds = None if outlook is None else outlook.seconds
        expected = None if seconds is None else datetime.fromtimestamp(now + seconds, UTC)
        words = None if outlook is None else outlook.text
        return RecallChange(
            each.key, phase=RecallPhase.ASKED, request=given, expected_at=expected, reason=words
        )

    def _write_words(
        self, concerned: Mapping[str, Sequence[RecallRecord]], decision: Decision, now: float
    ) -> None:
        """Write down what recalls wait for: of those that say nothing yet now, of the others now and then."""
        anew = now - self._words_at >= WORDS_SECONDS
        if anew:
            self._words_at = now
        asked = set(decision.ask)
        self._write(
            RecallChange(each.key, reason=outlook.text)
            for name, outlook in decision.outlook.items()
            if name not in asked
            for each in concerned[name]
            if outlook.text != each.reason and (anew or not each.reason) and each.phase not in _NEWS
        )

    def _remind(self, wanted: Sequence[RecallRecord]) -> None:
        """Tell flows again that did not take up what is there: the word to them may have been lost."""
        now = self._now()
        news = {each.key.pid for each in wanted if each.phase in _NEWS}
        self._told = {pid: at for pid, at in self._told.items() if pid in news}
        self._tell_all({pid for pid in news if now - self._told.get(pid, 0.0) >= REMIND_SECONDS})

    def _tell_all(self, pids: Iterable[DatasetPid]) -> None:
        for pid in pids:
            self._told[pid] = self._now()
            try:
                self._tell(pid)
            except RetrieverError as error:
                log.info(
                    "a flow was not told that there is news; it looks by itself", pid=pid, why=str(error)
                )

    def _write(self, changes: Iterable[RecallChange]) -> None:
        for batch in _batches(changes, AT_ONCE):
            self._tools.ledger.change_recalls(batch)

    def _now(self) -> float:
        return self._tools.clock().timestamp()


def _is_news(change: RecallChange) -> bool:
    """Say whether the flow has to look: at what can be copied, has ended, or is to be given up at another time."""
    return change.phase in _NEWS or bool(change.is_missing)


def _request(each: RecallRecord) -> RecallRequest:
    tape = each.tape or TapePlace("")
    return RecallRequest(
        archive=each.archive_id,
        bytes=each.bytes,
        wanted_at=each.wanted_at.timestamp(),
        group=each.group,
        priority=each.priority,
        tape=tape.tape,
        position=tape.position,
        order=(each.key.pid, each.place),
        phase=each.phase,
        asked_at=None if each.asked_at is None else each.asked_at.timestamp(),
    )


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
