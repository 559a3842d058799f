"""A computed zip is what Python's zipfile reads as its entries, with zip64 fields just where they are needed."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from scicat_retriever.computed.entries import Entry, EntryKind, batch_of
from scicat_retriever.computed.zip_layout import ZipLayout
from tests.examples import examples
from tests.unit.computed.archives import (
    CUTS,
    STAGED,
    ArchiveFile,
    a_file,
    a_folder,
    content_of,
    entries,
    of_zeros,
    read,
    split,
)

EDGE = 0xFFFFFFFF
TYPES = {EntryKind.FILE: stat.S_IFREG, EntryKind.FOLDER: stat.S_IFDIR, EntryKind.SYMLINK: stat.S_IFLNK}
RIGHTS = {EntryKind.FILE: 0o644, EntryKind.FOLDER: 0o755, EntryKind.SYMLINK: 0o777}


def extra_of(info: zipfile.ZipInfo) -> dict[int, bytes]:
    """Take the extra field of the central directory apart."""
    fields, at = {}, 0
    while at < len(info.extra):
        number, length = struct.unpack_from("<HH", info.extra, at)
        fields[number] = info.extra[at + 4 : at + 4 + length]
        at += 4 + length
    return fields


def opened(*listed: Entry) -> tuple[zipfile.ZipFile, ArchiveFile]:
    """Open the zip of some entries without storing it."""
    file = ArchiveFile(ZipLayout([batch_of(listed)]))
    return zipfile.ZipFile(file), file


@settings(max_examples=examples(40))
@given(listed=entries(), cuts=CUTS)
def test_zipfile_reads_the_entries(listed: list[Entry], cuts: list[int]) -> None:
    archive = zipfile.ZipFile(io.BytesIO(read(ZipLayout(split(listed, cuts)))))
    assert archive.testzip() is None
    for entry, info in zip(listed, archive.infolist(), strict=True):
        content = entry.link.encode() if entry.kind is EntryKind.SYMLINK else content_of(entry)
        assert info.orig_filename == entry.path + "/" * (entry.kind is EntryKind.FOLDER)
        assert archive.read(info) == content
        assert info.external_attr >> 16 == TYPES[entry.kind] | RIGHTS[entry.kind]
        assert info.is_dir() == (entry.kind is EntryKind.FOLDER)
        assert info.compress_type == zipfile.ZIP_STORED
        assert info.flag_bits == 0x800
        assert info.create_system == 3


@settings(max_examples=examples(40))
@given(listed=entries())
def test_times_are_in_utc(listed: list[Entry]) -> None:
    archive = zipfile.ZipFile(io.BytesIO(read(ZipLayout(split(listed)))))
    for entry, info in zip(listed, archive.infolist(), strict=True):
        said = min(max(entry.mtime, 315_532_800), 4_354_819_199)
        said -= said % 2
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=said)
        assert info.date_time == moment.timetuple()[:6]
        assert extra_of(info)[0x5455] == b"\1" + struct.pack("<I", min(max(entry.mtime, 0), EDGE))


def test_nothing_at_all_is_an_empty_zip() -> None:
    for batches in ([], split([]), split([], [0, 0])):
        layout = ZipLayout(batches)
        assert zipfile.ZipFile(io.BytesIO(read(layout))).namelist() == []
        assert layout.size == 22


@pytest.mark.parametrize(
    ("size", "large"), [(EDGE - 1, False), (EDGE, True), (EDGE + 1, True), (5 * 2**40, True)]
)
def test_a_size_is_in_a_zip64_field_where_it_needs_it(size: int, large: bool) -> None:
    archive, file = opened(of_zeros("one", size))
    [info] = archive.infolist()
    assert info.file_size == info.compress_size == size
    assert extra_of(info).get(1) == (struct.pack("<QQ", size, size) if large else None)
    assert info.extract_version == (45 if large else 10)
    file.seek(0)
    head = file.read(30)
    version, stored, given_size = struct.unpack_from("<4xH12x2I", head)
    assert (version, stored, given_size) == ((45, EDGE, EDGE) if large else (10, size, size))
    assert file.read(3) == b"one"
    extra = file.read(struct.unpack_from("<H", head, 28)[0])
    assert extra.startswith(struct.pack("<HHQQ", 1, 16, size, size)) == large
    with archive.open(info) as content:
        assert content.read(10) == bytes(10)


@pytest.mark.parametrize(("offset", "far"), [(EDGE - 1, False), (EDGE, True), (EDGE + 1, True)])
@pytest.mark.parametrize("alone", [True, False], ids=["a batch of its own", "one batch"])
def test_an_offset_is_in_a_zip64_field_where_it_needs_it(offset: int, far: bool, alone: bool) -> None:
    half = offset // 2
    fill = [
        of_zeros("one", half),
        of_zeros("two", offset - half - 2 * (30 + 3 + 9)),
        a_file("end"),
        a_file("fin"),
    ]
    layout = ZipLayout(split(fill, [2, 3] if alone else []))
    infos = zipfile.ZipFile(ArchiveFile(layout)).infolist()
    assert infos[2].header_offset == offset
    assert infos[3].header_offset == offset + 42
    assert extra_of(infos[2]).get(1) == (struct.pack("<Q", offset) if far else None)
    assert extra_of(infos[3]).get(1) == struct.pack("<Q", offset + 42)
    assert len(extra_of(infos[1])) == 1


def test_a_large_file_that_lies_far_has_sizes_and_offset_in_its_zip64_field() -> None:
    archive, _ = opened(of_zeros("one", 2**33), of_zeros("two", 2**34), of_zeros("three", 7))
    one, two, three = archive.infolist()
    assert len(extra_of(one)[1]) == 16
    assert extra_of(two)[1] == struct.pack("<3Q", 2**34, 2**34, two.header_offset)
    assert extra_of(three)[1] == struct.pack("<Q", three.header_offset)


@pytest.mark.parametrize(("count", "zip64"), [(65_534, False), (65_535, True), (65_536, True)])
def test_many_entries_need_zip64_records(count: int, zip64: bool) -> None:
    listed = [a_file(f"{number}") for number in range(count)]
    layout = ZipLayout(split(listed, range(0, count, 4096)))
    whole = read(layout)
    assert zipfile.ZipFile(io.BytesIO(whole)).namelist() == [entry.path for entry in listed]
    assert struct.unpack("<4s2H2H", whole[-22:-10])[3:] == (min(count, 0xFFFF),) * 2
    assert (whole[-42:-38] == b"PK\6\7") == zip64
    if zip64:
        assert struct.unpack_from("<2Q", whole, layout.size - 98 + 24) == (count, count)


@pytest.mark.parametrize(("begin", "zip64"), [(EDGE - 1, False), (EDGE, True), (EDGE + 1, True)])
def test_a_directory_that_lies_far_needs_zip64_records(begin: int, zip64: bool) -> None:
    archive, file = opened(of_zeros("one", begin - 42 if begin - 42 < EDGE else begin - 62))
    assert archive.start_dir == begin
    file.seek(-42, io.SEEK_END)
    assert (file.read(4) == b"PK\6\7") == zip64


def test_folders_are_said_to_need_version_2() -> None:
    archive, _ = opened(a_folder("d"))
    [info] = archive.infolist()
    assert (info.extract_version, info.external_attr & 0xFF) == (20, 0x10)


def test_a_zip_of_ten_terabytes_is_read_at_both_ends() -> None:
    listed = [of_zeros(f"run/{number}", 10**10) for number in range(1000)]
    archive = zipfile.ZipFile(ArchiveFile(ZipLayout(split(listed, range(0, 1000, 100)))))
    assert [info.file_size for info in archive.infolist()] == [10**10] * 1000
    with archive.open("run/999") as content:
        assert content.read(3) == bytes(3)


def test_no_entry_is_unpacked_to_what_it_is_not() -> None:
    listed = [a_file("d/a", STAGED[1][5:70], source=1, offset=5), a_file("d/b", STAGED[0][9:19], offset=9)]
    archive = zipfile.ZipFile(io.BytesIO(read(ZipLayout(split(listed)))))
    assert (archive.read("d/a"), archive.read("d/b")) == (STAGED[1][5:70], STAGED[0][9:19])
