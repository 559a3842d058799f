"""What can go wrong while an archive is copied and hashed.

TransferFault
├── UnknownChecksumAlgorithm
├── ManifestDamaged
├── TarFault                what the archive is
│   ├── BadHeader           a block that is no tar header, or one that contradicts itself
│   ├── HeaderTooLarge      extended headers, or a path, beyond the bound
│   ├── TooManyMembers      more members than the caller allows
│   ├── SparseMember        a sparse file, in any dialect
│   ├── UnsupportedMember   a piece of a multi-volume archive
│   ├── AmbiguousMember     a member that the usual programs unpack differently
│   │   └── GnuIncremental  one of an incremental backup
│   ├── NotATar             another kind of archive, or another compression
│   ├── TruncatedArchive    the bytes end before the end-of-archive marker
│   └── TrailingGarbage     bytes after the end-of-archive marker that are not zero
│       └── AnotherTar      another tar, perhaps
├── GzipFault               what the compression is
│   ├── BadGzip
│   └── UnpackedTooLarge
├── Truncated               the source gave fewer bytes than declared
├── LongerThanDeclared      the source gave more
├── SourceReadFailed        the source's own error
├── SourceStalled           no byte in time
├── PartialWriteFailed      the error of the surface that is written to
├── PartialStalled          a write, or the flush, that does not return
└── CopyCancelled           the caller's wish
"""

import errno as errno_names
import os


class TransferFault(Exception):
    """Root of all errors of this package; the text names the member or the byte offset and what was seen."""


class UnknownChecksumAlgorithm(TransferFault):
    """A checksum algorithm that is not known here.

    Attributes:
        spelling: the name as it was given.
    """

    def __init__(self, spelling: str) -> None:
        super().__init__(f"unknown checksum algorithm {spelling[:80]!r}")
        self.spelling = spelling


class ManifestDamaged(TransferFault):
    """A manifest whose bytes do not match its seal, or that cannot be decoded."""


class TarFault(TransferFault):
    """The tar stream cannot be taken as proof of its members."""


class BadHeader(TarFault):
    """A block that should be a tar header is not one, or its fields contradict each other."""


class HeaderTooLarge(TarFault):
    """An extended header (pax, GNU long name), or the path in it, is larger than any honest one."""


class TooManyMembers(TarFault):
    """The tar has more members than the caller allows."""


class SparseMember(TarFault):
    """A member is stored sparse (GNU, pax GNU.sparse, star): its bytes are not those of the file."""


class UnsupportedMember(TarFault):
    """A member of a kind that cannot be read alone, such as a piece of a multi-volume archive."""


class AmbiguousMember(TarFault):
    """GNU tar, bsdtar and Python's tarfile would make different things of a member, some without a word."""


class GnuIncremental(AmbiguousMember):
    """A member of GNU tar's own format for ``--incremental``: ``tarfile`` unpacks it in other places."""


class NotATar(TarFault):
    """The first bytes are those of another kind of archive, or of a compression that is not unpacked here."""


class TruncatedArchive(TarFault):
    """The stream ends before the two zero blocks that end a tar."""


class TrailingGarbage(TarFault):
    """Something other than zeros follows the end-of-archive marker."""


class AnotherTar(TrailingGarbage):
    """The trailing bytes begin where another tar could begin."""


class GzipFault(TransferFault):
    """The compressed stream cannot be trusted."""


class BadGzip(GzipFault):
    """The stream is not gzip, is damaged, ends early, or is followed by something else than zeros."""


class UnpackedTooLarge(GzipFault):
    """The stream unpacks to more bytes than the caller allows."""


class Truncated(TransferFault):
    """The source ended before the declared number of bytes.

    Attributes:
        expected: bytes declared.
        got: bytes read.
    """

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(f"the source ended after {got} of {expected} bytes")
        self.expected = expected
        self.got = got


class LongerThanDeclared(TransferFault):
    """The source goes on after the declared number of bytes.

    Attributes:
        expected: bytes declared.
        got: bytes read until it was noticed.
    """

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(f"the source has at least {got} bytes where {expected} were declared")
        self.expected = expected
        self.got = got


class SourceStalled(TransferFault):
    """No byte came from the source within the time allowed.

    Attributes:
        offset: bytes read until then.
        seconds: the time allowed.
    """

    def __init__(self, offset: int, seconds: float) -> None:
        super().__init__(f"the source gave no byte for {seconds:g} seconds at offset {offset}")
        self.offset = offset
        self.seconds = seconds


class SourceReadFailed(TransferFault):
    """The source raised an error while it was read.

    Attributes:
        errno: the system's error number, if there was one.
        offset: bytes read until then.

    Args:
        errno: as above.
        offset: as above.
        words: what the source says of it, where that is not the system's own word for the number.
    """

    def __init__(self, errno: int | None, offset: int, words: str = "") -> None:
        super().__init__(f"reading the source failed at offset {offset}: {words or _words(errno)}")
        self.errno = errno
        self.offset = offset


class PartialWriteFailed(TransferFault):
    """The partial file could not be opened, written or made durable.

    Attributes:
        errno: the system's error number, if there was one (ENOSPC, EDQUOT, EIO, EFBIG ...).
        offset: bytes written until then.

    Args:
        errno: as above.
        offset: as above.
        words: what whoever writes it says, where that is no error of the system.
    """

    def __init__(self, errno: int | None, offset: int, words: str = "") -> None:
        told = words if errno is None and words else _words(errno)
        super().__init__(f"writing the partial file failed at offset {offset}: {told}")
        self.errno = errno
        self.offset = offset


class PartialStalled(TransferFault):
    """A write to the partial file, or its flush to disk, did not return within the time allowed.

    Attributes:
        offset: bytes written until then.
        seconds: for how long it had not returned.
    """

    def __init__(self, offset: int, seconds: float) -> None:
        super().__init__(
            f"writing the partial file did not go on for {seconds:.0f} seconds at offset {offset}"
        )
        self.offset = offset
        self.seconds = seconds


class CopyCancelled(TransferFault):
    """The caller asked for the copy to end.

    Attributes:
        offset: bytes hashed until then.
    """

    def __init__(self, offset: int) -> None:
        super().__init__(f"cancelled after {offset} bytes")
        self.offset = offset


def _words(errno: int | None) -> str:
    if errno is None:
        return "no error number"
    return f"{errno_names.errorcode.get(errno, errno)} ({os.strerror(errno)})"
