"""The formats of files that are no tars, told by their first bytes, so that the message names them."""

from scicat_retriever.onepass.errors import BadHeader, NotATar

_FORMATS = (
    (b"\x1f\x8b", "compressed with gzip"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"\x04\x22\x4d\x18", "compressed with lz4"),
    (b"\x02\x21\x4c\x18", "compressed with lz4"),
    (b"\x1f\x9d", "compressed with compress (.Z)"),
    (b"\x1f\xa0", "compressed with compress (.Z)"),
    (b"\x1f\x1e", "compressed with pack (.z)"),
    (b"LZIP", "compressed with lzip"),
    (b"\x89LZO\0\r\n\x1a\n", "compressed with lzop"),
    (b"\x5d\0\0", "compressed with lzma"),
    (b"\xff\x06\0\0sNaPpY", "compressed with snappy"),
    (b"PK\x03\x04", "a zip"),
    (b"PK\x05\x06", "an empty zip"),
    (b"PK\x07\x08", "a zip in several pieces"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z"),
    (b"Rar!\x1a\x07", "a rar"),
    (b"070701", "a cpio"),
    (b"070702", "a cpio"),
    (b"070707", "a cpio"),
    (b"\xc7\x71", "a cpio"),
    (b"\x71\xc7", "a cpio"),
    (b"!<arch>\n", "an ar"),
    (b"xar!", "a xar"),
    (b"MSCF", "a cab"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"%PDF-", "a PDF"),
    (b"<!DOCTYPE", "a web page"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
)
_SKIPPABLE = b"\x2a\x4d\x18"
"""The end of the first four bytes of a frame that zstd and lz4 pass over (RFC 8878, 3.1.2).

pzstd begins with such a frame.
"""


def refuse_foreign(first_bytes: bytes) -> None:
    """Refuse a file of another known format, by its first bytes.

    Call it only once these are known to be no tar header: a member may well be called ``BZh`` or
    ``070701-scan``.

    Args:
        first_bytes: a dozen of them, or all there are.

    Raises:
        NotATar: the file is of another known format.
    """
    if first_bytes[1:4] == _SKIPPABLE and first_bytes[0] >> 4 == 5:
        raise _refusal("compressed with zstd or lz4")
    for magic, kind in _FORMATS:
        if first_bytes.startswith(magic):
            raise _refusal(kind)


_LZMA_PROPERTIES = 224
"""The largest first byte of a file of lzma: ``(pb * 5 + lp) * 9 + lc`` (lzma-file-format.txt, LZMA SDK)."""
_LZMA_DICTIONARIES = frozenset(1 << power for power in range(12, 28))
"""The sizes of the dictionary, bytes 1 to 4, by which libarchive takes a file for one of lzma."""


def refuse_alike(first_bytes: bytes) -> None:
    """Refuse a tar that begins as a file of lzma does, too.

    Such a file has no magic: libarchive, and so bsdtar, goes by a dictionary size that is a power of two
    (``lzma_bidder_bid``). In a tar that is a name of one letter with other bytes behind its end. bsdtar may
    then unpack nothing, and end without an error.

    Args:
        first_bytes: the first header block, known to be one of a tar.

    Raises:
        BadHeader: it begins so.
    """
    if (
        first_bytes[0] <= _LZMA_PROPERTIES
        and int.from_bytes(first_bytes[1:5], "little") in _LZMA_DICTIONARIES
    ):
        raise BadHeader(
            "the first member has other bytes behind the end of its name, by which bsdtar takes the tar for a "
            "file compressed with lzma"
        )


def _refusal(kind: str) -> NotATar:
    return NotATar(f"the archive is {kind}; a tar, or a tar within gzip, can be read")
