"""One decision for a store with tapes: which tapes go on being read, and which are begun."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from scicat_retriever.recall_planner.bundles import Allowance, Bundle
from scicat_retriever.recall_planner.outlook import Prospect, Reading
from scicat_retriever.recall_planner.rates import ObservedRates, Shares
from scicat_retriever.recall_planner.requests import RecallPolicy, RecallRequest
from scicat_retriever.recall_planner.sessions import Sessions, TapeSession
from scicat_retriever.recall_planner.turns import FORESEEN, charge, turns_of_bundles

BITE = 0.5
"""The share of a drive's bytes in flight that must be free before an idle tape is asked for.

A tape for which less waits needs only room for what waits. With less room the tape would stop in its drive,
waiting for room, until the store puts it back.
"""


class Round:
    """One decision; `run` is called once.

    Args:
        policy: How the store is used.
        sessions: The open tapes, brought up to date.
        shares: The drive time that groups had.
        rates: How fast the store is.
        allowance: What the store may still be asked for.
        now: The moment, seconds.
    """

    def __init__(
        self,
        policy: RecallPolicy,
        sessions: Sessions,
        shares: Shares,
        rates: ObservedRates,
        allowance: Allowance,
        now: float,
    ) -> None:
        self._policy = policy
        self._sessions = sessions
        self._shares = shares
        self._rates = rates
        self._allowance = allowance
        self._now = now
        self._overdue = now - policy.longest_wait
        self._asked: list[RecallRequest] = []
        self._busy: list[Bundle] = []
        self._stalled: list[Bundle] = []
        self._blocked = False
        """Whether an overdue bundle waits for room: nothing else may take that room."""

    def run(self, bundles: Sequence[Bundle]) -> tuple[list[RecallRequest], Prospect]:
        """Give the requests that the store is asked for, in order, and the prospect after that."""
        asked = [bundle for bundle in bundles if bundle.tape and bundle.asked]
        self._stalled = [bundle for bundle in asked if self._sessions.is_stalled(bundle.tape, self._now)]
        self._busy = [bundle for bundle in asked if bundle not in self._stalled]
        open_ = [bundle for bundle in bundles if self._sessions.get(bundle.tape) is not None]
        ripe, collecting = self._parted([each for each in bundles if self._sessions.get(each.tape) is None])
        ripe = self._begin_overdue(ripe)
        more_ripe, more_collecting = self._parted(self._feed(open_, ripe))
        queue = self._begin(ripe + more_ripe)
        collecting = sorted(collecting + more_collecting, key=lambda each: each.becomes_ripe(self._policy))
        asked_blindly = [request for bundle in bundles if not bundle.tape for request in bundle.asked]
        readings = [self._reading(bundle) for bundle in self._busy]
        readings += [replace(self._reading(bundle), stalled=True) for bundle in self._stalled]
        return self._asked, Prospect(readings, queue, collecting, asked_blindly)

    def _parted(self, bundles: Sequence[Bundle]) -> tuple[list[Bundle], list[Bundle]]:
        """Part the bundles in which something waits: worth asking for now, or not yet."""
        ripe: list[Bundle] = []
        collecting: list[Bundle] = []
        for bundle in bundles:
            if bundle.waiting:
                (ripe if bundle.becomes_ripe(self._policy) <= self._now else collecting).append(bundle)
        return ripe, collecting

    def _begin_overdue(self, ripe: list[Bundle]) -> list[Bundle]:
        """Begin overdue bundles, the oldest first; gives the bundles that are left."""
        left = [bundle for bundle in ripe if bundle.oldest > self._overdue]
        for bundle in sorted(ripe, key=lambda each: each.oldest):
            if bundle.oldest > self._overdue:
                break
            if self._blocked or not self._began(bundle):
                left.append(bundle)
                self._blocked = self._blocked or self._lacks_room(bundle)
        return left

    def _feed(self, open_: Sequence[Bundle], ripe: Sequence[Bundle]) -> list[Bundle]:
        """Ask for more of the open tapes; gives bundles of the requests that must wait for a turn.

        A stalled tape, and one whose drive an overdue bundle took, is asked for nothing more.
        """
        others = [bundle for bundle in ripe if bundle.tape]
        others_overdue = any(bundle.oldest <= self._overdue for bundle in others)
        left = []
        for bundle in open_:
            session = self._sessions.get(bundle.tape)
            full = len(self._busy) >= self._policy.drives
            takes_last = len(self._busy) + (not bundle.asked) >= self._policy.drives
            if session is None or bundle in self._stalled:
                left.append(bundle)
                continue
            rest = bundle.part(
                self._served_until(session, contended=takes_last and bool(others), overdue=others_overdue)
            )
            if not bundle.asked:
                if full or (rest.waiting and not bundle.waiting):
                    self._sessions.close(bundle.tape)
                    left.append(bundle.with_all(rest))
                    continue
                session.since = self._now
            if not self._blocked and (bundle.asked or self._bites(bundle)):
                self._take(bundle, mount=0.0)
            left.append(rest if bundle.asked else bundle.with_all(rest))
        return left

    def _served_until(self, session: TapeSession, *, contended: bool, overdue: bool) -> float:
        """Give the latest `wanted_at` of a request that is read while its tape is open, seconds.

        Args:
            session: The tape.
            contended: Whether other tapes wait, and have no drive beside this tape's.
            overdue: Whether a bundle of another tape is overdue.
        """
        if contended and self._now - session.opened_at >= self._policy.longest_session:
            return -math.inf
        return max(session.opened_at, self._overdue) if overdue else math.inf

    def _begin(self, ripe: Sequence[Bundle]) -> list[Bundle]:
        """Begin bundles by turn; gives those that have to wait, in the order of their turns."""
        queue = [bundle for bundle in ripe if bundle.oldest <= self._overdue]
        queue.sort(key=lambda bundle: bundle.oldest)
        foreseen = self._shares.copy()
        for bundle in queue[:FORESEEN]:
            charge(foreseen, bundle.waiting, self._rates, self._rates.mount_seconds)
        turns = turns_of_bundles((each for each in ripe if each.oldest > self._overdue), foreseen)
        for bundle in turns:
            waiting = bundle.waiting
            if self._blocked or not self._began(bundle):
                queue.append(bundle)
            if len(queue) < FORESEEN:
                charge(foreseen, waiting, self._rates, self._rates.mount_seconds)
        return queue

    def _began(self, bundle: Bundle) -> bool:
        """Ask for a bundle, if it has a drive and room; says whether it needs no other turn."""
        if not bundle.tape:
            self._take(bundle, mount=self._rates.mount_seconds)
            return not bundle.waiting
        if self._sessions.get(bundle.tape) is not None or len(self._busy) >= self._policy.drives:
            return False
        if not self._bites(bundle) or not self._take(bundle, mount=self._rates.mount_seconds):
            return False
        self._sessions.open(bundle.tape, self._now)
        asked = {each.tape for each in (*self._busy, *self._stalled)}
        self._sessions.make_way(asked, self._policy.drives - len(self._busy))
        return True

    def _bites(self, bundle: Bundle) -> bool:
        """Say whether there is room for enough of an idle tape: see `BITE`."""
        room = min(self._allowance.bytes, self._part() - bundle.flying)
        return self._allowance.idle or min(bundle.bytes, BITE * self._part()) <= room

    def _lacks_room(self, bundle: Bundle) -> bool:
        """Say whether a bundle waits for room that others take, and not for a drive."""
        if bundle.tape and len(self._busy) >= self._policy.drives:
            return False
        bite = min(bundle.bytes, BITE * self._part()) if bundle.tape else 0
        return not self._allowance.requests or max(bundle.waiting[0].bytes, bite) > self._allowance.bytes

    def _part(self) -> float:
        """Give the bytes in flight that one tape may have."""
        return self._policy.bytes_in_flight / self._policy.drives

    def _take(self, bundle: Bundle, mount: float) -> list[RecallRequest]:
        """Ask for as much of a bundle as is allowed, in its order; gives the requests."""
        part = self._part() if bundle.tape else math.inf
        most = math.ceil(self._policy.requests_in_flight / self._policy.drives) if bundle.tape else math.inf
        taken: list[RecallRequest] = []
        size, count = bundle.flying, len(bundle.asked) + len(bundle.online)
        for request in bundle.waiting:
            if (
                not self._allowance.fits(request.bytes)
                or count >= most
                or (size and size + request.bytes > part)
            ):
                break
            self._allowance.take(request.bytes)
            taken.append(request)
            size, count = size + request.bytes, count + 1
        if taken:
            if bundle.tape and not bundle.asked:
                self._busy.append(bundle)
            bundle.take(taken)
            self._asked += taken
            charge(self._shares, taken, self._rates, mount)
        return taken

    def _reading(self, bundle: Bundle) -> Reading:
        session = self._sessions.get(bundle.tape)
        if session is None:
            return Reading(bundle, mounting=True, since=self._now)
        return Reading(bundle, session.mounting, session.since)
