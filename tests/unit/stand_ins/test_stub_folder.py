"""A folder that shows a tape library as an HSM does: sizes without blocks, until a recall."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stand_ins.tape.library import TapeLibrary
from stand_ins.tape.recall import ask
from stand_ins.tape.shape import LibraryShape
from stand_ins.tape.stubs import StubFolder
from tests.unit.stand_ins.waiting import wait_for

SHAPE = LibraryShape(
    drives=1, mount_seconds=10, seek_seconds=0, seek_seconds_per_byte=0, bytes_per_second=100_000
)
CONTENT = os.urandom(1_000_000)


def online(path: Path) -> bool:
    found = path.stat()
    return found.st_blocks * 512 >= found.st_size


def make(
    root: Path, *, lifetime: float = 100.0, clock: Callable[[], float] | None = None
) -> tuple[TapeLibrary, StubFolder]:
    library = TapeLibrary(SHAPE, clock=clock)
    library.store("deep/a.tar", CONTENT, tape="T1")
    library.store("b.tar", CONTENT[:500_000], tape="T1")
    folder = StubFolder(library, root / "lts", lifetime=lifetime)
    folder.poll()
    return library, folder


def test_a_file_on_tape_has_its_size_and_no_blocks(tmp_path: Path) -> None:
    make(tmp_path)
    found = (tmp_path / "lts/deep/a.tar").stat()
    assert (found.st_size, found.st_blocks) == (len(CONTENT), 0)


def test_a_recall_by_path_brings_the_bytes(tmp_path: Path) -> None:
    library, folder = make(tmp_path)
    assert folder.recall([str(tmp_path / "lts/deep/a.tar")]) == 1
    library.advance(19.9)
    folder.poll()
    assert not online(tmp_path / "lts/deep/a.tar")
    library.advance(20)
    folder.poll()
    assert online(tmp_path / "lts/deep/a.tar")
    assert (tmp_path / "lts/deep/a.tar").read_bytes() == CONTENT
    assert not online(tmp_path / "lts/b.tar")


@pytest.mark.parametrize(
    "end", [lambda library: library.advance(120), lambda library: library.release(["b.tar"])]
)
def test_a_file_becomes_a_stub_again(end: Callable[[TapeLibrary], None], tmp_path: Path) -> None:
    library, folder = make(tmp_path)
    folder.recall(["b.tar"])
    library.advance(15)
    folder.poll()
    with (tmp_path / "lts/b.tar").open("rb") as opened:
        end(library)
        folder.poll()
        found = (tmp_path / "lts/b.tar").stat()
        assert (found.st_size, found.st_blocks) == (500_000, 0)
        assert opened.read() == CONTENT[:500_000], "who reads it keeps it"


def test_modification_times_outlive_recalls(tmp_path: Path) -> None:
    library, folder = make(tmp_path)
    os.utime(tmp_path / "lts/b.tar", (1_000_000, 1_000_000))
    folder.recall(["b.tar"])
    library.advance(15)
    folder.poll()
    assert online(tmp_path / "lts/b.tar")
    assert (tmp_path / "lts/b.tar").stat().st_mtime == 1_000_000


def test_a_removed_file_leaves_the_folder(tmp_path: Path) -> None:
    library, folder = make(tmp_path)
    library.remove("b.tar")
    folder.poll()
    assert not (tmp_path / "lts/b.tar").exists()


def test_a_second_look_changes_nothing(tmp_path: Path) -> None:
    _, folder = make(tmp_path)
    assert folder.poll() == 0


@pytest.mark.parametrize("path", ["../b.tar", "/etc/passwd", "c.tar", "", "."])
def test_paths_that_are_no_files_of_the_library_are_not_recalled(path: str, tmp_path: Path) -> None:
    _, folder = make(tmp_path)
    assert folder.recall([path]) == 0


def test_a_file_too_small_for_a_stub_is_refused(tmp_path: Path) -> None:
    library, folder = make(tmp_path)
    library.store("small", b"x" * 4095, tape="T1")
    with pytest.raises(ValueError, match="less than 4096"):
        folder.poll()


def test_an_unfinished_file_is_never_seen(tmp_path: Path) -> None:
    """A reader that looks all the time finds a stub, or the whole file."""
    path = tmp_path / "lts/deep/a.tar"
    library, folder = make(tmp_path, lifetime=1000)

    def whole() -> bool:
        with path.open("rb") as opened:
            found = os.fstat(opened.fileno())
            if found.st_blocks * 512 < found.st_size:
                return False
            assert opened.read() == CONTENT
            return True

    with folder.kept(interval=0.0001):
        for _ in range(20):
            folder.recall(["deep/a.tar"])
            library.advance(library.now() + 20)
            wait_for(whole)
            library.release(["deep/a.tar"])
            wait_for(lambda: not whole())


def test_the_command_asks_for_the_paths_of_a_file(tmp_path: Path) -> None:
    library, folder = make(tmp_path)
    (tmp_path / "paths").write_text(f"{tmp_path}/lts/deep/a.tar\n{tmp_path}/lts/b.tar\n")
    with folder.serve(tmp_path / "socket"):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "stand_ins.tape.recall",
                tmp_path / "socket",
                tmp_path / "paths",
            ],
            check=False,
            capture_output=True,
            timeout=60,
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    library.advance(25)
    folder.poll()
    assert online(tmp_path / "lts/deep/a.tar")
    assert online(tmp_path / "lts/b.tar")


def test_the_command_is_told_of_unknown_paths(tmp_path: Path) -> None:
    _, folder = make(tmp_path)
    with folder.serve(tmp_path / "socket"):
        assert ask(str(tmp_path / "socket"), b"b.tar\nno-such\n") == (1, 2)


def test_nobody_answers_where_no_folder_is_served(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        ask(str(tmp_path / "socket"), b"b.tar\n")


def test_a_thread_keeps_the_folder_while_the_librarys_time_runs(tmp_path: Path) -> None:
    ticks = iter(range(10_000))
    _, folder = make(tmp_path, clock=lambda: float(next(ticks)))
    with folder.kept(interval=0.001):
        folder.recall(["b.tar"])
        wait_for(lambda: online(tmp_path / "lts/b.tar"))
        assert (tmp_path / "lts/b.tar").read_bytes() == CONTENT[:500_000]
