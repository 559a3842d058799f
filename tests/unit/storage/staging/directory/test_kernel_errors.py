"""Whatever the kernel answers, the share and the staging area say it in errors of the service."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scicat_retriever.domain.errors import (
    DatablockMissing,
    DatablockUnreadable,
    NoSpaceYet,
    RecallError,
    RetrieverError,
    StagedFileMissing,
    StagingError,
    StagingWriteFailed,
    StoreUnavailable,
)
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid
from scicat_retriever.storage.lts.posix.settings import PosixShareSettings
from scicat_retriever.storage.lts.posix.store import PosixShare
from scicat_retriever.storage.staging.directory.area import DirectoryStaging
from scicat_retriever.storage.staging.directory.settings import DirectoryStagingSettings
from tests.contracts.test_long_term_store import METHODS

ERRNOS = sorted(errno.errorcode)
"""Every error that a system call may answer with here."""
A = ArchiveId("a.tar")
KEY = DatablockKey(DatasetPid("20.500.12345/abc"), DatablockId("1"))
ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}
FORBIDDEN = {errno.EACCES, errno.EPERM}


class Refusing:
    """Stands for a function of the operating system, and fails with an errno."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        raise OSError(self.number, os.strerror(self.number))


def raised_by(owner: object, function: str, number: int, call: Callable[[], object]) -> Exception | None:
    """Give what `call` raises while a function of the operating system fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, function, refusing := Refusing(number))
        try:
            call()
        except (OSError, RetrieverError) as error:
            return error
        finally:
            assert refusing.calls, f"{function} was not called"
    return None


# The share


@pytest.fixture
def share(tmp_path: Path) -> PosixShare:
    (tmp_path / "other.tar").touch()
    (tmp_path / A).write_bytes(b"x" * 10)
    return PosixShare(PosixShareSettings(root=tmp_path))


def expected_of_the_share(number: int) -> type[RecallError]:
    if number in ABSENT:
        return DatablockMissing
    return DatablockUnreadable if number in FORBIDDEN else StoreUnavailable


@pytest.mark.parametrize("method", ["recall_states", "request_recalls"])
def test_each_error_of_looking_at_an_archive_is_one_of_ours(share: PosixShare, method: str) -> None:
    for number in ERRNOS:
        error = raised_by(os, "access", number, lambda: METHODS[method](share, A))
        # That an archive is not there is the answer of the one, and no matter for the other.
        is_told = number not in ABSENT or method == "recall_states"
        expected = expected_of_the_share(number) if is_told else None
        assert (number, type(error)) == (number, expected or type(None))


def test_each_error_of_opening_an_archive_is_one_of_ours(
    share: PosixShare, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open
    for number in ERRNOS:
        refusing = Refusing(number)

        def opening(path: str, *args: Any, refusing: Refusing = refusing, **kwargs: Any) -> int:
            """Refuse the archive itself, and let it be looked for."""
            return int(refusing()) if str(path).startswith("/proc/") else opened(path, *args, **kwargs)

        monkeypatch.setattr(os, "open", opening)
        with pytest.raises(RecallError) as raised, share.open(A):
            pass
        assert (number, type(raised.value)) == (number, expected_of_the_share(number))
        assert raised.value.retryable
        assert refusing.calls


# The staging area


@pytest.fixture
def area(tmp_path: Path) -> DirectoryStaging:
    area = DirectoryStaging(DirectoryStagingSettings(root=tmp_path / "staging", keep_free_bytes=0))
    area.prepare()
    return area


def write(area: DirectoryStaging) -> str:
    with area.open_partial(KEY, 1) as partial:
        partial.write(memoryview(b"x"))
        partial.seal()
    return partial.token


def commit(area: DirectoryStaging, token: str) -> None:
    area.commit(KEY, token, "bytes:1")


def stage(area: DirectoryStaging) -> str:
    token = write(area)
    commit(area, token)
    return token


def remove_all(area: DirectoryStaging) -> None:
    for holding in list(area.holdings()):
        area.remove(holding)


def open_staged(area: DirectoryStaging, token: str) -> None:
    with area.open_staged(KEY, token):
        pass


Prepare = Callable[[DirectoryStaging], str]
Act = Callable[[DirectoryStaging, str], object]
STEPS: dict[str, tuple[Any, str, Prepare, Act]] = {
    "measure the room": (os, "statvfs", write, lambda area, _: area.room()),
    "make the folder": (Path, "mkdir", lambda _: "", lambda area, _: write(area)),
    "make the file": (os, "open", lambda _: "", lambda area, _: write(area)),
    "measure room for a file": (os, "fstatvfs", lambda _: "", lambda area, _: write(area)),
    "look at a partial": (Path, "lstat", write, lambda area, token: area.partial_size(KEY, token)),
    "look at a staged file": (Path, "lstat", stage, lambda area, token: area.staged_size(KEY, token)),
    "open a partial to commit": (os, "open", write, commit),
    "trim": (os, "ftruncate", write, commit),
    "flush": (os, "fsync", write, commit),
    "rename": (Path, "rename", write, commit),
    "open a staged file": (os, "open", stage, open_staged),
    "list what to discard": (Path, "iterdir", write, lambda area, _: area.discard_partial(KEY)),
    "discard": (Path, "unlink", write, lambda area, _: area.discard_partial(KEY)),
    "delete": (Path, "unlink", stage, lambda area, _: area.delete(KEY)),
    "list": (os, "scandir", stage, lambda area, _: list(area.holdings())),
    "remove": (Path, "unlink", stage, lambda area, _: remove_all(area)),
    "remove a partial": (Path, "unlink", write, lambda area, _: remove_all(area)),
    "look whether a partial is written": (os, "open", write, lambda area, _: remove_all(area)),
    "remove what is wrong": (Path, "unlink", write, lambda area, token: area.commit(KEY, token, "bytes:9")),
}
NO_FAILURE = {
    ("look at a partial", errno.ENOENT),
    ("look at a staged file", errno.ENOENT),
    ("list what to discard", errno.ENOENT),
    ("discard", errno.ENOENT),
    ("delete", errno.ENOENT),
    ("remove", errno.ENOENT),
    ("remove a partial", errno.ENOENT),
    ("look whether a partial is written", errno.ENOENT),
}
"""What another process may have done meanwhile, which is no failure."""
WAITED_FOR = {
    (step, number)
    for step in ("make the folder", "make the file", "rename")
    for number in (errno.ENOSPC, errno.EDQUOT)
}
"""No room for another file or folder: it may be the inodes that are used up."""


@pytest.mark.parametrize("step", STEPS)
def test_each_error_of_the_staging_area_is_one_of_ours(area: DirectoryStaging, step: str) -> None:
    owner, function, prepare, act = STEPS[step]
    token = prepare(area)
    for number in ERRNOS:
        error = raised_by(owner, function, number, lambda: act(area, token))
        if (step, number) not in NO_FAILURE:
            kinds = (NoSpaceYet,) if (step, number) in WAITED_FOR else (StagingWriteFailed, StagedFileMissing)
            assert isinstance(error, kinds), (number, error)
            assert error.retryable
        else:
            assert error is None


def test_a_file_system_without_locks_is_used_all_the_same(
    area: DirectoryStaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in ERRNOS:
        monkeypatch.setattr(fcntl, "flock", Refusing(number))
        assert area.partial_size(KEY, write(area)) == 1


def test_a_file_system_that_refuses_the_last_bytes_when_the_file_is_closed_is_said(
    area: DirectoryStaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StagingWriteFailed), area.open_partial(KEY, 1):
        monkeypatch.setattr(os, "close", Refusing(errno.EDQUOT))
    monkeypatch.undo()


def test_a_failure_of_the_body_is_told_rather_than_that_of_closing_after_it(
    area: DirectoryStaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        with area.open_partial(KEY, 1):
            monkeypatch.setattr(os, "close", Refusing(errno.EDQUOT))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    monkeypatch.undo()


@pytest.mark.parametrize("function", ["is_dir", "mkdir", "rename"])
def test_each_error_of_setting_up_the_staging_area_is_one_of_ours(tmp_path: Path, function: str) -> None:
    settings = DirectoryStagingSettings(root=tmp_path / "staging")
    for number in ERRNOS:
        error = raised_by(Path, function, number, DirectoryStaging(settings).prepare)
        # A rename of what is not there shows that both folders are on one file system.
        fine = function == "rename" and number == errno.ENOENT
        assert error is None if fine else isinstance(error, StagingError), (number, error)
