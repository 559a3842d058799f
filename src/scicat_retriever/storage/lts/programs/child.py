"""Programs that are run beside the service: without a shell, with limits to their time and their output."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Self

from scicat_retriever.domain.foreign_text import one_line
from scicat_retriever.storage.lts.hanging_calls.daemon_pool import CallHung, DaemonPool

OUTPUT_LIMIT = 64 * 1024
"""Most bytes that a command about one archive may print; one that prints more is ended."""

COMPLAINT_LIMIT = 4096
"""Number of the last bytes of a command's stderr that are kept."""

MOST_UNENDED = 32
"""Number of processes of one program that not even SIGKILL ended, from which on no other one is started."""

_STARTS_AT_ONCE = 16
"""Most processes of one program that are started at the same time, and so most that may hang at it."""

_REAP_SECONDS = 5.0
_LOOK_SECONDS = 3600.0
"""Most seconds of one wait; poll(2) takes no more than 24 days."""

_PIECE = 64 * 1024
_PR_SET_PDEATHSIG = 1


class CommandFailed(Exception):
    """A command could not be started, or was ended before it ended by itself. The message names it."""


class CommandNotStarted(CommandFailed):
    """A command could not be started."""


class CommandTimedOut(CommandFailed):
    """A command took too long."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended.

    Attributes:
        code: Its exit code; negative where a signal ended it.
        output: What it printed. Bytes that are no UTF-8 are surrogates, as in file names.
        complaint: The last line of its stderr, in printable characters; the last of `output` where that is
            empty.
    """

    code: int
    output: str
    complaint: str


def small_environment(passed: Sequence[str]) -> dict[str, str]:
    """Give what a command finds in its environment: PATH, HOME, a locale without translations, and `passed`.

    No other variable of the service's environment is passed on: there are secrets in it.
    """
    environment = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PATH": os.defpath}
    return environment | {name: os.environ[name] for name in ("PATH", "HOME", *passed) if name in os.environ}


def in_words(text: str, limit: int = 200) -> str:
    """Make a foreign text fit for a message: one line, printable, of at most `limit` characters."""
    return one_line(text, limit)


def last_line(text: bytes) -> str:
    """Give the last line that says something, in printable characters."""
    lines = [line for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    return in_words(lines[-1]) if lines else ""


class _Program:
    """A program, as this process knows it: threads that start it, and processes that could not be ended."""

    def __init__(self) -> None:
        self.starts = DaemonPool("command-start", _STARTS_AT_ONCE)
        self._lock = threading.Lock()
        self._unended: set[subprocess.Popen[bytes]] = set()

    def leave(self, process: subprocess.Popen[bytes]) -> None:
        """Note a process that was killed and goes on, as those do that wait for a dead mount."""
        with self._lock:
            self._unended.add(process)

    def unended(self) -> int:
        """Count the processes that were left and still run."""
        with self._lock:
            self._unended = {each for each in self._unended if each.poll() is None}
            return len(self._unended)


@cache
def _program(name: str) -> _Program:
    del name
    return _Program()


class Child:
    """A running program, in a session and process group of its own, without stdin. Ended with the context.

    Args:
        arguments: The program and its arguments.
        environment: All variables of its environment.
        bound: Whether it is killed when the thread that starts it ends, and so when the service dies, however
            that happens (PR_SET_PDEATHSIG, prctl(2)). Processes that it started itself are not killed then.

    Attributes:
        output: Descriptor of its stdout.
        complaints: Descriptor of its stderr.
        exited: Descriptor that becomes readable when it has ended (pidfd_open(2)).

    Raises:
        CommandNotStarted: It cannot be started; or too many processes of this program could not be ended.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], *, bound: bool = False
    ) -> None:
        self._name, self._program = in_words(arguments[0]), _program(arguments[0])
        if (left := self._program.unended()) >= MOST_UNENDED:
            raise CommandNotStarted(
                f"{self._name} is not started again: {left} of it cannot be ended. Look after the mounts that it uses"
            )
        try:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=_dying_with_its_parent() if bound else None,  # noqa: PLW1509 - one system call
                env=environment,
                cwd="/",
                bufsize=0,
            )
        except OSError as error:
            raise CommandNotStarted(f"{self._name} cannot be started: {error.strerror}") from None
        if self._process.stdout is None or self._process.stderr is None:
            raise AssertionError
        self.output, self.complaints = self._process.stdout.fileno(), self._process.stderr.fileno()
        for descriptor in (self.output, self.complaints):
            os.set_blocking(descriptor, False)
        try:
            self.exited = os.pidfd_open(self._process.pid)
        except OSError as error:
            self.exited = -1
            self.end()
            raise CommandNotStarted(f"{self._name} cannot be watched: {error.strerror}") from None

    def kill(self) -> None:
        """Kill it and all that it left in its process group. It may still have to be reaped by `end`."""
        if self._process.returncode is None:  # until it is reaped, its number is nobody else's
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> int | None:
        """Kill what is left of it and give its exit code; None where not even that ends it (a dead mount)."""
        self.kill()
        try:
            return self._process.wait(_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            self._program.leave(self._process)
            return None
        finally:
            for pipe in (self._process.stdout, self._process.stderr):
                if pipe is not None:
                    pipe.close()
            if self.exited >= 0:
                os.close(self.exited)
                self.exited = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def _dying_with_its_parent() -> Callable[[], None]:
    """Give what is to run in the new process; all is looked up before, since little may be done there."""
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def read_available(descriptor: int) -> bytes | None:
    """Read what a non-blocking descriptor has just now: b"" at its end, None where it has nothing yet."""
    try:
        return os.read(descriptor, _PIECE)
    except BlockingIOError:
        return None


def run_command(
    arguments: Sequence[str],
    timeout: float,
    environment: Mapping[str, str],
    output_limit: int = OUTPUT_LIMIT,
) -> Finished:
    """Run a command to its end. What it leaves running in its process group is killed then.

    Args:
        arguments: The program and its arguments.
        timeout: Seconds after which it is killed, or its start is no longer waited for.
        environment: All variables of its environment.
        output_limit: Most bytes that it may print.

    Raises:
        CommandNotStarted: The command cannot be started.
        CommandFailed: The command printed more than `output_limit`.
        CommandTimedOut: The command took longer than `timeout`, or it ended and cannot be reaped.
    """
    name, deadline = in_words(arguments[0]), time.monotonic() + timeout
    with _started(arguments, environment, timeout) as child:
        said, complaints = {child.output: b"", child.complaints: b""}, child.complaints
        poll, ended = select.poll(), False
        for descriptor in (*said, child.exited):
            poll.register(descriptor, select.POLLIN)
        while not ended:
            left = deadline - time.monotonic()
            if left <= 0:
                raise CommandTimedOut(f"{name} took longer than {timeout:g} s")
            ready = {descriptor for descriptor, _ in poll.poll(min(left, _LOOK_SECONDS) * 1000)}
            ended = child.exited in ready
            for descriptor in said if ended else ready:
                if not _take(said, descriptor, output_limit if ended else 0) and not ended:
                    poll.unregister(descriptor)
                if len(said[child.output]) > output_limit:
                    raise CommandFailed(f"{name} printed more than {output_limit // 1024} KiB")
                said[complaints] = said[complaints][-COMPLAINT_LIMIT:]
        output, complaint = said[child.output], said[complaints]
        code = child.end()
    if code is None:
        raise CommandTimedOut(f"{name} has ended and cannot be reaped")
    return Finished(
        code, output.decode("utf-8", "surrogateescape"), last_line(complaint) or last_line(output)
    )


def _started(arguments: Sequence[str], environment: Mapping[str, str], timeout: float) -> Child:
    """Start a program on a thread of its own, since the start may hang as long as the program's mount hangs.

    A program that starts too late is ended at once.

    Raises:
        CommandNotStarted: The program cannot be started.
        CommandTimedOut: The program did not start in time.
    """
    name = in_words(arguments[0])
    try:
        start = _program(arguments[0]).starts.submit(lambda: Child(arguments, environment))
    except CallHung as error:
        raise CommandNotStarted(f"{name} cannot be started: {error}") from None
    try:
        return start.result(min(timeout, threading.TIMEOUT_MAX))
    except TimeoutError:
        if not start.cancel():
            start.add_done_callback(_end_late)
        raise CommandTimedOut(
            f"{name} did not start within {timeout:g} s: does the mount hang that it is on?"
        ) from None


def _end_late(start: Future[Child]) -> None:
    if start.exception() is None:
        start.result().end()


def _take(said: dict[int, bytes], descriptor: int, until: int) -> bool:
    """Add what a descriptor has, piece by piece, until there are more than `until` bytes of it.

    Says whether more may come.
    """
    while piece := read_available(descriptor):
        said[descriptor] += piece
        if len(said[descriptor]) > until:
            return True
    return piece is None
