"""A few threads for calls that may never return.

A system call on a dead network mount cannot be cancelled. The standard `ThreadPoolExecutor` waits for such a thread
when the process ends; these threads are daemons, which it does not.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, wait
from typing import Any, TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

IDLE_SECONDS = 10.0
"""After so long without work a thread ends; so there is nothing to close."""


class CallHung(Exception):
    """A call did not return in time, or no thread was free to make it."""


class DaemonPool:
    """Runs calls on at most `threads` daemon threads, in the order given; the rest wait without a thread.

    Attributes:
        threads: The most threads.
    """

    def __init__(self, name: str, threads: int) -> None:
        self.threads = threads
        self._name = name
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._running: dict[Future[Any], float] = {}
        self._started = 0
        self._idle = 0

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Have `call` run as soon as a thread is free; returns at once."""
        future: Future[T] = Future()
        with self._changed:
            self._waiting.append((future, call))
            if self._idle < len(self._waiting) and self._started < self.threads:
                self._started += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            self._changed.notify()
        return future

    def ask(self, call: Callable[[], T], timeout: float) -> T:
        """Run `call` and give its result, or what it raised.

        Raises:
            CallHung: It did not return within `timeout` seconds, or every thread has been hung for longer than that.
        """
        answer = self.ask_each({"": call}, timeout)[""]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask_each(self, calls: Mapping[K, Callable[[], T]], timeout: float) -> dict[K, T | Exception]:
        """Run calls side by side.

        Returns:
            For each its result or what it raised; `CallHung` for one that has not returned when `timeout` seconds are over.
        """
        hung = self.hung(timeout)
        if hung == self.threads:
            stuck = CallHung(f"all {hung} threads that may ask have had no answer for over {timeout:g} s")
            return dict.fromkeys(calls, stuck)
        futures = {key: self.submit(call) for key, call in calls.items()}
        wait(futures.values(), timeout)
        answers: dict[K, T | Exception] = {}
        for key, future in futures.items():
            outcome = _outcome(future, timeout)
            answers[key] = outcome
        return answers

    def hung(self, seconds: float) -> int:
        """Count the calls that have been running for more than `seconds`."""
        before = time.monotonic() - seconds
        with self._changed:
            return sum(started < before for started in self._running.values())

    def _work(self) -> None:
        while (job := self._next()) is not None:
            future, call = job
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001 - it belongs to whoever holds the future
                    future.set_exception(error)
            with self._changed:
                del self._running[future]
            del future, call, job

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: bool(self._waiting), IDLE_SECONDS)
            self._idle -= 1
            if not self._waiting:
                self._started -= 1
                return None
            job = self._waiting.popleft()
            self._running[job[0]] = time.monotonic()
            return job


def _outcome(future: Future[T], timeout: float) -> T | Exception:
    if not future.done():
        queued = future.cancel()
        if queued or not future.done():
            return CallHung(f"no {'thread was free' if queued else 'answer'} within {timeout:g} s")
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, Exception):
        return error
    raise error
