from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from scicat_retriever.domain.errors import StagingWriteFailed
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.storage.staging.directory import DirectoryStaging, DirectoryStagingSettings
from scicat_retriever.storage.staging.preallocation import set_aside
from scicat_retriever.storage.staging.used_space import UsedSpace

MIB = 2**20
FIRST = DatablockKey(DatasetPid("20.500.12345/abc"), DatablockId("1"))


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    before = os.umask(0o022)
    yield tmp_path / "staging"
    os.umask(before)


def staging(root: Path, **settings: object) -> DirectoryStaging:
    return DirectoryStaging(
        DirectoryStagingSettings.model_validate({"root": root, "keep_free_bytes": 0, **settings})
    )


def stage(area: DirectoryStaging, key: DatablockKey, content: bytes) -> str:
    with area.open_partial(key, len(content)) as partial:
        partial.file.write(content)
    area.commit(key, partial.token)
    return partial.token


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
    area.release(FIRST)
    assert [list((root / name).iterdir()) for name in ("partial", "staged")] == [[], []]


def test_a_partial_that_finds_no_room_leaves_no_folder(root: Path) -> None:
    area = staging(root)
    with pytest.raises(StagingWriteFailed), area.open_partial(FIRST, 2**60):
        pass
    assert list((root / "partial").iterdir()) == []


def test_the_folder_above_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(StagingWriteFailed, match="make the folder above"):
        staging(tmp_path / "absent" / "staging")


def test_a_second_process_finds_what_the_first_has_staged(root: Path) -> None:
    token = stage(staging(root), FIRST, b"x")
    assert staging(root).staged_size(FIRST, token) == 1


def test_a_capacity_bounds_the_free_space_and_the_whole(root: Path) -> None:
    area = staging(root, capacity_bytes=3 * MIB)
    assert (area.free_bytes(), area.total_bytes()) == (3 * MIB, 3 * MIB)
    with area.open_partial(FIRST, 2 * MIB):
        assert area.free_bytes() <= MIB
    stage(area, FIRST, b"x" * 4 * MIB)
    assert area.free_bytes() == 0


def test_what_another_process_has_staged_counts_towards_the_capacity(root: Path) -> None:
    stage(staging(root), FIRST, b"x" * 2 * MIB)
    assert staging(root, capacity_bytes=3 * MIB).free_bytes() == MIB


def test_used_space_is_carried_forward_between_two_counts(tmp_path: Path) -> None:
    used = UsedSpace(tmp_path)
    assert used.bytes() == 0
    (tmp_path / "unseen until the next count").write_bytes(b"x" * MIB)
    used.change(5)
    assert used.bytes() == 5
    used.change(-10)
    assert used.bytes() == 0


def test_used_space_counts_blocks_set_aside_and_files_in_folders(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"x" * MIB)
    with (tmp_path / "partial").open("wb") as file:
        assert set_aside(file.fileno(), 2 * MIB)
    assert UsedSpace(tmp_path).bytes() == 3 * MIB


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
    [{"root": "relative"}, {"keep_free_bytes": -1}, {"capacity_bytes": 0}, {"unknown": 1}, {"kind": "s3"}],
)
def test_settings_that_cannot_be_used_are_refused_and_the_key_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        DirectoryStagingSettings.model_validate({"root": "/staging", **wrong})
