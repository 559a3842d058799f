from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from scicat_retriever.domain.errors import NoSpaceYet, StagingWriteFailed
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.ports.staging_area import Holding, Partial, StagingArea
from scicat_retriever.storage.staging.directory.area import DirectoryStaging
from scicat_retriever.storage.staging.directory.preallocation import set_aside
from scicat_retriever.storage.staging.directory.settings import DirectoryStagingSettings

MIB = 2**20
FIRST = DatablockKey(DatasetPid("20.500.12345/abc"), DatablockId("1"))


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    before = os.umask(0o022)
    yield tmp_path / "staging"
    os.umask(before)


def staging(root: Path, **settings: object) -> DirectoryStaging:
    area = DirectoryStaging(
        DirectoryStagingSettings.model_validate({"root": root, "keep_free_bytes": 0, **settings})
    )
    area.prepare()
    return area


def stage(area: DirectoryStaging, key: DatablockKey, content: bytes) -> str:
    partial = write(area, key, content)
    area.commit(key, partial.token, partial.receipt)
    return partial.token


def write(area: DirectoryStaging, key: DatablockKey, content: bytes) -> Partial:
    with area.open_partial(key, len(content)) as partial:
        written = 0
        while written < len(content):
            written += partial.write(memoryview(content)[written:])
        partial.seal()
    return partial


def test_files_are_readable_by_the_group_and_by_nobody_else(root: Path) -> None:
    stage(staging(root), FIRST, b"x")
    modes = {path.is_dir(): path.stat().st_mode & 0o7777 for path in [root, *root.rglob("*")]}
    assert modes == {True: 0o750, False: 0o640}


def test_a_datablock_s_folders_are_there_for_as_long_as_they_hold_files(root: Path) -> None:
    area = staging(root)
    token = stage(area, FIRST, b"x")
    assert list((root / "partial").iterdir()) == []
    assert list((root / "staged").rglob("*")) == [
        root / "staged" / "20.500.12345%2Fabc,1",
        root / "staged" / "20.500.12345%2Fabc,1" / token,
    ]
    with area.open_partial(FIRST, 1):
        pass
    area.discard_partial(FIRST)
    area.delete(FIRST)
    assert [list((root / name).iterdir()) for name in ("partial", "staged")] == [[], []]


def test_a_partial_that_finds_no_room_leaves_no_folder(root: Path) -> None:
    area = staging(root)
    with pytest.raises(NoSpaceYet), area.open_partial(FIRST, 2**60):
        pass
    assert list((root / "partial").iterdir()) == []


def test_the_folder_above_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(StagingWriteFailed, match="make the folder above"):
        staging(tmp_path / "absent" / "staging")


def test_a_second_process_finds_what_the_first_has_staged(root: Path) -> None:
    token = stage(staging(root), FIRST, b"x")
    assert staging(root).staged_size(FIRST, token) == 1


def test_a_capacity_bounds_the_whole_and_not_what_the_file_system_has(root: Path) -> None:
    whole, bounded = staging(root).room(), staging(root, capacity_bytes=3 * MIB).room()
    assert bounded.total == 3 * MIB
    assert bounded.free is not None
    assert bounded.free > 3 * MIB
    assert whole.total > 3 * MIB


def test_a_receipt_is_the_size(root: Path) -> None:
    assert write(staging(root), FIRST, b"x" * 123).receipt == "bytes:123"


def test_an_open_staged_file_can_be_read_after_its_release(root: Path) -> None:
    area = staging(root)
    token = stage(area, FIRST, b"x" * MIB)
    with area.open_staged(FIRST, token) as file:
        area.delete(FIRST)
        assert file.read() == b"x" * MIB


def test_a_partial_that_is_being_written_is_not_removed(root: Path) -> None:
    area = staging(root)
    with area.open_partial(FIRST, 4) as partial:
        partial.write(memoryview(b"half"))
        (holding,) = area.holdings()
        area.remove(holding)
        assert area.partial_size(FIRST, partial.token) == 4
    area.remove(holding)
    assert area.partial_size(FIRST, partial.token) is None


def test_removing_leaves_no_empty_folder(root: Path) -> None:
    area = staging(root)
    stage(area, FIRST, b"x")
    write(area, FIRST, b"y")
    for holding in list(area.holdings()):
        area.remove(holding)
    assert [list((root / name).iterdir()) for name in ("partial", "staged")] == [[], []]


@pytest.mark.parametrize(
    "name", ["staged/note.txt", "staged/a,b/.nfs000001", "staged/a,b/c/d", "partial/0123456789abcdef"]
)
def test_files_that_are_not_named_as_its_own_are_none_of_its_business(root: Path, name: str) -> None:
    area = staging(root)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).touch()
    assert list(area.holdings()) == []


@pytest.mark.parametrize(
    ("name", "token"),
    [("..", "0123456789abcdef"), ("a,b", ".."), ("a,b/..", "0123456789abcdef"), ("", "x"), ("a,b", "")],
)
def test_nothing_but_its_own_files_is_removed(root: Path, name: str, token: str) -> None:
    area = staging(root)
    with pytest.raises(StagingWriteFailed, match="no file of the staging area"):
        area.remove(Holding(name, token, True, 0, datetime.now(UTC)))
    assert root.is_dir()


def test_there_are_no_other_urls_to_download_from(root: Path) -> None:
    area = staging(root)
    token = stage(area, FIRST, b"x")
    as_the_port: StagingArea = area
    assert as_the_port.download_url(FIRST, token, "x.tar", timedelta(hours=1)) is None


def test_setting_blocks_aside_keeps_the_size(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        assert set_aside(file.fileno(), MIB)
        found = os.fstat(file.fileno())
    assert (found.st_size, found.st_blocks * 512) == (0, MIB)


def test_a_file_that_cannot_be_set_aside_for_is_left_as_it_is() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(OSError, match="Illegal seek"):
            set_aside(writer, MIB)
    finally:
        os.close(reader)
        os.close(writer)
    with Path("/dev/null").open("wb") as file:
        assert set_aside(file.fileno(), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"root": "relative"},
        {"keep_free_bytes": -1},
        {"keep_free_share": 1.0},
        {"capacity_bytes": 0},
        {"unknown": 1},
        {"kind": "s3"},
    ],
)
def test_settings_that_cannot_be_used_are_refused_and_the_key_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        DirectoryStagingSettings.model_validate({"root": "/staging", **wrong})
