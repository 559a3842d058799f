"""The records of pax extended headers: length, blank, key, ``=``, value, line feed (POSIX.1-2001, pax(1))."""

from collections.abc import Iterator

from scicat_retriever.onepass.errors import BadHeader, SparseMember

_MOST_DIGITS = 7
_LARGEST = 2**63 - 1
_SPARSE = (b"GNU.sparse.", b"SCHILY.realsize")
_SHAPING = (b"path", b"linkpath", b"size")


def pax_records(body: bytes, offset: int) -> Iterator[tuple[bytes, bytes]]:
    """Split the body of an extended header into key and value, both as stored.

    Values stay bytes: with ``hdrcharset=BINARY`` they need not be UTF-8, and names are taken byte for byte
    whatever character set is declared.

    Args:
        body: the content of the ``x`` or ``g`` member; NULs at its end are passed over.
        offset: where it begins in the stream, for messages.

    Raises:
        BadHeader: a record's length or form is wrong.
    """
    at = 0
    end = len(body.rstrip(b"\0"))
    while at < end:
        digits, blank, _ = body[at : at + _MOST_DIGITS + 1].partition(b" ")
        after = at + int(digits) if blank and digits.isdigit() else at
        key, equals, value = body[at + len(digits) + 1 : after - 1].partition(b"=")
        if not (key and equals and at < after <= end and body[after - 1] == ord("\n")):
            raise BadHeader(f"malformed pax record at offset {offset + at}: {body[at : at + 40]!r}")
        yield key, value
        at = after


def shaping_records(body: bytes, offset: int) -> dict[bytes, bytes]:
    """Give the records that change what the next member is: path, linkpath and size.

    An empty value takes an earlier record back (POSIX); it is kept as such.

    Raises:
        BadHeader: a record is malformed, or a path holds a NUL.
        SparseMember: the records describe a sparse file.
    """
    found: dict[bytes, bytes] = {}
    for key, value in pax_records(body, offset):
        if key.startswith(_SPARSE):
            raise SparseMember(f"the pax header at offset {offset} describes a sparse file ({_shown(key)})")
        if key in _SHAPING:
            if b"\0" in value:
                raise BadHeader(f"NUL in the {_shown(key)} of the pax header at offset {offset}")
            found[key] = value
    return found


def refuse_shaping_globals(body: bytes, offset: int) -> None:
    """Check a global header, whose records would hold for every member that follows.

    Comments, times and owners are harmless; one path or one size for all members is not a real archive.

    Raises:
        BadHeader: a record is malformed, or would rename or resize all members.
        SparseMember: the records describe sparse files.
    """
    for key, value in shaping_records(body, offset).items():
        if value:
            raise BadHeader(f"the global pax header at offset {offset} sets {_shown(key)} for all members")


def pax_size(value: bytes, offset: int) -> int:
    """Read the ``size`` record, a decimal number of bytes.

    Raises:
        BadHeader: it is no such number, or larger than 63 bits.
    """
    if value.isdigit() and len(value) < 20 and int(value) <= _LARGEST:
        return int(value)
    raise BadHeader(f"the size in the pax header at offset {offset} is no possible size: {value[:40]!r}")


def _shown(key: bytes) -> str:
    return key[:40].decode("ascii", "backslashreplace")
