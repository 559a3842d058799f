"""One pass over an archive: read once, written, hashed as a whole and member by member.

Three threads share the work, and at most 32 MiB of buffers: one reads, one writes, and the calling one walks
the tar and hashes, so that each of them can wait for its own device; a fourth computes a further hash where
one is wanted. Python's lock is free while they read, write or hash.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from scicat_retriever.onepass.also_hasher import AlsoHasher
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.chunks import USERS, Chunk, ChunkPool, Milestone
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.errors import SourceStalled
from scicat_retriever.onepass.member import Member
from scicat_retriever.onepass.partial_writer import PartialWriter
from scicat_retriever.onepass.pieces import Pieces
from scicat_retriever.onepass.sink import Sink
from scicat_retriever.onepass.source_reader import ReadsInto, SourceReader
from scicat_retriever.onepass.staged_sums import StagedSums
from scicat_retriever.onepass.tar.rules import TarRules
from scicat_retriever.onepass.tar.walker import MemberCounts, TarWalker
from scicat_retriever.onepass.watch import LOOK_SECONDS, CopyWatch

_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What one pass saw.

    Attributes:
        archive_bytes: bytes read, as stored (compressed, if the archive is).
        archive_checksum: the digest of the bytes written, in hexadecimal digits, of the algorithm that
            ``archive_checksum_name`` names.
        pieces: the digests of each piece of what was written.
        algorithm: what the members were hashed with, the further algorithms last.
        gzip: whether the archive is compressed, as stored.
        unpacked_bytes: bytes of the tar itself: what was written.
        tars: how many tars follow on each other; more than one only by the caller's rules.
        counts: how many members of each kind were seen.
    """

    archive_bytes: int
    archive_checksum: str
    pieces: Pieces
    algorithm: Hashing
    gzip: bool
    unpacked_bytes: int
    tars: int
    counts: MemberCounts


def copy_and_hash(
    source: int | ReadsInto,
    partial: int | str | os.PathLike[str] | Sink,
    *,
    algorithm: ChecksumAlgorithm | Hashing,
    also: Hashing | None = None,
    on_member: Callable[[Member], None],
    plain: bool = False,
    rules: TarRules = TarRules(),  # noqa: B008 - frozen
    expected_bytes: int | None = None,
    catalogued_bytes: int | None = None,
    max_unpacked_bytes: int | None = None,
    most_members: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    stall_timeout: float = 300.0,
    crc: bool = True,
) -> CopyReport:
    """Copy an archive and hash all of its members, reading each byte once; what is gzip is unpacked.

    The partial file is durable when this returns: flushed to disk, or sealed where it is a sink. The caller
    cares for its name, its folder's entry, and its removal after an error.

    No thread is left, except a thread that is stuck in a call to the system. A reader that is stuck touches
    neither the partial file nor a descriptor of the caller's. A writer that is stuck keeps a duplicate of the
    descriptor, or the sink. Its write, 1 MiB at most, may reach the file at its offset at any later time: so
    after ``PartialStalled`` (or a cancellation meanwhile) another attempt should write to a new file.

    Args:
        source: an open file descriptor, read from where it stands, or an object with ``readinto``. The
            caller closes it.
        partial: a path, which is created or emptied; or an open file descriptor, written from offset 0; or a
            sink.
        algorithm: the algorithm that files are hashed with, or several in the same pass.
        also: further algorithms for files and pieces, computed in another thread. A file's digest is that of
            `algorithm`, and then those of `also` which are not among it: see `Hashing.and_also`.
        on_member: gets each member in the order of the archive, in the calling thread.
        plain: whether the archive is known to be a plain tar; else its first bytes say whether it is
            compressed.
        rules: what is accepted of a tar beyond what every program unpacks alike.
        expected_bytes: the archive's declared size, as stored; None if nobody knows.
        catalogued_bytes: the size that the archive had when it was archived. An archive of just this size has
            lost nothing at its end, so it may lack a tar's end-of-archive marker. None if nobody knows.
        max_unpacked_bytes: bytes that a compressed archive may unpack to; see ``unpacked_allowance``.
        most_members: members that the tar may have, more or less; see ``members_allowance``. None for any
            number.
        progress: gets the bytes done, about once a second even if none moved, and at the end; in the calling
            thread.
        cancelled: asked about ten times a second, in the calling thread.
        stall_timeout: seconds that one read or one write may take; the flush to disk at the end may take ten
            times as many. A `BlockingIOError` of the source ends a read, too: it says that bytes are on their
            way.
        crc: whether members and pieces get their CRC-32; without it a benchmark measures what that costs.

    Raises:
        TarFault: the tar is damaged, cut short, or of a kind that is refused.
        GzipFault: the compressed stream is damaged, or unpacks to too much.
        Truncated: the source has fewer bytes than declared.
        LongerThanDeclared: the source has more bytes than declared.
        SourceStalled: no byte came in time, and no word that one is on its way.
        SourceReadFailed: reading failed.
        PartialWriteFailed: writing failed.
        PartialStalled: a write, or the flush, did not return in time.
        CopyCancelled: ``cancelled`` asked for it.
    """
    main = algorithm if isinstance(algorithm, Hashing) else Hashing((algorithm,))
    further = None if also is None else AlsoHasher(main, also, on_member)
    walker = TarWalker(
        further or main, further.on_member if further else on_member, most_members, rules, crc=crc
    )
    watch = CopyWatch(progress, cancelled, stall_timeout)
    with _CopyThreads(
        source,
        partial,
        expected_bytes,
        watch,
        further,
        plain=plain,
        max_unpacked_bytes=max_unpacked_bytes,
        crc=crc,
    ) as threads:
        for data in threads.chunks():
            walker.feed(data)
            watch.hashed += len(data)
        counts = walker.finish(needs_marker=threads.bytes_read != catalogued_bytes)
        threads.wait_until_durable()
    progress(watch.hashed)
    return CopyReport(
        archive_bytes=threads.bytes_read,
        archive_checksum=threads.sums.checksum,
        pieces=threads.pieces(),
        algorithm=main.and_also(also),
        gzip=threads.is_gzip,
        unpacked_bytes=walker.offset,
        tars=walker.tars,
        counts=counts,
    )


class _CopyThreads:
    """The reader and the writer of one copy; both are ended on leaving, or left behind if stuck."""

    def __init__(
        self,
        source: int | ReadsInto,
        partial: int | str | os.PathLike[str] | Sink,
        expected_bytes: int | None,
        watch: CopyWatch,
        also: AlsoHasher | None,
        *,
        plain: bool,
        max_unpacked_bytes: int | None,
        crc: bool,
    ) -> None:
        self._watch = watch
        self._also = also
        self._pool = ChunkPool(USERS if also is None else USERS + 1)
        self._events: SimpleQueue[Chunk | Milestone | BaseException] = SimpleQueue()
        self._writer = PartialWriter(partial, self._pool, self._events)
        try:
            self._reader = SourceReader(
                source,
                self._pool,
                self._writer.inbox,
                self._events,
                expected_bytes,
                plain=plain,
                max_unpacked_bytes=max_unpacked_bytes,
                crc=crc,
            )
        except BaseException:
            self._writer.stop(self._watch.stall_timeout)
            raise
        if also is not None:
            also.begin(self._pool, self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()
        stuck = isinstance(value, SourceStalled)
        self._reader.stop(0.0 if stuck else _PATIENCE)
        if self._also is not None:
            self._also.stop(_PATIENCE)
        self._writer.stop(max(_PATIENCE, self._watch.stall_timeout - self._writer.waiting_seconds()))

    @property
    def bytes_read(self) -> int:
        """Bytes of the source, once it has ended."""
        return self._reader.offset

    @property
    def is_gzip(self) -> bool:
        """Whether the source is compressed, once it has ended."""
        return self._reader.is_gzip

    @property
    def sums(self) -> StagedSums:
        """The sums over all bytes, once the source has ended."""
        return self._reader.sums

    def chunks(self) -> Iterator[memoryview]:
        """Give the bytes of the source, piece by piece; each piece is valid until the next is asked for."""
        while (event := self._next()) is not Milestone.SOURCE_ENDED:
            if isinstance(event, Chunk):
                yield event.filled
                if self._also is not None:
                    self._also.pass_on(event)
                self._pool.give_back(event)
        self._writer.finish()
        if self._also is not None:
            self._also.finish()

    def wait_until_durable(self) -> None:
        """Wait until all is written and synced, and the further hash is computed."""
        awaited: set[Chunk | Milestone] = {Milestone.PARTIAL_DURABLE}
        if self._also is not None:
            awaited.add(Milestone.ALSO_HASHED)
        while awaited:
            awaited.discard(self._next())
        if self._also is not None:
            self._also.pass_on_rest()

    def pieces(self) -> Pieces:
        """Give the digests of each piece, once all is written."""
        pieces = self._reader.sums.pieces()
        further = {} if self._also is None else self._also.pieces()
        return Pieces(pieces.size, {**further, **pieces.digests})

    def _next(self) -> Chunk | Milestone:
        while True:
            self._watch.look(self._reader, self._writer)
            try:
                event = self._events.get(timeout=LOOK_SECONDS)
            except Empty:
                continue
            if isinstance(event, BaseException):
                raise event
            return event
