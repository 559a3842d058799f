"""A second hash of members and pieces, computed in a thread of its own while the first one is computed."""

from collections.abc import Callable
from queue import Empty, Full, Queue, SimpleQueue
from threading import Thread

from scicat_retriever.onepass.checksums import ChecksumAlgorithm, Digester, StartsDigest
from scicat_retriever.onepass.chunks import Chunk, ChunkPool, Milestone
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.member import Member, MemberKind
from scicat_retriever.onepass.pieces import PieceSums

_AHEAD = 2
"""How much may wait for the thread: then the one that walks waits."""
_LOOK_SECONDS = 1.0
_Work = tuple[Chunk, list[memoryview | None], list[Member]]


class AlsoHasher:
    """Hashes each member, and each piece, by further algorithms; works from its construction on.

    It stands between the walk and who gets the members: the walk starts its digests by `start`, and tells of
    members by `on_member`; they are passed on, in their order and with their further digests, by `pass_on`
    and `pass_on_rest`, in the thread that calls these.

    Args:
        main: by what the walk hashes the members.
        also: the further algorithms.
        on_member: gets each member, its digest that of `main` and then those of `also` which are not in it.
    """

    def __init__(self, main: Hashing, also: Hashing, on_member: Callable[[Member], None]) -> None:
        self._main = main.start
        further = tuple(each for each in also.algorithms if each not in main.algorithms)
        self._further = Hashing(further) if further else None
        self._on_member = on_member
        self.sums = {algorithm: PieceSums(algorithm) for algorithm in also.algorithms}
        self._parts: list[memoryview | None] = []
        self._members: list[Member] = []
        self._inbox: Queue[_Work | None] = Queue(_AHEAD)
        self._done: SimpleQueue[list[Member]] = SimpleQueue()
        self._running: Digester | None = None
        self._failed = False

    def begin(self, pool: ChunkPool, events: "SimpleQueue[Chunk | Milestone | BaseException]") -> None:
        """Begin to work.

        Args:
            pool: gets back each buffer that was hashed.
            events: gets ALSO_HASHED once all is hashed, or the error that ended it.
        """
        self._pool, self._events = pool, events
        self._thread = Thread(target=self._run, name="onepass-also-hasher", daemon=True)
        self._thread.start()

    @property
    def start(self) -> StartsDigest:
        """The function that starts the walk's digest of a member."""
        return self._start if self._further is not None else self._main

    def on_member(self, member: Member) -> None:
        """Take a member from the walk."""
        self._members.append(member)

    def pass_on(self, chunk: Chunk) -> None:
        """Hand over a buffer that was walked; pass on the members that are hashed by now."""
        self._put((chunk, self._parts, self._members))
        self._parts, self._members = [], []
        self._emit()

    def finish(self) -> None:
        """Say that all buffers were passed on."""
        self._put(None)

    def pass_on_rest(self) -> None:
        """Pass on the last members, after ALSO_HASHED."""
        self._emit()

    def pieces(self) -> dict[ChecksumAlgorithm, bytes]:
        """Give the digests of all pieces, by algorithm, after ALSO_HASHED."""
        return {algorithm: sums.digests() for algorithm, sums in self.sums.items()}

    def stop(self, patience: float) -> None:
        """End the thread after what it hashes now."""
        self._failed = True
        while True:
            try:
                self._inbox.get_nowait()
            except Empty:
                break
        self._inbox.put(None)
        self._thread.join(patience)

    def _start(self, data: bytes | memoryview = b"", /) -> Digester:
        digester = _Told(self._main(data), self._note)
        self._note(memoryview(data))
        return digester

    def _note(self, part: memoryview | None) -> None:
        self._parts.append(part)

    def _put(self, work: "_Work | None") -> None:
        while not self._failed:
            try:
                self._inbox.put(work, timeout=_LOOK_SECONDS)
            except Full:
                continue
            return

    def _emit(self) -> None:
        while not self._done.empty():
            for member in self._done.get():
                self._on_member(member)

    def _run(self) -> None:
        try:
            while (work := self._inbox.get()) is not None and not self._failed:
                self._hash(*work)
            self._events.put(Milestone.ALSO_HASHED)
        except BaseException as failed:  # noqa: BLE001 - carried to the calling thread, which raises it
            self._failed = True
            self._events.put(failed)

    def _hash(self, chunk: Chunk, parts: list[memoryview | None], members: list[Member]) -> None:
        digests = iter(self._digests(parts))
        if self._further is not None:
            members = [
                each._replace(digest=each.digest + next(digests)) if each.kind is MemberKind.FILE else each
                for each in members
            ]
        for sums in self.sums.values():
            sums.update(chunk.filled)
        self._pool.give_back(chunk)
        self._done.put(members)

    def _digests(self, parts: list[memoryview | None]) -> list[str]:
        """Hash the parts of contents; gives the digests of the members that end in them."""
        digests = []
        for part in parts:
            if part is None:
                digests.append("" if self._running is None else self._running.hexdigest())
                self._running = None
            elif self._running is not None:
                self._running.update(part)
            elif self._further is not None:
                self._running = self._further.start(part)
        return digests


class _Told:
    """The walk's digest of a member, each part of which is noted for the further one."""

    __slots__ = ("_digester", "_note")

    def __init__(self, digester: Digester, note: Callable[[memoryview | None], None]) -> None:
        self._digester, self._note = digester, note

    def update(self, data: bytes | memoryview, /) -> None:
        self._digester.update(data)
        self._note(memoryview(data))

    def hexdigest(self) -> str:
        self._note(None)
        return self._digester.hexdigest()
