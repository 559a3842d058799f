"""A computed tar is what Python's tarfile, and the service's own walker, read as its entries."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
from hypothesis import given, settings

from scicat_retriever.computed.entries import Entry, EntryKind, batch_of
from scicat_retriever.computed.tar_layout import TarLayout
from scicat_retriever.computed.tar_records import extended_bytes, extended_header
from tests.examples import examples
from tests.unit.computed.archives import (
    CUTS,
    STAGED,
    ArchiveFile,
    a_file,
    a_folder,
    a_symlink,
    content_of,
    entries,
    of_zeros,
    read,
    split,
)
from tests.unit.onepass.tars import walk

TYPES = {
    EntryKind.FILE: tarfile.REGTYPE,
    EntryKind.FOLDER: tarfile.DIRTYPE,
    EntryKind.SYMLINK: tarfile.SYMTYPE,
}
RIGHTS = {EntryKind.FILE: 0o644, EntryKind.FOLDER: 0o755, EntryKind.SYMLINK: 0o777}
MOST = 8**11 - 1


def opened(*listed: Entry) -> tarfile.TarFile:
    """Open the tar of some entries without storing it."""
    return tarfile.open(fileobj=io.BufferedReader(ArchiveFile(TarLayout([batch_of(listed)]))), mode="r:")


@settings(max_examples=examples(40))
@given(listed=entries(), cuts=CUTS)
def test_tarfile_reads_the_entries(listed: list[Entry], cuts: list[int]) -> None:
    whole = read(TarLayout(split(listed, cuts)))
    with tarfile.open(fileobj=io.BytesIO(whole), mode="r:") as archive:
        for entry, info in zip(listed, archive.getmembers(), strict=True):
            assert (info.name, info.type, info.linkname) == (entry.path, TYPES[entry.kind], entry.link)
            assert info.mode == RIGHTS[entry.kind]
            assert (info.uid, info.gid, info.uname, info.gname) == (0, 0, "", "")
            assert info.mtime == float(entry.mtime)
            if entry.kind is EntryKind.FILE:
                content = archive.extractfile(info)
                assert content is not None
                assert content.read() == content_of(entry)


@settings(max_examples=examples(40))
@given(listed=entries(), cuts=CUTS)
def test_the_walker_of_archives_reads_the_entries(listed: list[Entry], cuts: list[int]) -> None:
    whole = read(TarLayout(split(listed, cuts)))
    members = walk(whole)
    for entry, member in zip(listed, members, strict=True):
        assert (member.name, member.size, member.link) == (entry.path, entry.size, entry.link)
        if entry.kind is EntryKind.FILE:
            assert member.digest == hashlib.sha256(content_of(entry)).hexdigest()


def test_a_tar_ends_in_zeros_up_to_a_whole_record() -> None:
    for count in range(45):
        layout = TarLayout(split([a_file(f"{number}") for number in range(count)]))
        assert layout.size % 10_240 == 0
        assert 1024 <= layout.size - 512 * count < 1024 + 10_240
        assert not any(read(layout, 512 * count))


def test_nothing_at_all_is_an_empty_tar() -> None:
    for batches in ([], split([]), split([], [0, 0])):
        assert read(TarLayout(batches)) == bytes(10_240)


@pytest.mark.parametrize("size", [MOST, MOST + 1, 5 * 2**40])
def test_sizes_beyond_the_header_are_read(size: int) -> None:
    archive = opened(of_zeros("one", size), a_file("end"))
    assert [info.size for info in archive.getmembers()] == [size, 0]
    assert ("size" in archive.getmembers()[0].pax_headers) == (size > MOST)


PLAIN = {
    "a short path": a_file("d/" + "x" * 98),
    "a folder": a_folder("x" * 99),
    "a link": a_symlink("l", "x" * 100),
    "the first second": a_file("f", mtime=0),
    "the last second": a_file("f", mtime=MOST),
}
EXTENDED = {
    "a long path": (a_file("d/" + "x" * 99), {"path"}),
    "a folder": (a_folder("x" * 100), {"path"}),
    "a path of more than 255 bytes": (a_file("/".join(["x" * 60] * 9)), {"path"}),
    "a path of the longest": (a_file("x" * 65_534), {"path"}),
    "letters beyond ASCII": (a_file("é"), {"path"}),
    "a long target": (a_symlink("l", "x" * 101), {"linkpath"}),
    "a target beyond ASCII": (a_symlink("l", "é"), {"linkpath"}),
    "before 1970": (a_file("f", mtime=-1), {"mtime"}),
    "beyond the header": (a_file("f", mtime=MOST + 1), {"mtime"}),
    "everything": (a_symlink("é", "é", mtime=-1), {"path", "linkpath", "mtime"}),
}


@pytest.mark.parametrize("case", PLAIN)
def test_a_header_that_says_all_stands_alone(case: str) -> None:
    layout = TarLayout([batch_of([PLAIN[case]])])
    assert read(layout, 512) == bytes(layout.size - 512)


@pytest.mark.parametrize("case", EXTENDED)
def test_what_a_header_cannot_say_is_in_an_extended_one(case: str) -> None:
    entry, keys = EXTENDED[case]
    [info] = opened(entry).getmembers()
    assert {*info.pax_headers} == keys
    assert (info.name, info.linkname, info.mtime) == (entry.path, entry.link, float(entry.mtime))


@pytest.mark.parametrize("length", [*range(80, 105), *range(980, 1000), *range(9980, 9995)])
def test_the_length_of_a_record_counts_itself(length: int) -> None:
    [info] = opened(a_file("é" + "x" * length)).getmembers()
    assert len(info.name) == length + 1


def test_records_that_fill_blocks_are_measured_rightly() -> None:
    """Those of the longest numbers, too, with paths and targets that fill a block and begin the next."""
    early = -(2**63)
    for length in [*range(300, 540), *range(900, 1030)]:
        for path, size, link in (("x" * length, 2**63, ""), ("é" * (length // 4), 0, "x" * (length // 2))):
            entry = path.encode(), size, early, link.encode()
            assert extended_bytes(*entry) == len(extended_header(*entry))


@pytest.mark.parametrize("cut", range(4))
def test_plain_and_extended_entries_stand_in_one_batch(cut: int) -> None:
    listed = [a_file("a", STAGED[0][:9]), a_file("é", STAGED[0][:700]), a_folder("z")]
    assert [member.name for member in walk(read(TarLayout(split(listed, [cut]))))] == ["a", "é", "z"]
