"""The buffers of a copy: few, large, and used again, so that memory stays flat."""

import mmap
from dataclasses import dataclass
from enum import Enum, auto
from queue import SimpleQueue
from threading import Lock

CHUNK_BYTES = 4 << 20
"""Bytes of one buffer."""

CHUNKS = 8
"""Buffers of one copy: 32 MiB in all."""

USERS = 2
"""How many threads must be done with a buffer before it is filled again: the writer and the hasher.

One more where there is a further hash.
"""


class Milestone(Enum):
    """The events that the threads of a copy tell the thread that called."""

    SOURCE_ENDED = auto()
    PARTIAL_DURABLE = auto()
    ALSO_HASHED = auto()


@dataclass(slots=True, eq=False)
class Chunk:
    """A buffer with some bytes of the archive.

    Attributes:
        room: the whole buffer.
        filled: the part that holds bytes of the archive.
        users: how many threads are not done with it yet.
    """

    room: memoryview
    filled: memoryview
    users: int = 0


class ChunkPool:
    """The free buffers; memory is touched only as far as a copy needs it.

    Args:
        users: how many threads use each buffer.
    """

    def __init__(self, users: int = USERS) -> None:
        self._users = users
        self._free: SimpleQueue[Chunk | None] = SimpleQueue()
        self._lock = Lock()
        for _ in range(CHUNKS):
            room = memoryview(mmap.mmap(-1, CHUNK_BYTES))  # a bytearray would be filled with zeros at once
            self._free.put(Chunk(room, room[:0]))

    def take(self) -> Chunk | None:
        """Wait for a free buffer; None once the pool is closed."""
        chunk = self._free.get()
        if chunk is not None:
            chunk.users = self._users
        return chunk

    def give_back(self, chunk: Chunk) -> None:
        """Say that one user is done with a buffer."""
        with self._lock:
            chunk.users -= 1
            free = chunk.users == 0
        if free:
            self._free.put(chunk)

    def close(self) -> None:
        """Wake whoever waits for a buffer."""
        self._free.put(None)
