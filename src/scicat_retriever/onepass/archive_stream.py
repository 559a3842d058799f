"""From the bytes of an archive to its members, compressed or not."""

from collections.abc import Callable

from scicat_retriever.onepass.gunzip import MAGIC_BYTES, Gunzip, has_gzip_magic
from scicat_retriever.onepass.tar.walker import MemberCounts, TarWalker


class ArchiveStream:
    """Walks an archive that is a tar, or a tar within gzip.

    Args:
        walker: walks the tar.
        plain: whether the archive is known to be a plain tar; else its first bytes decide, whatever its name
            says.
        max_unpacked_bytes: bytes that a compressed archive may unpack to; None for any number.
    """

    def __init__(self, walker: TarWalker, *, plain: bool = False, max_unpacked_bytes: int | None) -> None:
        self._walker = walker
        self._gzip: bool | None = False if plain else None
        self._gunzip = Gunzip(walker.feed, max_unpacked_bytes)
        self._head = b""
        self._feed: Callable[[memoryview], None] = self._feed_first

    @property
    def is_gzip(self) -> bool:
        """Whether the archive is compressed, known once its first bytes came."""
        return bool(self._gzip)

    @property
    def unpacked_bytes(self) -> int:
        """Bytes of the tar so far."""
        return self._walker.offset

    def feed(self, chunk: memoryview) -> None:
        """Take the next bytes of the archive; they may be overwritten afterwards.

        Raises:
            TarFault: the tar cannot be trusted.
            GzipFault: the compression cannot be trusted.
        """
        self._feed(chunk)

    @property
    def tars(self) -> int:
        """How many tars follow on each other in the archive, so far."""
        return self._walker.tars

    def finish(self, *, needs_marker: bool = True) -> MemberCounts:
        """End the archive: no more bytes come. Gives the counts of its members.

        Args:
            needs_marker: as of `TarWalker.finish`.

        Raises:
            TarFault: the tar is not complete.
            GzipFault: the compressed stream is not complete.
        """
        if self._feed == self._feed_first:
            self._decide()
        if self._gzip:
            self._gunzip.finish()
        return self._walker.finish(needs_marker=needs_marker)

    def _feed_first(self, chunk: memoryview) -> None:
        taken = min(MAGIC_BYTES - len(self._head), len(chunk))
        self._head += bytes(chunk[:taken])
        if len(self._head) == MAGIC_BYTES:
            self._decide()
            self._feed(chunk[taken:])

    def _decide(self) -> None:
        """Choose between tar and gzip by the first bytes, and pass on the bytes that were held back."""
        if self._gzip is None:
            self._gzip = has_gzip_magic(self._head)
        self._feed = self._gunzip.feed if self._gzip else self._walker.feed
        self._feed(memoryview(self._head))
