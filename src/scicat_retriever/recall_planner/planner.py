"""The recall planner: which archives one store is asked for, in which order and when.

It decides for all jobs and owner groups together. It commands no drives; the store does. It chooses what the
store is asked for, and so which tapes the store mounts. It reads no clock and asks nobody. It remembers only
what makes its decisions better: speeds, the drive time that groups had, and which tapes are probably still
mounted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scicat_retriever.domain.states import RecallPhase
from scicat_retriever.recall_planner.bundles import Allowance, Bundle, bundled, joined
from scicat_retriever.recall_planner.outlook import Outlook, by_queue, outlooks, tell_online
from scicat_retriever.recall_planner.rates import EtaError, Forecasts, ObservedRates, Shares
from scicat_retriever.recall_planner.requests import RecallPolicy, RecallRequest
from scicat_retriever.recall_planner.round import Round
from scicat_retriever.recall_planner.sessions import Sessions
from scicat_retriever.recall_planner.turns import charge, in_turn

_Decided = tuple[list[RecallRequest], dict[str, Outlook], float]
LOOK_AGAIN = 60.0
"""The longest time until the next look, seconds."""
SOONEST = 1.0
"""The shortest time until the next look, seconds."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the planner decided.

    Attributes:
        ask: The archives that the store is to be asked for now, in this order.
        outlook: The outlook of each open archive; those in `ask` count as asked for.
        look_again: When it is worth deciding again if nothing changes until then; seconds since 1970, UTC.
    """

    ask: tuple[str, ...]
    outlook: Mapping[str, Outlook]
    look_again: float


class RecallPlanner:
    """The planner for one store. It must not be used by several threads at once.

    Args:
        policy: How the store is used.
    """

    def __init__(self, policy: RecallPolicy) -> None:
        self.policy = policy
        self._rates = ObservedRates(policy)
        self._forecasts = Forecasts()
        self._shares = Shares(policy.weights, policy.usage_half_life)
        self._sessions = Sessions(policy.linger, policy.stall_time)
        self._tokens = float(policy.burst)
        self._filled_at: float | None = None

    @property
    def eta_error(self) -> EtaError | None:
        """The error of the first forecast of archives that came lately; None before the first came."""
        return self._forecasts.error

    def delivered(self, request: RecallRequest, now: float) -> None:
        """Learn that an archive is online. Call it once for each archive.

        Args:
            request: The archive's request, as given to the last `decide`.
            now: When that was seen, seconds since 1970, UTC.
        """
        self._forecasts.judge(request.archive, now)
        if request.tape and self.policy.collect:
            self._sessions.delivered(request, self._rates, now)
        elif request.asked_at is not None:
            self._rates.saw_answer(max(0.0, now - request.asked_at))

    def decide(self, requests: Iterable[RecallRequest], now: float) -> Decision:
        """Decide which archives the store is asked for now.

        Archives in `Decision.ask` count against the limits at once, and must be given as `ASKED` to the next
        call.

        Args:
            requests: All open requests of the store.
            now: Seconds since 1970, UTC. It should not go back.
        """
        open_requests = joined(requests)
        self._shares.fade(now)
        self._fill(now)
        decide = self._by_tape if self.policy.collect else self._one_by_one
        asked, told, due = decide(open_requests, now)
        self._tokens -= len(asked)
        tell_online([each for each in open_requests if each.phase is RecallPhase.ONLINE], told)
        self._forecasts.note(told, now)
        return Decision(
            tuple(request.archive for request in asked), told, min(max(due, now + SOONEST), now + LOOK_AGAIN)
        )

    def _by_tape(self, requests: Sequence[RecallRequest], now: float) -> _Decided:
        bundles = bundled(requests)
        self._sessions.see({bundle.tape: bundle for bundle in bundles if bundle.tape and bundle.asked}, now)
        flying = [self._in_flight(each, now) for each in bundles]
        allowance = self._allowance([size for sizes in flying for size in sizes])
        round_ = Round(self.policy, self._sessions, self._shares, self._rates, allowance, now)
        asked, prospect = round_.run(bundles)
        ripe = [bundle.becomes_ripe(self.policy) for bundle in prospect.collecting]
        return asked, outlooks(prospect, self.policy, self._rates, now), min(ripe, default=math.inf)

    def _one_by_one(self, requests: Sequence[RecallRequest], now: float) -> _Decided:
        flying = [each for each in requests if each.phase is not RecallPhase.WAITING]
        allowance = self._allowance([each.bytes for each in flying if not self._is_given_up(each, now)])
        waiting = [each for each in requests if each.phase is RecallPhase.WAITING]
        queue = in_turn(
            waiting, self._shares, self._rates, now - self.policy.longest_wait, allowance.requests
        )
        count = 0
        for request in queue:
            if not allowance.fits(request.bytes):
                break
            allowance.take(request.bytes)
            count += 1
        asked, left = queue[:count], queue[count:]
        charge(self._shares, asked, self._rates)
        out = [*(each for each in requests if each.phase is RecallPhase.ASKED), *asked]
        return asked, by_queue(left, out, self.policy, self._rates, now), math.inf

    def _in_flight(self, bundle: Bundle, now: float) -> list[int]:
        """Give the bytes of each archive of a bundle that counts as in flight."""
        if bundle.tape:
            return bundle.in_flight(stalled=self._sessions.is_stalled(bundle.tape, now))
        asked = [each.bytes for each in bundle.asked if not self._is_given_up(each, now)]
        return [*asked, *(each.bytes for each in bundle.online)]

    def _is_given_up(self, request: RecallRequest, now: float) -> bool:
        """Say whether an archive of unknown tape was asked for longer than `stall_time` ago.

        Others do not wait for such an archive.
        """
        asked_at = request.asked_at if request.phase is RecallPhase.ASKED else None
        return asked_at is not None and now - asked_at > self.policy.stall_time

    def _fill(self, now: float) -> None:
        """Add the requests that the rate allows for the time since the last call."""
        if self.policy.requests_per_second is not None and self._filled_at is not None:
            gained = max(0.0, now - self._filled_at) * self.policy.requests_per_second
            self._tokens = min(float(self.policy.burst), self._tokens + gained)
        self._filled_at = now

    def _allowance(self, in_flight: Sequence[int]) -> Allowance:
        """Give what may be asked for beside archives in flight, given by their bytes."""
        return Allowance(
            bytes=self.policy.bytes_in_flight - sum(in_flight),
            requests=self.policy.requests_in_flight - len(in_flight),
            tokens=math.inf if self.policy.requests_per_second is None else self._tokens,
            idle=not in_flight,
        )
