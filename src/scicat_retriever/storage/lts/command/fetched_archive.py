"""An archive that a command writes, read while the command writes it."""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from scicat_retriever.domain.errors import StoreUnavailable
from scicat_retriever.storage.lts.programs.child import (
    COMPLAINT_LIMIT,
    Child,
    CommandFailed,
    last_line,
    read_available,
)
from scicat_retriever.storage.lts.programs.spool import CommandSpool

_LOOK_SECONDS = 0.5
"""Most seconds that a read waits before it looks whether it was given up or says that the command goes on."""

_AFTER_THE_END_SECONDS = 5.0
"""How long processes that a command left running may hold its output open without writing to it."""


class FetchPatience:
    """The time that a fetch command may be silent while it waits for a tape; asked as long as a read waits.

    Args:
        seconds: How long the command may take to begin; None where the reader decides that.
        folder: The folder that the command writes its file in; None where its output itself is read.
        now: Gives the time in seconds.
    """

    def __init__(
        self, seconds: float | None, folder: Path | None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._folder = folder
        self._now = now
        self._has_begun = False
        self._written = self._look()
        self._began_to_wait = self._told_at = now()

    def note_output(self) -> None:
        """Note that the command wrote something to its output."""
        self._has_begun |= self._folder is None

    def tell_life(self) -> None:
        """Say, now and then, by an error, that the command goes on; nothing where that is not known.

        Raises:
            BlockingIOError: The command wrote to its file since, or still has time to begin.
            TimeoutError: The command took too long to begin.
        """
        now = self._now()
        if now - self._told_at < _LOOK_SECONDS:
            return
        written = self._look()
        if written != self._written:
            self._written, self._has_begun = written, True
        elif self._has_begun or self._seconds is None:
            return
        elif now - self._began_to_wait > self._seconds:
            raise TimeoutError(
                errno.ETIMEDOUT,
                f"the fetch command gave nothing within {self._seconds:g} s (`first_byte_timeout`)",
            )
        self._told_at = now
        raise BlockingIOError(errno.EAGAIN, "the fetch command goes on")

    def _look(self) -> list[tuple[str, int, int, int]]:
        """Give what was written, whatever its name, with its blocks.

        Some programs write under another name first, or make the file in its full size at once.
        """
        if self._folder is None:
            return []
        with os.scandir(self._folder) as entries:
            return sorted(each for entry in entries if (each := _seen(entry)) is not None)


def _seen(entry: os.DirEntry[str]) -> tuple[str, int, int, int] | None:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not found.st_size:  # some make the file before they wait for the tape
        return None
    return entry.name, found.st_size, found.st_blocks, found.st_mtime_ns


class FetchedArchive:
    """An archive that a command writes to its stdout or into a FIFO.

    The end of what is written is the end of the archive only if the command then succeeds.

    Args:
        child: The command.
        data: Non-blocking descriptor of what the command writes; None for its stdout.
        patience: Says how long the command may be silent.
        accepted: Exit codes with which the command has succeeded, beside 0.
    """

    def __init__(
        self, child: Child, data: int | None, patience: FetchPatience, accepted: Collection[int] = ()
    ) -> None:
        self._child = child
        self._accepted = accepted
        self._patience = patience
        self._data = child.output if data is None else data
        self._aside = [child.complaints] if data is None else [child.complaints, child.output]
        self._complaint = b""
        self._exited_at: float | None = None
        self._at_end = False
        self._closed = False
        self._lock = threading.Lock()  # between a read and the closing of the descriptors that it uses

    def readinto(self, buffer: memoryview) -> int:
        """Fill the start of `buffer`; gives the number of bytes, 0 at the end. May block for hours.

        Raises:
            BlockingIOError: There is nothing yet, and the command goes on: read again.
            OSError: The command failed, with the last line of its stderr; or the archive is closed.
        """
        while True:
            with self._lock:
                if self._closed:
                    raise OSError(errno.EBADF, os.strerror(errno.EBADF))
                if self._at_end or not buffer:
                    return 0
                count = self._read(buffer)
                if count == 0:
                    self._refuse_failure()
                    self._at_end = True
                if count is not None:
                    self._patience.note_output()
                    return count
                self._wait()
                if self._exited_at is None:
                    self._patience.tell_life()

    def close(self) -> None:
        """End the command. A thread that is still blocked in `readinto` finds the archive closed."""
        self._child.kill()
        with self._lock:
            self._closed = True
            self._child.end()

    def _read(self, buffer: memoryview) -> int | None:
        """Read what is there: 0 when no more can come, None when there is nothing yet."""
        exited_at = self._exited_at  # known before the read: what was written until then is read by it
        try:
            count = os.readv(self._data, [buffer])
        except BlockingIOError:
            if exited_at is not None and time.monotonic() - exited_at > _AFTER_THE_END_SECONDS:
                raise OSError(
                    errno.EIO, "the command ended, and what it left running holds its output open"
                ) from None
            return None
        if count and exited_at is not None:
            self._exited_at = time.monotonic()
        return count if count or exited_at is not None else None

    def _wait(self) -> None:
        """Wait until there is something to read, or the command ended, or `_LOOK_SECONDS` are over."""
        poll = select.poll()
        for descriptor in (self._data, *self._aside):
            poll.register(descriptor, select.POLLIN)
        if self._exited_at is None:
            poll.register(self._child.exited, select.POLLIN)
        events = dict(poll.poll(_LOOK_SECONDS * 1000))
        if self._child.exited in events and self._exited_at is None:
            self._exited_at = time.monotonic()
        for descriptor in [each for each in self._aside if each in events]:
            piece = read_available(descriptor)
            if piece:
                self._complaint = (self._complaint + piece)[-COMPLAINT_LIMIT:]
            elif piece is not None:
                self._aside.remove(descriptor)
        if events.get(self._data) == select.POLLHUP and self._exited_at is None:
            # The output is closed and the command goes on: its end is all that is waited for.
            select.select([self._child.exited], [], [], _LOOK_SECONDS / 10)

    def _refuse_failure(self) -> None:
        code = self._child.end()
        if code != 0 and code not in self._accepted:
            self._closed = True
            words = last_line(self._complaint)
            ended = "could not be ended" if code is None else f"ended with exit code {code}"
            raise OSError(errno.EIO, f"the fetch command {ended}{f': {words}' if words else ''}")


class FetchedFile:
    """An archive that a command writes into a file, read once the command has succeeded.

    Args:
        writing: The command; what it prints is read as if it were the archive, and thrown away.
        path: The file.
        patience: That of `writing`.
    """

    def __init__(self, writing: FetchedArchive, path: Path, patience: FetchPatience) -> None:
        self._writing = writing
        self._patience = patience
        self._path = path
        self._file: int | None = None
        self._lock = threading.Lock()
        self._closed = False

    def readinto(self, buffer: memoryview) -> int:
        """Fill the start of `buffer`; the first bytes come when the command has ended.

        Raises:
            BlockingIOError: The command goes on, and its file grows: read again.
            OSError: The command failed or left no file; or the archive is closed.
        """
        if self._file is None:
            scratch = memoryview(bytearray(64 * 1024))
            while self._writing.readinto(scratch):
                self._patience.tell_life()  # one that prints all the time is never waited for
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            if self._file is None:
                self._file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            return os.readv(self._file, [buffer])

    def close(self) -> None:
        """End the command and close the file."""
        self._writing.close()
        with self._lock:
            self._closed = True
            if self._file is not None:
                os.close(self._file)


@contextmanager
def fetched(
    arguments: Callable[[Path | None], list[str]],
    environment: Mapping[str, str],
    *,
    target: str,
    spool: CommandSpool,
    patience: float | None = None,
    accepted: Collection[int] = (),
) -> Iterator[FetchedArchive | FetchedFile]:
    """Start a command that fetches an archive, and give what it writes; all ends with the context.

    The command is ended and its target removed then. The command is also killed when the thread ends that
    started it.

    Args:
        arguments: Gives the command for a target path; for None where it writes to its stdout.
        environment: All variables of the command's environment.
        target: `stdout`, `fifo` (a named pipe is made for the command) or `file` (the command makes the
            file).
        spool: Has room for the target.
        patience: Seconds that the command may take to begin; None where the reader decides that.
        accepted: Exit codes with which the command has succeeded, beside 0.

    Raises:
        StoreUnavailable: The command cannot be started, or the spool folder cannot be written.
    """
    with ExitStack() as stack:
        if target == "stdout":
            waits = FetchPatience(patience, None)
            writing = FetchedArchive(_started(arguments(None), environment), None, waits, accepted)
            stack.callback(writing.close)
            yield writing
            return
        path = stack.enter_context(spool.room()) / "archive"
        pipe = _made_fifo(path, stack) if target == "fifo" else None
        waits = FetchPatience(patience, path.parent if target == "file" else None)
        writing = FetchedArchive(_started(arguments(path), environment), pipe, waits, accepted)
        source = writing if target == "fifo" else FetchedFile(writing, path, waits)
        stack.callback(source.close)
        yield source


def _started(arguments: list[str], environment: Mapping[str, str]) -> Child:
    try:
        return Child(arguments, environment, bound=True)
    except CommandFailed as error:
        raise StoreUnavailable(f"the fetch command fails: {error}") from None


def _made_fifo(path: Path, stack: ExitStack) -> int:
    """Make a named pipe and open its end to read, so that no command waits for somebody to read."""
    os.mkfifo(path, 0o600)
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    stack.callback(os.close, pipe)
    return pipe
