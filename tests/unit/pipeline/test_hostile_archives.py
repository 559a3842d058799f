"""Archives made to deceive or to wear the service out, on their way through the steps."""

from dataclasses import replace

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import FileEntry
from scicat_retriever.domain.states import DatablockState
from tests.unit.onepass.tars import END, file, header, pax
from tests.unit.pipeline.rig import Rig


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
