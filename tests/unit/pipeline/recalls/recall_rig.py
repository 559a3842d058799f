"""A store that serves what a recall planner asks of it, step by step, and notes what it was asked for."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from scicat_retriever.domain.states import RecallPhase
from scicat_retriever.recall_planner.planner import Decision, RecallPlanner
from scicat_retriever.recall_planner.requests import RecallPolicy, RecallRequest

START = 1_700_000_000.0
STEP = 30.0


@dataclass
class SteppedStore:
    """Each step, every tape that is asked for gives its first archive, and what was online is copied.

    Attributes:
        policy: The planner's.
        arrivals: What comes to be wanted, by `wanted_at`.
        asked: What was asked for, in order, with the time.
        decisions: All decisions, with what was open then and the time.
    """

    policy: RecallPolicy
    arrivals: list[RecallRequest]
    asked: list[tuple[float, RecallRequest]] = field(default_factory=list)
    decisions: list[tuple[float, list[RecallRequest], Decision]] = field(default_factory=list)

    def run(self, most_steps: int) -> None:
        """Go on until all is copied, or so many steps are done."""
        planner = RecallPlanner(self.policy)
        coming = sorted(self.arrivals, key=lambda each: each.wanted_at)
        open_: dict[str, RecallRequest] = {}
        now = START
        for _ in range(most_steps):
            while coming and coming[0].wanted_at <= now:
                arrived = coming.pop(0)
                open_[arrived.archive] = arrived
            if not coming and not open_:
                return
            decision = planner.decide(list(open_.values()), now)
            self.decisions.append((now, list(open_.values()), decision))
            for archive in decision.ask:
                open_[archive] = replace(open_[archive], phase=RecallPhase.ASKED, asked_at=now)
                self.asked.append((now, open_[archive]))
            now += STEP
            self._serve(planner, open_, now)

    def _serve(self, planner: RecallPlanner, open_: dict[str, RecallRequest], now: float) -> None:
        for archive in [each.archive for each in open_.values() if each.phase is RecallPhase.ONLINE]:
            del open_[archive]
        served = set()
        for request in [request for _, request in self.asked if request.archive in open_]:
            if open_[request.archive].phase is RecallPhase.ASKED and request.tape not in served:
                served.add(request.tape)
                open_[request.archive] = replace(request, phase=RecallPhase.ONLINE)
                planner.delivered(request, now)


def waiting(archive: str, **how: object) -> RecallRequest:
    """A request of 10 bytes that has waited since `START`, other than given."""
    return replace(RecallRequest(archive, 10, START), **how)  # type: ignore[arg-type]


def names(requests: Iterable[RecallRequest]) -> list[str]:
    return [each.archive for each in requests]
