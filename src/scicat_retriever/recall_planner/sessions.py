"""The sessions of tapes: from the first archive that is asked for until the store puts the tape back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from scicat_retriever.recall_planner.bundles import Bundle
from scicat_retriever.recall_planner.rates import ObservedRates
from scicat_retriever.recall_planner.requests import RecallRequest


@dataclass(slots=True)
class TapeSession:
    """A tape that is read, or was a moment ago.

    Attributes:
        opened_at: When the first archive was asked for, seconds.
        since: Since when the next archive is waited for: when the last one came, an idle tape was asked for,
            or the session was found.
        busy_at: When something was last known to be asked for and not to have come.
        mounting: Whether no archive came yet.
    """

    opened_at: float
    since: float
    busy_at: float
    mounting: bool = True


class Sessions:
    """The open tapes of a store, by label.

    Sessions that are lost in a crash are guessed from what the store was asked for.

    Args:
        linger: Seconds for which a tape that nothing is asked of is probably still in its drive.
        stall_time: Seconds after which a tape that gave nothing is not waited for.
    """

    def __init__(self, linger: float, stall_time: float) -> None:
        self._linger = linger
        self._stall_time = stall_time
        self._open: dict[str, TapeSession] = {}

    def get(self, tape: str) -> TapeSession | None:
        """Give the session of a tape; None where the tape is not open."""
        return self._open.get(tape)

    def is_stalled(self, tape: str, now: float) -> bool:
        """Say whether a tape gave nothing for so long that others should not wait for it."""
        session = self._open.get(tape)
        return session is not None and now - session.since > self._stall_time

    def open(self, tape: str, now: float) -> None:
        """Begin the session of a tape that is asked for."""
        self._open[tape] = TapeSession(now, now, now)

    def close(self, tape: str) -> None:
        """End the session of a tape, which is not kept in its drive."""
        self._open.pop(tape, None)

    def see(self, asked: Mapping[str, Bundle], now: float) -> None:
        """Bring sessions up to what is asked of tapes now; end those of tapes that were idle for `linger`."""
        for tape, bundle in asked.items():
            session = self._open.get(tape)
            if session is None:
                began = min(request.asked_at or now for request in bundle.asked)
                self._open[tape] = TapeSession(began, now, now)
            else:
                session.busy_at = now
        self._open = {
            tape: session for tape, session in self._open.items() if now - session.busy_at <= self._linger
        }

    def make_way(self, asked: Collection[str], drives: int) -> None:
        """Close the sessions that have no drive any more: those of tapes that are idle for longest.

        Args:
            asked: Tapes that something is asked of.
            drives: How many drives are left for the others.
        """
        idle = sorted(self._open.keys() - asked, key=lambda tape: (self._open[tape].busy_at, tape))
        for tape in idle[: max(0, len(idle) - max(0, drives))]:
            self.close(tape)

    def delivered(self, request: RecallRequest, rates: ObservedRates, now: float) -> None:
        """Learn from an archive that came."""
        session = self._open.get(request.tape)
        if session is None:
            return
        asked_at = now if request.asked_at is None else request.asked_at
        seconds = max(0.0, now - max(session.since, asked_at))
        if session.mounting:
            rates.saw_mount(seconds, request.bytes)
        else:
            rates.saw_read(seconds, request.bytes)
        session.mounting, session.since = False, now
