"""A few threads for calls that may never return.

A system call on a dead network mount cannot be cancelled. The standard `ThreadPoolExecutor` waits for such a
thread when the process ends; these threads are daemons, which it does not.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

IDLE_SECONDS = 10.0
"""After so long without work a thread ends; so there is nothing to close."""


class CallHung(Exception):
    """A call did not return in time, or no thread was free for it, or no thread could be started.

    Attributes:
        since: When the call that does not return began, of `time.monotonic`; infinite where it was not made.
    """

    def __init__(self, message: str, since: float = math.inf) -> None:
        super().__init__(message)
        self.since = since


@dataclass(slots=True)
class _Run:
    """A call that runs.

    Attributes:
        began: When it began, of `time.monotonic`.
        given_up: The key that it was asked with, once nobody waits for it any more; None before.
        left: Whether it was left behind: it does not count among the calls that run at the same time.
    """

    began: float
    given_up: Hashable | None = None
    left: bool = False


class DaemonPool:
    """Runs calls on at most `threads` daemon threads, in the order given; the rest wait without a thread.

    Args:
        name: The threads' name.
        threads: The most threads.
        spare: The most further threads, in place of those whose calls are left behind.

    Attributes:
        threads: As given.
        answered_at: When a call last gave an answer, of `time.monotonic`. It is set by the code that asks,
            which decides what an answer is.
    """

    def __init__(self, name: str, threads: int, spare: int = 0) -> None:
        self.threads = threads
        self.answered_at = -math.inf
        self._name = name
        self._spare = spare
        self._changed = threading.Condition()
        self._waiting: OrderedDict[Future[Any], Callable[[], Any]] = OrderedDict()
        self._running: dict[Future[Any], _Run] = {}
        self._started = 0
        self._idle = 0

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Have `call` run as soon as a thread is free; returns at once.

        A call that is cancelled before that is not run.

        Raises:
            CallHung: The call needs a new thread, and the system lets none be started.
        """
        future: Future[T] = Future()
        with self._changed:
            self._waiting[future] = call
            try:
                self._start_thread()
            except (RuntimeError, MemoryError) as error:
                del self._waiting[future]
                raise CallHung(f"no thread can be started ({error})") from error
            self._changed.notify()
        future.add_done_callback(self._drop_cancelled)
        return future

    def ask(self, call: Callable[[], T], timeout: float) -> T:
        """Run `call` and give its result, or what it raised.

        Raises:
            CallHung: The call did not return within `timeout` seconds; or it was not made, since every thread
                has hung for longer than that, or no thread could be started.
        """
        key = object()
        answer = self.ask_each({key: call}, timeout)[key]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask_each(self, calls: Mapping[K, Callable[[], T]], timeout: float) -> dict[K, T | Exception]:
        """Run calls side by side.

        A call is not made while an earlier call with the same key still runs that was given up: a call that
        hangs takes one thread, however often it is asked for.

        Returns:
            For each key the result of its call or what the call raised; `CallHung` where the call was not
            made, or has not returned when `timeout` seconds are over.
        """
        if self.hung(timeout) >= self.threads:
            stuck = CallHung(
                f"all {self.threads} threads that may ask have had no answer for over {timeout:g} s"
            )
            return dict.fromkeys(calls, stuck)
        answers: dict[K, T | Exception] = {}
        futures: dict[K, Future[T]] = {}
        hanging = self._hanging()
        for key, call in calls.items():
            if key in hanging:
                answers[key] = CallHung("there is still no answer to the same question before", hanging[key])
                continue
            try:
                futures[key] = self.submit(call)
            except CallHung as error:
                answers[key] = error
        wait(futures.values(), min(timeout, threading.TIMEOUT_MAX))
        for key, future in futures.items():
            outcome = _outcome(future, self._give_up(key, future, timeout))
            answers[key] = outcome
        return answers

    def hung(self, seconds: float) -> int:
        """Count the calls that have been running for more than `seconds`."""
        before = time.monotonic() - seconds
        with self._changed:
            return sum(run.began < before for run in self._running.values())

    def leave(self, future: Future[Any]) -> None:
        """Leave a call behind: it does not count as running, and a spare thread takes its place if it can."""
        with self._changed:
            if (run := self._running.get(future)) is not None:
                run.left = True
            self._replace()

    def leave_older(self, seconds: float) -> None:
        """Leave all calls behind that have been running for more than `seconds`; see `leave`."""
        before = time.monotonic() - seconds
        with self._changed:
            for run in self._running.values():
                run.left |= run.began < before
            self._replace()

    def _hanging(self) -> dict[Hashable, float]:
        with self._changed:
            runs = self._running.values()
            return {run.given_up: run.began for run in runs if run.given_up is not None}

    def _give_up(self, key: Hashable, future: Future[Any], timeout: float) -> CallHung | None:
        """Wait no longer for a call; None if it ended."""
        with self._changed:
            if future in self._waiting:
                future.cancel()
                return CallHung(f"no thread was free within {timeout:g} s")
            run = self._running.get(future)
            if run is None or future.done():
                return None
            run.given_up = key
            return CallHung(f"no answer within {timeout:g} s", run.began)

    def _drop_cancelled(self, future: Future[Any]) -> None:
        if future.cancelled():
            with self._changed:
                self._waiting.pop(future, None)

    def _counted(self) -> int:
        return self._started - sum(run.left for run in self._running.values())

    def _start_thread(self) -> bool:
        """Start a thread if one is wanted and may be; says whether one was. Called with the lock held."""
        wanted = self._idle < len(self._waiting)
        if not wanted or self._counted() >= self.threads or self._started >= self.threads + self._spare:
            return False
        self._started += 1
        try:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        except BaseException:
            self._started -= 1
            raise
        return True

    def _replace(self) -> None:
        try:
            while self._start_thread():
                pass
        except (RuntimeError, MemoryError):
            return  # it is tried again with the next call that is submitted or left

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
            superfluous = self._counted() > self.threads  # this one's call was left behind, and came back
            if not superfluous:
                self._idle += 1
                self._changed.wait_for(lambda: bool(self._waiting), IDLE_SECONDS)
                self._idle -= 1
            if superfluous or not self._waiting:
                self._started -= 1
                return None
            future, call = self._waiting.popitem(last=False)
            self._running[future] = _Run(time.monotonic())
            return future, call


def _outcome(future: Future[T], hung: CallHung | None) -> T | Exception:
    if hung is not None:
        return hung
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, Exception):
        return error
    raise error
