"""Tars for the tests: packed by the standard library, or header by header."""

import io
import tarfile
from collections.abc import Iterable, Sequence
from itertools import cycle

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.member import Member
from scicat_retriever.onepass.tar.rules import TarRules
from scicat_retriever.onepass.tar.walker import TarWalker

END = bytes(1024)


def walk(
    data: bytes,
    cuts: Sequence[int] = (),
    algorithm: ChecksumAlgorithm = ChecksumAlgorithm.SHA256,
    most_members: int | None = None,
    *,
    rules: TarRules | None = None,
    needs_marker: bool = True,
) -> list[Member]:
    """Walk a whole tar, fed in pieces of the given lengths in turn (at once if there are none)."""
    members: list[Member] = []
    walker = TarWalker(algorithm, members.append, most_members, rules or TarRules())
    for piece in pieces(data, cuts):
        walker.feed(memoryview(piece))
    walker.finish(needs_marker=needs_marker)
    return members


def pieces(data: bytes, cuts: Sequence[int]) -> Iterable[bytes]:
    at = 0
    for cut in cycle(cuts or [max(len(data), 1)]):
        if at >= len(data):
            return
        yield data[at : at + cut]
        at += cut


def header(
    name: bytes,
    size: bytes = b"00000000000\0",
    kind: bytes = b"0",
    *,
    link: bytes = b"",
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    signed: bool = False,
    checksum: bytes | None = None,
) -> bytes:
    """Make one header block, with the right checksum unless another is given."""
    before = name.ljust(100, b"\0") + b"0000644\0" * 3 + size + b"14000000000\0"
    after = (
        kind
        + link.ljust(100, b"\0")
        + magic.ljust(8, b"\0")
        + bytes(80)
        + prefix.ljust(155, b"\0")
        + bytes(12)
    )
    total = 8 * 32 + sum(byte - 256 if signed and byte > 127 else byte for byte in before + after)
    return before + (checksum or b"%06o\0 " % total) + after


def octal(size: int) -> bytes:
    return b"%011o\0" % size


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def file(name: bytes, content: bytes, **fields: bytes) -> bytes:
    return header(name, octal(len(content)), **fields) + padded(content)  # type: ignore[arg-type]


def pax(records: dict[bytes, bytes], kind: bytes = b"x") -> bytes:
    """Make an extended header with its records, length fields included."""
    body = b"".join(pax_record(key, value) for key, value in records.items())
    return header(b"PaxHeaders/it", octal(len(body)), kind) + padded(body)


def pax_record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def packed(entries: Iterable[tuple[tarfile.TarInfo, bytes]], kind: int = tarfile.PAX_FORMAT) -> bytes:
    """Pack members with the standard library."""
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=kind, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def info(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = size, kind, link
    return made
