"""The recall desk: asks one store for all recalls that flows want, in good order, and watches them.

The ledger holds what is wanted and how far it is, so a desk that dies loses nothing: another one, of this
process or of another machine, goes on from there. One desk at a time leads for a store.
"""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import structlog

from scicat_retriever.domain.batches import in_batches
from scicat_retriever.domain.errors import LedgerUnavailable, RecallError, RetrieverError
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import ArchiveId, DatasetPid
from scicat_retriever.domain.states import RecallPhase
from scicat_retriever.pipeline.recalls.lead import LEASE, Lead, LeadLost
from scicat_retriever.pipeline.recalls.let_go import LettingGo
from scicat_retriever.pipeline.recalls.verdict import refusal, verdict
from scicat_retriever.pipeline.recalls.watch import TURN_SECONDS, DeskPace, WatchedArchive
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.long_term_store import AskedArchive, LongTermStore, RecallState, TapePosition
from scicat_retriever.ports.recalls import RecallChange, RecallRecord
from scicat_retriever.recall_planner.planner import Decision, RecallPlanner
from scicat_retriever.recall_planner.requests import RecallRequest

log = structlog.get_logger(__name__)
IDLE_SECONDS = 5.0
"""How often a desk that nobody rang looks for what is wanted, while nothing is."""
SHARE, LONGEST_PAUSE = 0.1, 15.0
"""The largest part of its time that a desk works, and its longest pause.

After a long turn a desk pauses longer, up to that.
"""
AT_ONCE = 2000
"""Changes that are written down together."""
FARTHEST = 365 * 86400.0
"""Seconds beyond which it is not written down when an archive is expected."""
TROUBLES = 10
"""So many archives that cannot be had are named in the log, of those asked about together."""
WORDS_SECONDS = 20.0
"""How often it is written down anew what recalls wait for."""
REMIND_SECONDS = 60.0
"""After which a flow is told once more that there is news, should it not have heard."""
LOOKUPS = 3
"""How often it is asked on which tape an archive is; then it is taken for unknown.

Where it is, is advice alone.
"""
_NEWS = frozenset({RecallPhase.ONLINE, RecallPhase.ENDED})


class RecallDesk:
    """The desk of one store.

    Args:
        store: The store's name.
        holder: Names this desk among those of all processes.
        planner: Decides what is asked for when.
        tools: The ports.
        tell: Called with a dataset when there is news of its recalls, so that its flow looks. May raise a
            `RetrieverError`.
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
        self._lead = Lead(store, holder, tools.ledger.recalls)
        self._planner = planner
        self._tools = tools
        self._tell = tell
        self._pace = pace
        self._watched: dict[ArchiveId, WatchedArchive] = defaultdict(WatchedArchive)
        self._told: dict[DatablockKey, float] = {}
        self._words_at = self._quiet_until = self._noted_at = 0.0
        self._letting_go = LettingGo(store, self._lead, tools, pace)
        self._troubles = 0
        self._turned_at = 0.0
        self._bell = threading.Event()

    def ring(self) -> None:
        """Say that something is wanted: it looks soon."""
        self._bell.set()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop. A store or a ledger that is down is asked again."""
        self._lead.stay(stop)
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
            stop.wait(min(LONGEST_PAUSE, took * (1 - SHARE) / SHARE) if took > SHARE else 0)
            self._wait(stop, pause)
        self._lead.leave()

    def _wait(self, stop: threading.Event, pause: float) -> None:
        end = time.monotonic() + pause
        while not stop.is_set() and time.monotonic() < end and not self._bell.wait(0.1):
            pass

    def turn(self) -> float:
        """Do what is to be done now; gives the seconds until the next turn.

        Raises:
            LedgerUnavailable: The ledger does not answer.
        """
        if self._name not in self._tools.ledger.recalls.counts():
            self._lead.rest()
            self._watched.clear()
            return IDLE_SECONDS
        self._mind_the_clock()
        try:
            self._lead.begin_turn()
            self._serve(self._tools.ledger.recalls.of_store(self._name))
        except LeadLost:
            return LEASE.total_seconds() / 2
        finally:
            self._lead.end_turn()
        return self._pace.turn

    def _mind_the_clock(self) -> None:
        """Where the clock was put back, forget what was to be done when: it would be done that much later."""
        now = self._now()
        if now < self._turned_at:
            self._watched.clear()
            self._told.clear()
            self._words_at = self._quiet_until = self._noted_at = 0.0
            self._letting_go.forget_pauses()
        self._turned_at = now

    def _serve(self, records: Sequence[RecallRecord]) -> None:
        wanted = [each for each in records if each.is_wanted]
        try:
            store = self._tools.stores.named(self._name)
            if self._now() >= self._quiet_until:
                self._letting_go.let_go(records, store)
                if self._look(wanted, store) + self._locate(wanted, store):
                    wanted = [
                        each for each in self._tools.ledger.recalls.of_store(self._name) if each.is_wanted
                    ]
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
            self._tools.ledger.findings.note(f"recalls from {self._name}", found)

    def _note_trouble(self, error: RecallError, wanted: Sequence[RecallRecord]) -> None:
        """Have all that waits say that the store does not answer, and leave it alone for a while."""
        self._quiet_until = self._now() + self._pace.pause_after(self._troubles)
        self._troubles += 1
        log.warning("a long-term store does not answer", store=self._name, why=str(error))
        waiting = [each for each in wanted if each.phase not in _NEWS and each.reason != str(error)]
        self._write(each.change(reason=str(error)) for each in waiting)

    def _locate(self, wanted: Sequence[RecallRecord], store: LongTermStore) -> int:
        """Have the tape of each known, where the store tells; gives how many were new."""
        unplaced = [each for each in wanted if each.tape is None]
        ends = self._now() + TURN_SECONDS
        for batch in in_batches(unplaced, store.capabilities.batch):
            if self._now() >= ends:
                break
            self._lead.check()
            found = self._tape_positions(list({each.archive_id: None for each in batch}), store)
            nowhere = TapePosition("")
            self._write(
                each.change(tape=found.get(each.archive_id, nowhere))
                for each in batch
                if each.archive_id in found or not 0 < self._watched[each.archive_id].lookups < LOOKUPS
            )
        return len(unplaced)

    def _tape_positions(
        self, archive_ids: Sequence[ArchiveId], store: LongTermStore
    ) -> Mapping[ArchiveId, TapePosition]:
        """Ask the store for tape positions. A failed question is asked again, but not for long."""
        if not store.capabilities.tape_positions:
            return {}
        try:
            found = store.tape_positions(archive_ids)
        except RecallError as error:
            log.warning(
                "a long-term store does not tell the tape positions of archives",
                store=self._name,
                why=str(error),
            )
            for archive_id in archive_ids:
                self._watched[archive_id].lookups += 1
            return {}
        for archive_id in archive_ids:
            self._watched[archive_id].lookups = 0
        return found

    def _look(self, wanted: Sequence[RecallRecord], store: LongTermStore) -> int:
        """Ask the store where what is due for a look is; gives how much was news."""
        now = self._now()
        due = [e for e in wanted if e.phase not in _NEWS and self._watched[e.archive_id].next_look <= now]
        due.sort(key=lambda each: self._watched[each.archive_id].next_look)
        count, ends = 0, now + TURN_SECONDS
        for batch in in_batches(due, store.capabilities.batch):
            if self._now() >= ends:
                break
            self._lead.check()
            states = store.recall_states([AskedArchive(each.archive_id, each.request) for each in batch])
            just_asked = {each.archive_id for each in batch if self._watched[each.archive_id].looks == 0}
            changes = [
                (each, self._judged(each, states, patient=each.archive_id in just_asked)) for each in batch
            ]
            self._write_news((each, change) for each, change in changes if change is not None)
            count += sum(change is not None for _, change in changes)
        return count

    def _write_news(self, changes: Iterable[tuple[RecallRecord, RecallChange]]) -> None:
        """Write down what is new, have the flows look that it concerns, and the log tell of trouble."""
        given = list(changes)
        self._write(change for _, change in given)
        self._tell_all({each.key.pid for each, change in given if _is_news(change)})
        troubles = [(each, change) for each, change in given if _is_trouble(change)]
        for each, change in troubles[:TROUBLES]:
            log.warning(
                "an archive cannot be had now",
                store=self._name,
                archive_id=each.archive_id,
                why=change.reason,
                others=len(troubles) - 1,
            )

    def _judged(
        self, each: RecallRecord, states: Mapping[ArchiveId, RecallState | RecallError], *, patient: bool
    ) -> RecallChange | None:
        watch = self._watched[each.archive_id]
        change = verdict(each, states.get(each.archive_id), self._tools, patient=patient)
        if change is not None and change.phase is RecallPhase.WAITING:
            watch.try_later(self._now(), self._pace)
        if change is not None and change.phase is RecallPhase.ONLINE and each.phase is RecallPhase.ASKED:
            self._planner.delivered(_request(each), self._now())
        seen_missing = each.missing_since is not None or (change is not None and change.is_missing)
        patient = each.phase is RecallPhase.WAITING and not seen_missing
        watch.looked(self._now(), self._pace, patient=patient)
        return change

    def _ask(self, wanted: Sequence[RecallRecord], store: LongTermStore) -> None:
        """Have the planner say what is asked for now, ask for it, and write down what all others wait for."""
        now = self._now()
        concerned: dict[str, list[RecallRecord]] = defaultdict(list)
        for each in wanted:
            if self._takes_part(each, now):
                concerned[each.archive_id].append(each)
        requests = (_request(each) for its in concerned.values() for each in its)
        decision = self._planner.decide(requests, now)
        for batch in in_batches(decision.ask, store.capabilities.batch):
            self._lead.check()
            given = store.request_recalls([ArchiveId(name) for name in batch])
            self._write_news(
                (each, self._asked(each, given.get(each.archive_id, ""), decision, now))
                for name in batch
                for each in concerned[name]
            )
        for name, outlook in decision.outlook.items():
            self._watched[ArchiveId(name)].expected = (
                None if outlook.seconds is None else now + outlook.seconds
            )
        self._write_words(concerned, decision, now)

    def _takes_part(self, each: RecallRecord, now: float) -> bool:
        """Say whether the planner may ask for a recall.

        Its tape position was asked for, it is not missing, and it did not fail just now.
        """
        if each.tape is None or each.phase is RecallPhase.ENDED or each.missing_since is not None:
            return False
        return each.phase is not RecallPhase.WAITING or self._watched[each.archive_id].not_before <= now

    def _asked(
        self, each: RecallRecord, given: str | RecallError, decision: Decision, now: float
    ) -> RecallChange:
        if isinstance(given, RecallError):
            change = refusal(each, given)
            if change.phase is not RecallPhase.ENDED:
                self._watched[each.archive_id].try_later(now, self._pace)
            return change
        self._watched[each.archive_id].asked(now, self._pace)
        outlook = decision.outlook.get(each.archive_id)
        seconds = None if outlook is None else outlook.seconds
        expected = None
        if seconds is not None and seconds < FARTHEST:
            expected = datetime.fromtimestamp(now + seconds, UTC)
        words = None if outlook is None else outlook.text
        return each.change(RecallPhase.ASKED, request=given, expected_at=expected, reason=words)

    def _write_words(
        self, concerned: Mapping[str, Sequence[RecallRecord]], decision: Decision, now: float
    ) -> None:
        """Write down what recalls wait for: of those that say nothing yet now, of the others now and then."""
        anew = now - self._words_at >= WORDS_SECONDS
        if anew:
            self._words_at = now
        asked = set(decision.ask)
        self._write(
            each.change(reason=outlook.text)
            for name, outlook in decision.outlook.items()
            if name not in asked
            for each in concerned[name]
            if outlook.text != each.reason and (anew or not each.reason) and each.phase not in _NEWS
        )

    def _remind(self, wanted: Sequence[RecallRecord]) -> None:
        """Tell flows once more of what is there and was not taken up: the word to them may have been lost."""
        now = self._now()
        news = {each.key: each.key.pid for each in wanted if each.phase in _NEWS}
        self._told = {key: at for key, at in self._told.items() if key in news}
        late = {
            key: pid for key, pid in news.items() if now >= self._told.setdefault(key, now) + REMIND_SECONDS
        }
        if self._tell_all(set(late.values())):
            self._told.update(dict.fromkeys(late, math.inf))

    def _tell_all(self, pids: Iterable[DatasetPid]) -> bool:
        """Tell flows that there is news; says whether all could be told."""
        all_told = True
        for pid in sorted(pids):
            try:
                self._tell(pid)
            except RetrieverError as error:
                log.info("a flow was not told that there is news", pid=pid, why=str(error))
                all_told = False
        return all_told

    def _write(self, changes: Iterable[RecallChange]) -> None:
        for batch in in_batches(changes, AT_ONCE):
            self._tools.ledger.recalls.change(batch)

    def _now(self) -> float:
        return self._tools.clock().timestamp()


def _is_news(change: RecallChange) -> bool:
    """Say whether the flow has to look at a recall.

    It can be copied, has ended, or is to be given up at another time than before.
    """
    return change.phase in _NEWS or bool(change.is_missing)


def _is_trouble(change: RecallChange) -> bool:
    """Say whether it is something that an operator may have to look after."""
    said = bool(change.reason)
    return said and (change.phase in {RecallPhase.WAITING, RecallPhase.ENDED} or bool(change.is_missing))


def _request(each: RecallRecord) -> RecallRequest:
    tape = each.tape or TapePosition("")
    return RecallRequest(
        archive=each.archive_id,
        bytes=each.bytes,
        wanted_at=each.wanted_at.timestamp(),
        group=each.group,
        priority=each.priority,
        tape=tape.tape,
        position=tape.position,
        order=(each.key.pid, each.position),
        phase=each.phase,
        asked_at=None if each.asked_at is None else each.asked_at.timestamp(),
    )
