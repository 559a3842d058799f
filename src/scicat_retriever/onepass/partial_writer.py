"""The thread that writes the partial file."""

import os
import time
from queue import SimpleQueue
from threading import Event, Thread

from scicat_retriever.onepass.chunks import Chunk, ChunkPool, Milestone
from scicat_retriever.onepass.errors import PartialWriteFailed
from scicat_retriever.onepass.file_sink import FileSink
from scicat_retriever.onepass.sink import Sink


class PartialWriter:
    """Writes buffers one after the other, then makes the file durable; works from its construction on.

    Attributes:
        inbox: takes the buffers to write.
        offset: bytes written so far.
        flushing: whether all is written and the file is being made durable.

    Args:
        partial: a path, which is created or emptied; or a file descriptor, which is duplicated and written
            from offset 0; or a sink, which is the caller's.
        pool: gets back each buffer that was written.
        events: gets PARTIAL_DURABLE, or the error that ended the writing.

    Raises:
        PartialWriteFailed: the partial file cannot be opened.
    """

    def __init__(
        self,
        partial: int | str | os.PathLike[str] | Sink,
        pool: ChunkPool,
        events: "SimpleQueue[Chunk | Milestone | BaseException]",
    ) -> None:
        self._pool = pool
        self._events = events
        self.inbox: SimpleQueue[Chunk | None] = SimpleQueue()
        self.offset = 0
        self._stopped = Event()
        self._waiting_since: float | None = None
        self.flushing = False
        self._own: FileSink | None = None
        if isinstance(partial, int | str | os.PathLike):
            self._own = FileSink(_open(partial))
            self._sink: Sink = self._own
        else:
            self._sink = partial
        self._thread = Thread(target=self._run, name="onepass-writer", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Say that all buffers are in the inbox."""
        self.inbox.put(None)

    def stop(self, patience: float) -> None:
        """End the thread after the write that is under way; leave it behind after `patience` seconds.

        A thread that is left behind holds its duplicate of the descriptor, or the sink. Its write may still
        reach the file (1 MiB at most); no other write follows.
        """
        self._stopped.set()
        self.inbox.put(None)
        self._thread.join(patience)

    def waiting_seconds(self) -> float:
        """Seconds that the present write, or the flush, has not returned for; 0 while none is under way."""
        since = self._waiting_since
        return 0.0 if since is None else time.monotonic() - since

    def _run(self) -> None:
        try:
            try:
                self._write_all()
            finally:
                if self._own is not None:
                    self._own.close()
            self._events.put(Milestone.PARTIAL_DURABLE)
        except OSError as failed:
            fault = PartialWriteFailed(failed.errno, self.offset, str(failed))
            fault.__cause__ = failed
            self._events.put(fault)
        except BaseException as failed:  # noqa: BLE001 - carried to the calling thread, which raises it
            self._events.put(failed)

    def _write_all(self) -> None:
        while (chunk := self.inbox.get()) is not None:
            self._write(chunk.filled)
            self._pool.give_back(chunk)
        if self._stopped.is_set():
            return
        self._waiting_since = time.monotonic()
        self.flushing = True
        self._sink.seal()

    def _write(self, data: memoryview) -> None:
        at = 0
        while at < len(data) and not self._stopped.is_set():
            self._waiting_since = time.monotonic()
            written = self._sink.write(data[at:])
            at += written
            self.offset += written
        self._waiting_since = None


def _open(partial: int | str | os.PathLike[str]) -> int:
    try:
        if isinstance(partial, int):
            return os.dup(partial)
        return os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    except OSError as failed:
        raise PartialWriteFailed(failed.errno, 0) from failed
