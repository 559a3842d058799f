"""The programs that scientists have unpack what was there, with its times and rights."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scicat_retriever.computed.entries import Entry, EntryKind
from scicat_retriever.computed.tar_layout import TarLayout
from scicat_retriever.computed.zip_layout import ZipLayout
from tests.unit.computed.archives import NOON, STAGED, a_file, a_folder, a_symlink, content_of, read, split

LISTED = [
    a_file("d/first", STAGED[0][:700], mtime=1_700_000_001),
    a_file("d/at the beginning", STAGED[0][5:6], offset=5, mtime=0),
    a_file("d/after 2038", STAGED[1][7:99], source=1, offset=7, mtime=2_208_988_801),
    a_file("d/größe 𝄞.txt", STAGED[0][:512]),
    a_file("/".join(["d", *["a long name " * 7] * 4, "f"]), STAGED[0][:513]),
    a_file("d/empty", b""),
    a_folder("d/nothing in it", mtime=NOON - 1),
    a_symlink("d/link", "first"),
]
ODD_TIMES = [
    a_file("d/before 1970", b"", mtime=-5),
    a_file("d/after 2106", b"", mtime=5_680_281_601),
]
MANY = [a_file(f"many/{number}") for number in range(65_536)]

UNPACK = {
    ("unzip", "zip"): ["unzip", "-q", "it.zip", "-d", "out"],
    ("7zz", "zip"): ["7zz", "x", "-bd", "-oout", "it.zip"],
    ("bsdtar", "zip"): ["bsdtar", "-x", "-f", "it.zip", "-C", "out"],
    ("7zz", "tar"): ["7zz", "x", "-bd", "-oout", "it.tar"],
    ("bsdtar", "tar"): ["bsdtar", "-x", "-f", "it.tar", "-C", "out"],
    ("tar", "tar"): ["tar", "-x", "-f", "it.tar", "-C", "out"],
    ("tarfile", "tar"): [sys.executable, "-m", "tarfile", "-e", "it.tar", "out"],
    ("zipfile", "zip"): [sys.executable, "-m", "zipfile", "-e", "it.zip", "out"],
}
TEST = {
    ("unzip", "zip"): ["unzip", "-tqq", "it.zip"],
    ("7zz", "zip"): ["7zz", "t", "-bd", "it.zip"],
    ("bsdtar", "zip"): ["bsdtar", "-tf", "it.zip"],
    ("zipfile", "zip"): [sys.executable, "-m", "zipfile", "-t", "it.zip"],
    ("7zz", "tar"): ["7zz", "t", "-bd", "it.tar"],
    ("bsdtar", "tar"): ["bsdtar", "-tf", "it.tar"],
    ("tar", "tar"): ["tar", "-tf", "it.tar"],
    ("tarfile", "tar"): [sys.executable, "-m", "tarfile", "-l", "it.tar"],
}
FORMATS = {"zip": ZipLayout, "tar": TarLayout}


def run(command: list[str], folder: Path) -> None:
    """Run a program, far from UTC; it has to end well and without a warning."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    zone = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu"}
    done = subprocess.run(
        command, cwd=folder, env=zone, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "arning" not in done.stdout + done.stderr


def written(listed: list[Entry], form: str, folder: Path) -> None:
    """Store an archive."""
    (folder / f"it.{form}").write_bytes(read(FORMATS[form](split(listed, range(0, len(listed), 4096)))))
    (folder / "out").mkdir()


@pytest.mark.parametrize(("program", "form"), UNPACK)
def test_what_is_unpacked_is_what_was_there(program: str, form: str, tmp_path: Path) -> None:
    written(LISTED, form, tmp_path)
    run(UNPACK[program, form], tmp_path)
    for entry in LISTED:
        there = tmp_path / "out" / entry.path
        if entry.kind is EntryKind.FOLDER:
            assert there.is_dir()
        elif entry.kind is EntryKind.FILE:
            assert there.read_bytes() == content_of(entry)
        elif program != "zipfile":
            assert there.readlink() == Path(entry.link)


@pytest.mark.parametrize(("program", "form"), [case for case in UNPACK if case[0] != "zipfile"])
def test_times_and_rights_are_right_after_unpacking(program: str, form: str, tmp_path: Path) -> None:
    written(LISTED, form, tmp_path)
    run(UNPACK[program, form], tmp_path)
    for entry in LISTED:
        if entry.kind is not EntryKind.SYMLINK:
            found = (tmp_path / "out" / entry.path).stat()
            assert found.st_mtime == entry.mtime, entry.path
            assert found.st_mode & 0o700 == (0o700 if entry.kind is EntryKind.FOLDER else 0o600)


@pytest.mark.parametrize(
    ("program", "form"), [case for case in UNPACK if case[0] in ("unzip", "7zz", "bsdtar")]
)
def test_times_that_a_zip_cannot_say_become_the_nearest(program: str, form: str, tmp_path: Path) -> None:
    written(ODD_TIMES, form, tmp_path)
    run(UNPACK[program, form], tmp_path)
    nearest = [0, 0xFFFFFFFF] if form == "zip" else [entry.mtime for entry in ODD_TIMES]
    assert [(tmp_path / "out" / entry.path).stat().st_mtime for entry in ODD_TIMES] == nearest


@pytest.mark.parametrize(("program", "form"), TEST)
def test_an_archive_is_found_to_be_whole(program: str, form: str, tmp_path: Path) -> None:
    written(LISTED, form, tmp_path)
    run(TEST[program, form], tmp_path)


@pytest.mark.parametrize("program", ["unzip", "7zz", "bsdtar"])
def test_a_zip_with_zip64_records_is_found_to_be_whole(program: str, tmp_path: Path) -> None:
    written(MANY, "zip", tmp_path)
    run(TEST[program, "zip"], tmp_path)


@pytest.mark.parametrize(("program", "form"), [case for case in TEST if case[0] != "unzip"])
def test_an_empty_archive_is_taken(program: str, form: str, tmp_path: Path) -> None:
    """Of unzip, too, but that ends with 1 for each zip that is empty."""
    written([], form, tmp_path)
    run(TEST[program, form], tmp_path)


def test_zipfile_finds_no_entry_that_is_not_listed(tmp_path: Path) -> None:
    written(LISTED, "zip", tmp_path)
    with zipfile.ZipFile(tmp_path / "it.zip") as archive:
        assert len(archive.namelist()) == len(LISTED)
