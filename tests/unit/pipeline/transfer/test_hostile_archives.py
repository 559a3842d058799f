"""Archives made to deceive or to wear the service out, on their way through the steps."""

import gzip
import tracemalloc
from dataclasses import replace

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import FileEntry
from scicat_retriever.domain.states import DatablockState
from tests.unit.onepass.tars import END, file, header, octal, padded, pax
from tests.unit.pipeline.rig import Rig, entries


def test_zeros_with_no_file_catalogued_are_not_what_was_archived() -> None:
    rig = Rig()
    block = rig.archive(content=bytes(100_000), listed=())
    [record] = rig.plan(replace(block, datablock=replace(block.datablock, size=90_000)))
    with pytest.raises(errors.ChecksumMissing, match=r"p-0\.tar: the catalogue declares 90000 bytes"):
        rig.stage(record)
    assert rig.record(record.key).state is not DatablockState.STAGED


def test_an_empty_directory_is_not_the_file_that_was_archived() -> None:
    rig = Rig()
    content = header(b"data.h5/", kind=b"5") + END
    [record] = rig.plan(rig.archive(content=content, listed=(FileEntry("data.h5", 10**9),)))
    with pytest.raises(errors.ChecksumMissing, match=r"'data\.h5' is catalogued with 1000000000 bytes"):
        rig.stage(record)


def test_an_archive_of_far_more_members_than_catalogued_is_malformed() -> None:
    rig = Rig()
    content = file(b"a", b"x") + header(b"d", kind=b"5") * 100_004 + END
    [record] = rig.plan(rig.archive(content=content, listed=(FileEntry("a", 1),)))
    with pytest.raises(errors.ArchiveMalformed, match="100004 is the most"):
        rig.copy(record)


def test_an_archive_with_an_endless_name_is_malformed() -> None:
    rig = Rig()
    content = pax({b"path": b"n" * 1_000_000}) + file(b"a", b"x") + END
    [record] = rig.plan(rig.archive(content=content))
    with pytest.raises(errors.ArchiveMalformed, match="a path of 1000000 bytes"):
        rig.copy(record)


def sparse() -> bytes:
    return pax({b"GNU.sparse.major": b"1", b"GNU.sparse.realsize": b"1"}) + file(b"a", b"x")


def overridden() -> bytes:
    """One name and size in the header, others in the extended header before it: the latter are what is unpacked."""
    return pax({b"path": b"../a", b"size": b"1"}) + header(b"a", octal(0)) + padded(b"x")


HOSTILE = {
    "a sparse member": (sparse(), errors.ArchiveUnsupported),
    "a device": (file(b"a", b"x") + header(b"sda", kind=b"4"), errors.MemberUnexpected),
    "a named pipe": (file(b"a", b"x") + header(b"pipe", kind=b"6"), errors.MemberUnexpected),
    "an absolute name": (file(b"a", b"x") + file(b"/etc/cron.d/x", b"y"), errors.MemberUnsafe),
    "a name that climbs": (file(b"a", b"x") + file(b"b/../../c", b"y"), errors.MemberUnsafe),
    "a hard link to the outside": (
        file(b"a", b"x") + header(b"h", kind=b"1", link=b"../../etc/shadow"),
        errors.MemberUnsafe,
    ),
    "an extended header that renames": (overridden(), errors.MemberUnsafe),
    "a name with a NUL in its extended header": (
        pax({b"path": b"a\0b"}) + file(b"a", b"x"),
        errors.ArchiveMalformed,
    ),
    "one name twice": (file(b"a", b"x") * 2, errors.MemberDuplicated),
    "one name in two spellings": (file(b"a", b"x") + file(b"./a", b"x"), errors.MemberDuplicated),
    "a name composed otherwise": (file("\u00e9".encode(), b"x"), errors.MemberUnexpected),
}


@pytest.mark.parametrize(("content", "expected"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_member_is_an_error_and_nothing_is_staged(
    content: bytes, expected: type[errors.RetrieverError]
) -> None:
    rig = Rig()
    [record] = rig.plan(rig.archive(content=content + END, listed=entries({"a": b"x"})))
    with pytest.raises(errors.RetrieverError) as raised:
        rig.stage(record)
    assert type(raised.value) is expected
    assert rig.record(record.key).state is not DatablockState.STAGED
    assert rig.staging.staged_size(record.key, rig.record(record.key).partial) is None


@pytest.mark.parametrize("depth", [1, 2])
def test_a_bomb_is_unpacked_to_no_more_than_the_catalogue_allows(depth: int) -> None:
    rig = Rig()
    content = header(b"a", b"\x80" + (1 << 40).to_bytes(11, "big")) + bytes(200 << 20)
    for _ in range(depth):
        content = gzip.compress(content, 9)
    block = rig.archive(content=content, listed=entries({"a": b"x"}), archive_id="bomb.tar.gz")
    [record] = rig.plan(block)
    tracemalloc.start()
    try:
        with pytest.raises((errors.ArchiveMalformed, errors.ArchiveUnsupported)):
            rig.copy(record)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
