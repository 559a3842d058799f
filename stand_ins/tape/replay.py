"""Replays a trace through a tape library: with the recall planner, or first come, first served."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from scicat_retriever.domain.states import RecallPhase
from scicat_retriever.recall_planner.planner import Decision, RecallPlanner
from scicat_retriever.recall_planner.requests import RecallPolicy, RecallRequest
from stand_ins.tape.library import TapeLibrary
from stand_ins.tape.optimum import Read
from stand_ins.tape.shape import Happening, LibraryShape, TapeEvent
from stand_ins.tape.traces import Ask, Trace

FOR_EVER = 1e12


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is around the library.

    Attributes:
        staged_seconds: How long an archive stays in staging after it was asked for last.
        copy_bytes_per_second: How fast all that is online is copied into staging.
        look_seconds: How often the planner is asked while something is open.
        known_tapes: Whether the planner is told on which tapes archives lie, and where.
    """

    staged_seconds: float = 14 * 86_400.0
    copy_bytes_per_second: float = 2e9
    look_seconds: float = 30.0
    known_tapes: bool = True


@dataclass(slots=True)
class Replayed:
    """What came of a trace.

    Attributes:
        mounts: Tapes mounted.
        reads: Archives read from tape.
        recalls: Archives that had to be read, since they were not in staging, nor on their way there.
        waits: Seconds from asking to being online, of each ask that was not for something in staging, in ascending order.
        end: When the last archive was online, seconds.
        eta_errors: How wrong the planner's first outlook of each archive was, `|outlook - wait| / wait`, ascending; waits
            of less than a minute count as one.
        decide_seconds: What each decision took, seconds of processor time, in ascending order.
        most_open: The most archives that were open when it decided.
        texts: How many different texts in succession the archives were given, all counted.
    """

    mounts: int = 0
    reads: int = 0
    recalls: int = 0
    waits: list[float] = field(default_factory=list)
    end: float = 0.0
    eta_errors: list[float] = field(default_factory=list)
    decide_seconds: list[float] = field(default_factory=list)
    most_open: int = 0
    texts: int = 0

    def wait(self, share: float) -> float:
        """Give the wait, seconds, that so large a share of the asks did not exceed."""
        return self.waits[min(len(self.waits) - 1, int(share * len(self.waits)))] if self.waits else 0.0


def recalls(trace: Trace, around: Surroundings) -> Iterator[Ask]:
    """Give the asks for what is neither in staging then, nor on its way: what has to be read, whoever decides when."""
    staged: dict[str, float] = {}
    for ask in trace.asks:
        if ask.at > staged.get(ask.archive.name, -1.0):
            yield ask
        staged[ask.archive.name] = ask.at + around.staged_seconds


def reads(trace: Trace, around: Surroundings) -> list[Read]:
    """Give what has to be read, for the optimum."""
    return [Read(ask.archive.tape, ask.at, ask.archive.bytes) for ask in recalls(trace, around)]


def replay(
    trace: Trace, shape: LibraryShape, policy: RecallPolicy | None, around: Surroundings | None = None
) -> Replayed:
    """Replay a trace until all is online.

    Args:
        trace: What is asked for.
        shape: The library.
        policy: How the planner uses it; None has each archive asked for when it is wanted.
        around: What is around the library.
    """
    return _Replay(trace, shape, policy, around or Surroundings()).run()


class _Replay:
    def __init__(
        self, trace: Trace, shape: LibraryShape, policy: RecallPolicy | None, around: Surroundings
    ) -> None:
        self._trace = trace
        self._around = around
        self._planner = None if policy is None else RecallPlanner(policy)
        self._events: list[TapeEvent] = []
        self._library = TapeLibrary(shape, on_event=self._events.append)
        for archive in trace.archives:
            self._library.store(archive.name, archive.bytes, tape=archive.tape, position=archive.position)
        self._open: dict[str, RecallRequest] = {}
        self._asked_at: dict[str, list[float]] = {}
        self._copies: list[tuple[float, str]] = []
        self._copied_at = 0.0
        self._texts: dict[str, str] = {}
        self._expected: dict[str, tuple[float, float]] = {}
        self._result = Replayed()

    def run(self) -> Replayed:
        wanted = list(recalls(self._trace, self._around))
        first_asks = {id(ask) for ask in wanted}
        self._result.recalls = len(wanted)
        asks = iter(self._trace.asks)
        ask = next(asks, None)
        now, look_at = 0.0, 0.0
        while ask is not None or self._open:
            if not self._open and ask is not None:
                now = max(now, ask.at)
            changed = False
            while ask is not None and ask.at <= now:
                changed = self._want(ask, is_first=id(ask) in first_asks) or changed
                ask = next(asks, None)
            changed = self._let_pass(now) or changed
            if self._planner is not None and (changed or now >= look_at):
                look_at = self._decide(self._planner, now)
            now += self._around.look_seconds
        counts = self._library.counts()
        self._result.mounts, self._result.reads = counts.mounts, counts.reads
        self._result.waits.sort()
        self._result.eta_errors.sort()
        self._result.decide_seconds.sort()
        return self._result

    def _want(self, ask: Ask, *, is_first: bool) -> bool:
        """Take an ask; says whether it made something new open."""
        archive = ask.archive
        if not is_first:
            if archive.name in self._asked_at:
                self._asked_at[archive.name].append(ask.at)
            return False
        known = self._around.known_tapes
        self._asked_at[archive.name] = [ask.at]
        request = RecallRequest(
            archive=archive.name,
            bytes=archive.bytes,
            wanted_at=ask.at,
            group=ask.group,
            priority=ask.priority,
            tape=archive.tape if known else "",
            position=archive.position if known else 0,
            order=(f"{archive.dataset:06}", archive.place),
        )
        if self._planner is None:
            self._library.advance(ask.at)
            self._library.recall([archive.name], FOR_EVER)
            request = replace(request, phase=RecallPhase.ASKED, asked_at=ask.at)
        self._open[archive.name] = request
        return True

    def _let_pass(self, now: float) -> bool:
        """Let the library and the copies work until now; says whether anything came of it."""
        self._library.advance(now)
        changed = False
        for event in self._events:
            if event.what is Happening.READ:
                self._deliver(event, now)
                changed = True
        self._events.clear()
        while self._copies and self._copies[0][0] <= now:
            name = heapq.heappop(self._copies)[1]
            del self._open[name]
            self._library.release([name])
            self._texts.pop(name, None)
            changed = True
        return changed

    def _deliver(self, event: TapeEvent, now: float) -> None:
        name = event.subject
        request = self._open[name]
        self._result.waits += [event.time - at for at in self._asked_at.pop(name) if at <= event.time]
        self._result.end = event.time
        self._open[name] = replace(request, phase=RecallPhase.ONLINE)
        self._copied_at = (
            max(self._copied_at, event.time) + request.bytes / self._around.copy_bytes_per_second
        )
        heapq.heappush(self._copies, (self._copied_at, name))
        if self._planner is not None:
            self._planner.delivered(request, now)
        if name in self._expected:
            at, seconds = self._expected.pop(name)
            waited = event.time - at
            self._result.eta_errors.append(abs(seconds - waited) / max(waited, 60.0))

    def _decide(self, planner: RecallPlanner, now: float) -> float:
        began = time.process_time()
        decision = planner.decide(self._open.values(), now)
        self._result.decide_seconds.append(time.process_time() - began)
        self._result.most_open = max(self._result.most_open, len(self._open))
        self._note_outlooks(decision, now)
        if decision.ask:
            self._library.recall(decision.ask, FOR_EVER)
            for name in decision.ask:
                self._open[name] = replace(self._open[name], phase=RecallPhase.ASKED, asked_at=now)
        return decision.look_again

    def _note_outlooks(self, decision: Decision, now: float) -> None:
        for name, outlook in decision.outlook.items():
            if name not in self._texts and outlook.seconds is not None:
                self._expected[name] = (now, outlook.seconds)
            if self._texts.get(name) != outlook.text:
                self._texts[name] = outlook.text
                self._result.texts += 1
