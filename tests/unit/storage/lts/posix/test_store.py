from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from scicat_retriever.domain.errors import (
    ArchiveIdUnsafe,
    DatablockMissing,
    DatablockUnreadable,
    RecallError,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import AskedArchive, Locality
from scicat_retriever.storage.lts.posix.settings import PosixShareSettings
from scicat_retriever.storage.lts.posix.store import PosixShare
from tests.contracts.test_long_term_store import METHODS, read_all, recall_state, request_recall, wait_for

A = ArchiveId("a.tar")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "lts"
    folder.mkdir()
    return folder


def share(root: Path, **settings: object) -> PosixShare:
    return PosixShare(PosixShareSettings.model_validate({"root": root, **settings}))


def locality(store: PosixShare, archive_id: str = A) -> Locality:
    return recall_state(store, ArchiveId(archive_id)).locality


def stub(path: Path, size: int) -> None:
    """Make a file without blocks, as an HSM leaves one."""
    path.touch()
    os.truncate(path, size)


# Confinement


@pytest.mark.parametrize("method", ["request_recalls", "recall_states", "open"])
@pytest.mark.parametrize("target", ["../secret.tar", "/etc/passwd", "../gone.tar", "folder/../../secret.tar"])
def test_a_link_that_leads_out_of_the_root_is_refused(root: Path, target: str, method: str) -> None:
    (root.parent / "secret.tar").write_bytes(b"secret")
    (root / A).symlink_to(target)
    with pytest.raises(ArchiveIdUnsafe):
        METHODS[method](share(root), A)


def test_a_linked_folder_that_leads_out_of_the_root_is_refused(root: Path) -> None:
    (root.parent / "secret.tar").write_bytes(b"secret")
    (root / "pool").symlink_to(root.parent)
    with pytest.raises(ArchiveIdUnsafe):
        read_all(share(root), "pool/secret.tar")


@pytest.mark.parametrize("absolute", [False, True])
def test_a_link_that_stays_inside_the_root_is_followed(root: Path, absolute: bool) -> None:
    (root / "pool2").mkdir()
    (root / "pool2" / "a.tar").write_bytes(b"moved here")
    (root / "pool1").symlink_to(root / "pool2" if absolute else "pool2")
    assert read_all(share(root), "pool1/a.tar") == b"moved here"


def test_a_root_that_is_itself_a_link_is_followed(root: Path) -> None:
    (root / A).write_bytes(b"content")
    (root.parent / "link").symlink_to(root)
    assert read_all(share(root.parent / "link"), A) == b"content"


def test_links_in_a_circle_are_refused(root: Path) -> None:
    (root / A).symlink_to("b.tar")
    (root / "b.tar").symlink_to(A)
    with pytest.raises(ArchiveIdUnsafe):
        locality(share(root))


def test_a_file_swapped_for_a_link_to_the_outside_is_never_read(root: Path) -> None:
    """While one thread swaps a file and a link, every read gives the file or an error, never the secret."""
    secret, plain, link, inside = (root.parent / "secret.tar", root / "plain", root / "link", root / A)
    secret.write_bytes(b"secret")
    link.symlink_to(secret)
    inside.write_bytes(b"inside")
    stop, seen, reads = threading.Event(), set[bytes](), 0

    def swap() -> None:
        while not stop.is_set():
            os.link(link, root / "new", follow_symlinks=False)
            (root / "new").rename(inside)
            plain.write_bytes(b"inside")
            plain.rename(inside)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        end = time.monotonic() + 60
        while (reads < 500 or not {b"inside", b"refused"} <= seen) and time.monotonic() < end:
            reads += 1
            try:
                seen.add(read_all(share(root), A))
            except RecallError:
                seen.add(b"refused")
    finally:
        stop.set()
        swapper.join()
    assert seen == {b"inside", b"refused"}


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.mknod(path, stat.S_IFSOCK | 0o600)])
@pytest.mark.parametrize("method", ["request_recalls", "recall_states", "open"])
def test_what_is_no_regular_file_is_refused_without_blocking(
    root: Path, make: Callable[[Path], None], method: str
) -> None:
    make(root / A)
    with pytest.raises(DatablockUnreadable, match="no regular file"):
        METHODS[method](share(root), A)


def test_an_archive_named_by_bytes_that_are_not_utf8_is_found(root: Path) -> None:
    name = os.fsdecode(b"caf\xe9.tar")
    (root / name).write_bytes(b"content")
    assert read_all(share(root), name) == b"content"


def test_a_name_longer_than_a_file_system_allows_is_missing(root: Path) -> None:
    (root / A).touch()
    with pytest.raises(DatablockMissing):
        locality(share(root), "x" * 300)


def test_a_path_through_a_file_is_missing(root: Path) -> None:
    (root / A).touch()
    with pytest.raises(DatablockMissing):
        locality(share(root), "a.tar/b.tar")


def test_the_template_and_the_catalogued_root_lead_to_the_file(root: Path) -> None:
    (root / "ab").mkdir()
    (root / "ab" / "abc.tar").write_bytes(b"content")
    store = share(root, path_template="{archive_id[0:2]}/{archive_id}.tar", catalogued_root="/tape")
    assert read_all(store, "abc") == read_all(store, "/tape/ab/abc.tar") == b"content"


# A share that is not mounted


def test_an_empty_root_is_a_share_that_is_not_mounted(root: Path) -> None:
    with pytest.raises(StoreUnavailable, match="mount the share"):
        locality(share(root))
    with pytest.raises(StoreUnavailable, match="mount the share"):
        read_all(share(root), A)


def test_a_share_without_its_marker_is_not_mounted(root: Path) -> None:
    (root / "left over on the mount point").touch()
    store = share(root, must_exist=".mounted")
    with pytest.raises(StoreUnavailable, match=r"\.mounted"):
        locality(store)
    (root / ".mounted").touch()
    with pytest.raises(DatablockMissing):
        locality(store)


def test_a_missing_archive_is_named_when_opened(root: Path) -> None:
    (root / "other.tar").touch()
    with pytest.raises(DatablockMissing, match=r"a\.tar"):
        read_all(share(root), A)


def test_the_path_is_named_at_which_a_missing_archive_was_looked_for(root: Path) -> None:
    (root / "other.tar").touch()
    store = share(root, path_template="{archive_id[0:2]}/{archive_id}.tar")
    looked_for = f"there is no {root}/bl/block-001.tar"
    told = f"^the long-term store has no block-001: {looked_for}$"
    for ask in (recall_state, read_all):
        with pytest.raises(DatablockMissing, match=told):
            ask(store, "block-001")


# Tape


@pytest.mark.parametrize(("size", "expected"), [(4095, Locality.ONLINE), (4096, Locality.OFFLINE)])
def test_small_files_without_blocks_are_online(root: Path, size: int, expected: Locality) -> None:
    stub(root / A, size)
    assert locality(share(root)) is expected


def test_blocks_are_not_looked_at_when_told_so(root: Path) -> None:
    stub(root / A, 10**6)
    assert locality(share(root, offline_by_blocks=False)) is Locality.ONLINE


def test_a_sparse_archive_is_offline_until_a_read_has_shown_that_it_can_be_read(root: Path) -> None:
    stub(root / A, 10**6)
    with (root / A).open("r+b") as file:
        file.write(b"x" * 5000)
    store = share(root)
    assert locality(store) is Locality.OFFLINE
    request_recall(store, A)
    wait_for(lambda: locality(store) is Locality.ONLINE)
    assert "sparse" in recall_state(store, A).reason


def test_an_archive_moved_to_tape_again_is_not_online_by_an_old_read(root: Path) -> None:
    stub(root / A, 10**6)
    with (root / A).open("r+b") as file:
        file.write(b"x" * 5000)
    store = share(root)
    request_recall(store, A)
    wait_for(lambda: locality(store) is Locality.ONLINE)
    os.truncate(root / A, 0)
    stub(root / A, 10**6)
    assert locality(store) is not Locality.ONLINE


def test_a_file_system_that_never_shows_blocks_is_told_with_the_setting_for_it(root: Path) -> None:
    stub(root / A, 10**6)
    store = share(root)
    request_recall(store, A)
    wait_for(lambda: "`offline_by_blocks = false`" in recall_state(store, A).reason)
    assert locality(store) is Locality.RECALLING


def test_a_recall_command_that_ends_with_a_warning_has_recalled(root: Path) -> None:
    stub(root / A, 10**6)
    command = ["/bin/sh", "-c", "exit 4", "sh", "{path}"]
    refused, accepted = (
        share(root, recall_command=command),
        share(root, recall_command=command, accepted_exit_codes=[4]),
    )
    for store in (refused, accepted):
        request_recall(store, A)
    wait_for(lambda: "exit code 4" in recall_state(refused, A).reason)
    wait_for(
        lambda: (
            locality(accepted) is Locality.RECALLING and "exit code" not in recall_state(accepted, A).reason
        )
    )


def test_release_forgets_what_a_read_has_shown(root: Path) -> None:
    stub(root / A, 10**6)
    with (root / A).open("r+b") as file:
        file.write(b"x" * 5000)
    store = share(root)
    request_recall(store, A)
    wait_for(lambda: locality(store) is Locality.ONLINE)
    store.let_go([AskedArchive(A)])
    assert locality(store) is Locality.OFFLINE


def test_a_recall_whose_read_fails_says_why_and_may_be_asked_again() -> None:
    """`/proc/self/mem` is a regular file whose first byte no process may read: a real EIO."""
    store, memory = share(Path("/proc/self"), offline_by_blocks=False), ArchiveId("mem")
    for _ in range(2):
        request_recall(store, memory)
        wait_for(lambda: locality(store, memory) is Locality.OFFLINE)
        assert "Input/output error" in recall_state(store, memory).reason


def test_a_file_that_changed_a_moment_ago_is_still_being_written(root: Path) -> None:
    (root / A).write_bytes(b"content")
    written = (root / A).stat().st_mtime
    settings = PosixShareSettings(root=root, settle_seconds=60)
    fresh = recall_state(PosixShare(settings, now=lambda: written + 59), A)
    assert (fresh.locality, "being written" in fresh.reason) == (Locality.RECALLING, True)
    assert locality(PosixShare(settings, now=lambda: written + 60)) is Locality.ONLINE


def test_a_modification_time_far_in_the_future_does_not_block_for_ever(root: Path) -> None:
    (root / A).write_bytes(b"content")
    os.utime(root / A, (2**33, 2**33))
    assert locality(share(root, settle_seconds=60)) is Locality.ONLINE


def test_the_source_has_the_descriptor_of_the_open_file(root: Path) -> None:
    (root / A).write_bytes(b"content")
    with share(root).open(A) as source:
        assert os.pread(source.fileno(), 7, 0) == b"content"
        descriptor = source.fileno()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_source_that_was_closed_never_reads_another_file_s_bytes(root: Path) -> None:
    (root / A).write_bytes(b"content")
    with share(root).open(A) as source:
        reused = source.fileno()
    other = os.open(root / A, os.O_RDONLY)
    os.dup2(other, reused)
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            source.readinto(memoryview(bytearray(7)))
    finally:
        for descriptor in {other, reused}:
            os.close(descriptor)


def test_no_descriptor_is_left_open(root: Path) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "a.tar").write_bytes(b"content")
    (root / "out.tar").symlink_to("/etc/passwd")
    store = share(root)
    recall_state(store, ArchiveId("folder/a.tar"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for archive_id in ["folder/a.tar", "folder/missing.tar", "out.tar"] * 20:
        for method in METHODS.values():
            try:
                method(store, ArchiveId(archive_id))
            except (ArchiveIdUnsafe, DatablockMissing):
                continue
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"root": "relative"},
        {"root": "/lts/../etc"},
        {"catalogued_root": "relative"},
        {"path_template": "{archive_id.__class__}"},
        {"answer_timeout": 0},
        {"recall_requests": 0},
        {"settle_seconds": -1},
        {"kind": "s3"},
        {"unknown": 1},
    ],
)
def test_settings_that_cannot_be_used_are_refused_and_the_key_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        PosixShareSettings.model_validate({"root": "/lts", **wrong})
