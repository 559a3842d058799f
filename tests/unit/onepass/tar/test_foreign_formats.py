"""What is no tar is called by its name."""

import bz2
import gzip
import io
import lzma
import zipfile

import pytest

from scicat_retriever.onepass.archive_stream import ArchiveStream
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.errors import BadHeader, NotATar
from scicat_retriever.onepass.tar.walker import TarWalker
from tests.unit.onepass.tars import END, file, pieces, walk

TAR = file(b"one", b"content") + END


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("one", b"content")
    return buffer.getvalue()


FOREIGN = {
    "bzip2": bz2.compress(TAR),
    "xz": lzma.compress(TAR),
    "lzma": lzma.compress(TAR, lzma.FORMAT_ALONE),
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(600),
    "zstd or lz4": b"\x50\x2a\x4d\x18\4\0\0\0" + bytes(600),
    "lz4": b"\x04\x22\x4d\x18" + bytes(600),
    "compress": b"\x1f\x9d\x90" + bytes(600),
    "lzip": b"LZIP\1" + bytes(600),
    "zip": zipped(),
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(600),
    "rar": b"Rar!\x1a\x07\1\0" + bytes(600),
    "cpio": b"070701" + b"0" * 600,
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(600),
    "web page": b"<!DOCTYPE html><title>404</title>",
}


def fed(data: bytes, cuts: tuple[int, ...] = ()) -> None:
    stream = ArchiveStream(TarWalker(ChecksumAlgorithm.SHA256, lambda _: None), max_unpacked_bytes=None)
    for piece in pieces(data, cuts):
        stream.feed(memoryview(piece))
    stream.finish()


@pytest.mark.parametrize("cuts", [(), (1,), (5, 700)])
@pytest.mark.parametrize("kind", FOREIGN)
def test_another_format_is_named(kind: str, cuts: tuple[int, ...]) -> None:
    with pytest.raises(NotATar, match=kind):
        fed(FOREIGN[kind], cuts)


def test_another_format_within_gzip_is_named() -> None:
    with pytest.raises(NotATar, match="xz"):
        fed(gzip.compress(lzma.compress(TAR)))
    with pytest.raises(NotATar, match="gzip"):
        fed(gzip.compress(gzip.compress(TAR)))


@pytest.mark.parametrize(
    "name", [b"BZh9 run", b"070701-scan", b"LZIP", b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c", b"\x1f\x9d"]
)
def test_a_member_may_be_called_as_other_formats_begin(name: bytes) -> None:
    assert len(walk(file(name, b"content") + END)) == 1


def test_what_is_of_no_known_format_is_said_to_be_no_header() -> None:
    with pytest.raises(BadHeader, match="no tar header at offset 0"):
        fed(b"no tar at all" * 100)
