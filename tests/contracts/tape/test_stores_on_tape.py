"""The posix and the S3 store with the tape library behind them: recalled, read, and gone again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scicat_retriever.domain.errors import NotYetOnline
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import AskedArchive, Locality, LongTermStore
from scicat_retriever.storage.lts.glacier.settings import S3GlacierSettings
from scicat_retriever.storage.lts.glacier.store import S3Glacier
from scicat_retriever.storage.lts.posix.settings import PosixShareSettings
from scicat_retriever.storage.lts.posix.store import PosixShare
from stand_ins.tape.glacier import GlacierServer
from stand_ins.tape.library import TapeLibrary
from stand_ins.tape.shape import LibraryShape
from stand_ins.tape.stubs import StubFolder
from tests.contracts.test_long_term_store import read_all, recall_state, request_recall, wait_for

A = ArchiveId("proposal/a b.tar")
NAMES = [ArchiveId(f"proposal/{number:02d}.tar") for number in range(30)]
CONTENT = os.urandom(300_000)
SHAPE = LibraryShape(drives=2, mount_seconds=10, seek_seconds=0)


@pytest.fixture
def library() -> TapeLibrary:
    library = TapeLibrary(SHAPE)
    for index, name in enumerate([A, *NAMES]):
        library.store(name, CONTENT, tape=f"VB000{index % 3}")
    return library


@pytest.fixture
def share(library: TapeLibrary, tmp_path: Path) -> Iterator[PosixShare]:
    folder = StubFolder(library, tmp_path / "lts", lifetime=1000)
    command = (
        sys.executable,
        "-m",
        "stand_ins.tape.recall",
        str(tmp_path / "socket"),
        "{paths_file}",
    )
    with folder.kept(interval=0.01), folder.serve(tmp_path / "socket"):
        yield PosixShare(PosixShareSettings(root=tmp_path / "lts", recall_command=command))


@pytest.fixture
def server(library: TapeLibrary) -> GlacierServer:
    return GlacierServer(library, access_key="known")


@pytest.fixture
def bucket(server: GlacierServer) -> Iterator[S3Glacier]:
    with server.serve() as url:
        yield S3Glacier(glacier_settings(url))


def glacier_settings(url: str, **others: object) -> S3GlacierSettings:
    return S3GlacierSettings.model_validate(
        {
            "kind": "s3_glacier",
            "endpoint_url": url,
            "addressing": "path",
            "bucket": "archive",
            "access_key_id": "known",
            "secret_access_key": "a-secret-that-nobody-checks",
            "days": 1,
            "extend_before": 3600,
            **others,
        }
    )


def localities(store: LongTermStore) -> set[Locality | Exception]:
    answers = store.recall_states([AskedArchive(name) for name in NAMES]).values()
    return {answer if isinstance(answer, Exception) else answer.locality for answer in answers}


def is_asked_for(library: TapeLibrary, name: str) -> bool:
    file = library.file(name)
    return file is not None and file.recall is not None


def test_a_share_of_stubs_recalls_by_its_command(share: PosixShare, library: TapeLibrary) -> None:
    assert recall_state(share, A).locality is Locality.OFFLINE
    request_recall(share, A)
    wait_for(lambda: is_asked_for(library, A))
    assert recall_state(share, A).locality is Locality.RECALLING
    library.advance(100)
    wait_for(lambda: recall_state(share, A).locality is Locality.ONLINE)
    assert read_all(share, A) == CONTENT


def test_a_share_of_stubs_recalls_many_with_one_mount_for_each_tape(
    share: PosixShare, library: TapeLibrary
) -> None:
    share.request_recalls(NAMES)
    wait_for(lambda: all(is_asked_for(library, name) for name in NAMES))
    library.advance(900)
    wait_for(lambda: localities(share) == {Locality.ONLINE})
    assert (library.counts().mounts, library.counts().reads) == (3, len(NAMES))


def test_a_bucket_on_tape_is_restored_and_read(bucket: S3Glacier, library: TapeLibrary) -> None:
    assert recall_state(bucket, A).locality is Locality.OFFLINE
    with pytest.raises(NotYetOnline):
        read_all(bucket, A)
    request_recall(bucket, A)
    request_recall(bucket, A)
    assert recall_state(bucket, A).locality is Locality.RECALLING
    library.advance(100)
    assert recall_state(bucket, A).locality is Locality.ONLINE
    assert read_all(bucket, A, start=1000, length=5000) == CONTENT[1000:6000]
    assert library.reads(A) == 1


@pytest.mark.parametrize("restore_status", [True, False])
def test_many_keys_of_a_bucket_on_tape_are_restored(
    bucket: S3Glacier, server: GlacierServer, library: TapeLibrary, restore_status: bool
) -> None:
    server.restore_status = restore_status
    bucket.request_recalls(NAMES)
    assert localities(bucket) == {Locality.RECALLING}
    library.advance(500)
    assert localities(bucket) == {Locality.ONLINE}
    library.advance(2 * 86_400)
    assert localities(bucket) == {Locality.OFFLINE}


def test_what_expires_soon_is_kept_longer_without_another_read(
    bucket: S3Glacier, library: TapeLibrary
) -> None:
    library.recall([A], lifetime=600)
    library.advance(100)
    assert recall_state(bucket, A).locality is Locality.OFFLINE
    request_recall(bucket, A)
    assert recall_state(bucket, A).locality is Locality.ONLINE
    assert library.reads(A) == 1


def test_where_expedited_restores_are_not_to_be_had_another_tier_is_taken(
    server: GlacierServer, library: TapeLibrary
) -> None:
    server.expedited = False
    with server.serve() as url:
        store = S3Glacier(glacier_settings(url, tier="Expedited"))
        request_recall(store, A)
        assert recall_state(store, A).locality is Locality.RECALLING
