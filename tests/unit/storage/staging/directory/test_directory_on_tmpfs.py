"""The staging directory on a real small file system, full, read-only or gone: 8 MiB of tmpfs, which takes root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scicat_retriever.domain.errors import NoSpaceYet, StagingWriteFailed
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.ports.staging_area import Partial, Room
from scicat_retriever.storage.staging.directory.area import DirectoryStaging
from scicat_retriever.storage.staging.directory.settings import DirectoryStagingSettings

MIB = 2**20
FIRST, SECOND = (DatablockKey(DatasetPid("20.500.12345/abc"), DatablockId(name)) for name in ("1", "2"))


@contextmanager
def tmpfs(folder: Path, inodes: int = 0) -> Iterator[None]:
    """Mount 8 MiB of tmpfs, with so many inodes if not 0, or skip the test."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs takes root")
    limit = f",nr_inodes={inodes}" if inodes else ""
    mount = ["mount", "-t", "tmpfs", "-o", f"size=8m{limit}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def staging(root: Path, keep_free_bytes: int = 0, keep_free_share: float = 0.0) -> DirectoryStaging:
    area = DirectoryStaging(
        DirectoryStagingSettings(root=root, keep_free_bytes=keep_free_bytes, keep_free_share=keep_free_share)
    )
    area.prepare()
    return area


def write_for_ever(partial: Partial) -> None:
    while True:
        partial.write(memoryview(b"x" * MIB))


def free(area: DirectoryStaging) -> int:
    found = area.room().free
    assert found is not None
    return found


def stage(area: DirectoryStaging, size: int) -> str:
    with area.open_partial(FIRST, size) as partial:
        partial.write(memoryview(b"x"))
        partial.seal()
    area.commit(FIRST, partial.token, partial.receipt)
    return partial.token


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path):
        yield tmp_path


def test_free_space_is_what_the_file_system_has_less_what_is_kept_free(root: Path) -> None:
    assert staging(root).room() == Room(8 * MIB, 8 * MIB)
    assert staging(root, keep_free_bytes=3 * MIB).room() == Room(5 * MIB, 5 * MIB)
    assert staging(root, keep_free_bytes=9 * MIB).room() == Room(0, 0)


def test_of_the_bytes_and_the_share_that_are_kept_free_the_larger_counts(root: Path) -> None:
    assert staging(root, keep_free_share=0.25).room() == Room(6 * MIB, 6 * MIB)
    assert staging(root, keep_free_share=0.25, keep_free_bytes=3 * MIB).room() == Room(5 * MIB, 5 * MIB)
    assert staging(root, keep_free_share=0.25, keep_free_bytes=MIB).room() == Room(6 * MIB, 6 * MIB)


def test_what_others_put_on_the_file_system_is_not_free(root: Path) -> None:
    (root / "of somebody else").write_bytes(b"x" * 2 * MIB)
    assert staging(root).room() == Room(8 * MIB, 6 * MIB)


def test_a_partial_that_does_not_fit_says_how_many_bytes_are_missing_and_leaves_nothing(root: Path) -> None:
    area = staging(root)
    with pytest.raises(NoSpaceYet, match=f"at least {2 * MIB} bytes are missing"):
        area.open_partial(FIRST, 10 * MIB).__enter__()
    assert area.room().free == 8 * MIB


def test_room_is_set_aside_before_a_byte_is_written(root: Path) -> None:
    area = staging(root)
    with area.open_partial(FIRST, 5 * MIB) as partial:
        assert os.statvfs(root).f_bavail * os.statvfs(root).f_frsize == 3 * MIB
        with pytest.raises(NoSpaceYet), area.open_partial(SECOND, 4 * MIB):
            pass
    assert area.partial_size(FIRST, partial.token) == 0


def test_what_is_set_aside_and_not_written_is_free_for_whom_it_was_claimed(root: Path) -> None:
    area = staging(root)
    with area.open_partial(FIRST, 6 * MIB) as partial:
        assert free(area) == 8 * MIB
        partial.write(memoryview(b"x" * MIB))
        assert free(area) == 7 * MIB


def test_what_was_set_aside_in_vain_is_given_back_by_the_commit(root: Path) -> None:
    area = staging(root)
    with area.open_partial(FIRST, 6 * MIB) as partial:
        partial.write(memoryview(b"x"))
        partial.seal()
    assert os.statvfs(root).f_bavail * os.statvfs(root).f_frsize <= 2 * MIB
    area.commit(FIRST, partial.token, partial.receipt)
    assert free(area) >= 8 * MIB - 3 * 4096


def test_a_disk_that_fills_up_while_writing_fails_the_write_and_can_be_cleared(root: Path) -> None:
    area = staging(root)
    with area.open_partial(FIRST, 0) as partial, pytest.raises(OSError, match="No space left on device"):
        write_for_ever(partial)
    assert area.staged_size(FIRST, partial.token) is None
    area.discard_partial(FIRST)
    assert area.room().free == 8 * MIB


def test_a_read_only_file_system_is_named_as_the_reason(root: Path) -> None:
    area = staging(root)
    subprocess.run(["mount", "-o", "remount,ro", root], check=True)
    with pytest.raises(StagingWriteFailed, match="read-only"), area.open_partial(FIRST, 10):
        pass
    with pytest.raises(StagingWriteFailed, match="read-only"):
        staging(root)


def test_folders_on_two_file_systems_are_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "staged").mkdir()
    with tmpfs(tmp_path / "staged"), pytest.raises(StagingWriteFailed, match="the same mounted file system"):
        staging(tmp_path)


def test_an_unmounted_area_is_an_error_and_not_an_area_without_files(tmp_path: Path) -> None:
    with tmpfs(tmp_path):
        area = staging(tmp_path)
        token = stage(area, 1)
    with pytest.raises(StagingWriteFailed, match="mount it"):
        area.staged_size(FIRST, token)
    with pytest.raises(StagingWriteFailed, match="mount it"):
        area.delete(FIRST)
    with pytest.raises(StagingWriteFailed, match="mount it"):
        list(area.holdings())
    with pytest.raises(StagingWriteFailed, match="mount it"):
        area.open_staged(FIRST, token).__enter__()


def use_inodes_up(root: Path) -> list[Path]:
    """Make files until no inode is left; gives them."""
    made: list[Path] = []
    while os.statvfs(root).f_favail:
        made.append(root / f"of-somebody-else-{len(made)}")
        made[-1].touch()
    return made


@pytest.fixture
def few_inodes(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path, inodes=20):
        yield tmp_path


def test_without_an_inode_there_is_no_room_however_many_bytes_there_are(few_inodes: Path) -> None:
    area = staging(few_inodes)
    assert free(area) > 7 * MIB
    use_inodes_up(few_inodes)
    assert area.room().total > 7 * MIB
    assert free(area) == 0


def test_a_partial_that_gets_no_inode_is_waited_for_and_leaves_nothing(few_inodes: Path) -> None:
    area = staging(few_inodes)
    made = use_inodes_up(few_inodes)
    for left in (0, 1):  # for its folder, and for the file in it
        for each in made[:left]:
            each.unlink()
        with pytest.raises(NoSpaceYet, match=r"no room for another file.*inodes"):
            area.open_partial(FIRST, 1).__enter__()
        assert list((few_inodes / "partial").iterdir()) == []
    for each in made[1:]:
        each.unlink()
    assert stage(area, 1)


def test_a_commit_that_gets_no_inode_is_waited_for_and_the_partial_stays(few_inodes: Path) -> None:
    area = staging(few_inodes)
    with area.open_partial(FIRST, 1) as partial:
        partial.write(memoryview(b"x"))
        partial.seal()
    made = use_inodes_up(few_inodes)
    with pytest.raises(NoSpaceYet, match="inodes"):
        area.commit(FIRST, partial.token, partial.receipt)
    assert area.partial_size(FIRST, partial.token) == 1
    for each in made:
        each.unlink()
    area.commit(FIRST, partial.token, partial.receipt)
    assert area.staged_size(FIRST, partial.token) == 1
