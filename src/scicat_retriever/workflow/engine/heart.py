"""Heartbeats of running steps, so that the engine notices within seconds that a worker died.

A step blocks in its thread for as long as it needs; one thread of the worker sends the heartbeats of all.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity

INTERVAL = 1.0
"""Seconds between heartbeats; steps shorter than that send none."""
TIMEOUT = 5.0
"""Seconds of silence after which the engine gives a step to another worker."""
FLOW_TIMEOUT = timedelta(seconds=4)
"""Silence after which a worker that decides on a flow's next step is taken for dead.

The engine's default is 10 s.
"""


@dataclass(eq=False)
class Pulse:
    """The heartbeats of one running step.

    Attributes:
        details: What the engine keeps for the next attempt, should this one be lost.
    """

    details: tuple[object, ...] = ()
    _was_late: bool = False
    _context: contextvars.Context = field(default_factory=contextvars.copy_context)
    _due: float = field(default_factory=lambda: time.monotonic() + INTERVAL)

    def beat(self, now: float) -> None:
        """Send a heartbeat if one is due."""
        if now >= self._due:
            self._was_late |= self.is_late(now)
            self._due = now + INTERVAL
            self._context.run(activity.heartbeat, *self.details)

    def is_late(self, now: float) -> bool:
        """Say whether it was ever silent for so long that another worker may have been given the step."""
        return self._was_late or now >= self._due - INTERVAL + TIMEOUT


_current: contextvars.ContextVar[Pulse] = contextvars.ContextVar("pulse")


def remember(*details: object) -> None:
    """Have the engine keep `details` of the running step for its next attempt, from now on."""
    _current.get().details = details
    activity.heartbeat(*details)


def is_stopped() -> bool:
    """Say whether the running step is to end.

    It was cancelled; or this worker stood still, so that another one may run the step.
    """
    return _current.get().is_late(time.monotonic()) or activity.is_cancelled()


class Heart:
    """Beats for all running steps of a worker, in a daemon thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pulses: set[Pulse] = set()
        threading.Thread(target=self._run, name="heart", daemon=True).start()

    @contextmanager
    def beating(self, details: tuple[object, ...]) -> Iterator[Pulse]:
        """Beat for the step that the caller runs, for as long as the context lasts.

        Args:
            details: The details that the engine kept of the attempt before; sent on until the step changes
                them.
        """
        pulse = Pulse(details)
        _current.set(pulse)
        with self._lock:
            self._pulses.add(pulse)
        try:
            yield pulse
        finally:
            # Under the lock, so that no beat comes after the step has ended.
            with self._lock:
                self._pulses.discard(pulse)

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(INTERVAL / 4):
            with self._lock:
                for pulse in self._pulses:
                    pulse.beat(time.monotonic())
