"""archiveIds made to lead out of the store, on a real folder with a secret beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scicat_retriever.domain.errors import ArchiveIdUnsafe, DatablockMissing, RecallError
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import Locality
from scicat_retriever.storage.lts.posix.settings import PosixShareSettings
from scicat_retriever.storage.lts.posix.store import PosixShare
from tests.contracts.test_long_term_store import recall_state

SECRET, ARCHIVE = b"the secret", b"an archive"
COMPOSED, DECOMPOSED = "caf\u00e9.tar", "cafe\u0301.tar"
STEPS = [
    "..",
    ".",
    "",
    "~",
    "secret",
    "out",
    "far-out",
    "loop",
    "pool",
    "a.tar",
    "*",
    "a\n..",
    "a\0",
    "\u2025",
    "\uff0e\uff0e",
    "..%2f",
    "\u2215",
]


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as above:
        root = Path(above, "lts")
        (root / "pool").mkdir(parents=True)
        for folder in (Path(above), root.parent / "lts-not"):
            folder.mkdir(exist_ok=True)
            (folder / "secret").write_bytes(SECRET)
        (root / "pool" / "a.tar").write_bytes(ARCHIVE)
        (root / "a.tar").symlink_to("pool/a.tar")
        (root / "out").symlink_to("..")
        (root / "far-out").symlink_to("pool/../../lts-not")
        (root / "loop").symlink_to("loop")
        yield root


@pytest.fixture(scope="module")
def store(root: Path) -> PosixShare:
    return PosixShare(PosixShareSettings(root=root))


def read(store: PosixShare, archive_id: str) -> bytes:
    buffer = bytearray(100)
    with store.open(ArchiveId(archive_id)) as archive:
        return bytes(buffer[: archive.readinto(memoryview(buffer))])


@given(st.lists(st.sampled_from(STEPS), max_size=8), st.booleans())
@example(["out", "secret"], False)
@example(["far-out", "secret"], False)
@example(["pool", "..", "..", "secret"], False)
def test_whatever_an_archive_id_holds_nothing_outside_the_store_is_read(
    store: PosixShare, root: Path, steps: list[str], absolute: bool
) -> None:
    archive_id = "/".join([str(root), *steps] if absolute else steps)
    with suppress(RecallError):
        assert read(store, archive_id) == ARCHIVE


@given(st.lists(st.sampled_from(STEPS), max_size=8))
def test_where_an_archive_is_and_what_it_holds_are_told_of_the_same_file(
    store: PosixShare, steps: list[str]
) -> None:
    archive_id = ArchiveId("/".join(steps))
    try:
        found = recall_state(store, archive_id)
    except RecallError:
        with pytest.raises(RecallError):
            read(store, archive_id)
        return
    if found.locality is Locality.ONLINE:
        assert read(store, archive_id) == ARCHIVE


def test_names_that_look_alike_are_different_archives(tmp_path: Path) -> None:
    (tmp_path / COMPOSED).write_bytes(b"composed")
    share = PosixShare(PosixShareSettings(root=tmp_path))
    assert read(share, COMPOSED) == b"composed"
    with pytest.raises(DatablockMissing):
        recall_state(share, ArchiveId(DECOMPOSED))


def test_a_line_feed_is_part_of_a_name_and_never_of_a_message(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    share = PosixShare(PosixShareSettings(root=tmp_path))
    for ask in (read, recall_state):
        with pytest.raises(RecallError) as raised:
            ask(share, ArchiveId("a\nERROR: all is lost"))
        assert "\n" not in str(raised.value)
    (tmp_path / "a\nb").write_bytes(b"content")
    assert read(share, "a\nb") == b"content"


@pytest.mark.parametrize(
    "archive_id", ["d/" * 1023 + "a", "x" * 2048, "é" * 2048], ids=["deep", "long", "wide"]
)
def test_a_path_longer_than_any_is_missing(tmp_path: Path, archive_id: str) -> None:
    (tmp_path / "other").touch()
    share = PosixShare(PosixShareSettings(root=tmp_path))
    with pytest.raises(DatablockMissing):
        recall_state(share, ArchiveId(archive_id))


@pytest.mark.parametrize("archive_id", ["a\0.tar", "a.tar\0", "\0", "\ud800.tar"])
def test_what_can_be_no_file_name_is_refused(tmp_path: Path, archive_id: str) -> None:
    share = PosixShare(PosixShareSettings(root=tmp_path))
    with pytest.raises(ArchiveIdUnsafe):
        recall_state(share, ArchiveId(archive_id))
