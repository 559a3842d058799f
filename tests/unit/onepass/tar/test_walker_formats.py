"""Archives as programs of the field make them."""

import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from scicat_retriever.onepass.errors import GnuIncremental, SparseMember
from scicat_retriever.onepass.member import Member, MemberKind
from scicat_retriever.onepass.tar.rules import TarRules
from tests.unit.onepass.tars import info, packed, walk

needs_tar = pytest.mark.skipif(shutil.which("tar") is None, reason="GNU tar is not installed")

CHUNKINGS: list[tuple[int, ...]] = [(), (1,), (511,), (512,), (513, 7), (4096, 10000)]


def named(members: list[Member]) -> dict[str, Member]:
    return {member.name: member for member in members}


@pytest.mark.parametrize("cuts", CHUNKINGS)
@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_kind_of_member_is_told(kind: int, cuts: tuple[int, ...]) -> None:
    content = os.urandom(2000)
    data = packed(
        [
            (info("./folder/", kind=tarfile.DIRTYPE), b""),
            (info("./folder/frame.h5", len(content)), content),
            (info("folder//empty"), b""),
            (info("folder/again.h5", kind=tarfile.LNKTYPE, link="./folder/frame.h5"), b""),
            (info("folder/pointer", kind=tarfile.SYMTYPE, link="../elsewhere"), b""),
            (info("pipe", kind=tarfile.FIFOTYPE), b""),
        ],
        kind,
    )
    found = [
        (member.name, member.kind, member.size, member.digest, member.link) for member in walk(data, cuts)
    ]
    assert found == [
        ("folder", MemberKind.DIRECTORY, 0, "", ""),
        ("folder/frame.h5", MemberKind.FILE, 2000, hashlib.sha256(content).hexdigest(), ""),
        ("folder/empty", MemberKind.FILE, 0, hashlib.sha256().hexdigest(), ""),
        ("folder/again.h5", MemberKind.HARDLINK, 0, "", "folder/frame.h5"),
        ("folder/pointer", MemberKind.SYMLINK, 0, "", "../elsewhere"),
        ("pipe", MemberKind.OTHER, 0, "", ""),
    ]


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_link_targets_are_whole(kind: int) -> None:
    name, target = "/".join(["folder" * 9] * 9), "target" * 50
    entries = [(info(name, 3), b"abc"), (info("link", kind=tarfile.SYMTYPE, link=target), b"")]
    members = walk(packed(entries, kind), (100,))
    assert [(member.name, member.link) for member in members] == [(name, ""), ("link", target)]


def test_a_name_in_the_prefix_field_is_joined() -> None:
    name = "/".join(["folder"] * 20) + "/file"
    assert walk(packed([(info(name, 1), b"x")], tarfile.USTAR_FORMAT))[0].name == name


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_name_that_is_not_utf8_keeps_its_bytes(kind: int) -> None:
    name = os.fsdecode(b"caf\xe9/\xff\xfe")
    assert os.fsencode(walk(packed([(info(name), b"")], kind))[0].name) == b"caf\xe9/\xff\xfe"


def test_offsets_lead_to_the_content() -> None:
    contents = {f"member{number}": os.urandom(number * 331) for number in range(5)}
    data = packed([(info(name, len(content)), content) for name, content in contents.items()])
    for member in walk(data, (777,)):
        assert data[member.offset : member.offset + member.size] == contents[member.name]


def test_absolute_and_climbing_names_are_told_as_they_are_and_marked() -> None:
    entries = [
        (info("/etc/passwd"), b""),
        (info("a/../../b"), b""),
        (info("hard", kind=tarfile.LNKTYPE, link="../outside"), b""),
        (info("a..b/..c"), b""),
    ]
    found = [(member.name, member.unsafe) for member in walk(packed(entries, tarfile.USTAR_FORMAT))]
    assert found == [("/etc/passwd", True), ("a/../../b", True), ("hard", True), ("a..b/..c", False)]


@needs_tar
@pytest.mark.parametrize("style", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_archives_of_gnu_tar_are_read(style: str, tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    content = os.urandom(70_001)
    (folder / "frame.h5").write_bytes(content)
    (folder / "empty").touch()
    os.link(folder / "frame.h5", folder / "zz-hard")
    (folder / "soft").symlink_to("frame.h5")
    data = gnu_tar(tmp_path, f"--format={style}", "./scan")
    found = named(walk(data, (1000,)))
    files = {name: found[name].digest for name in ("scan/frame.h5", "scan/empty")}
    assert files == {
        "scan/frame.h5": hashlib.sha256(content).hexdigest(),
        "scan/empty": hashlib.sha256().hexdigest(),
    }
    assert (found["scan"].kind, found["scan/soft"].link) == (MemberKind.DIRECTORY, "frame.h5")
    assert (found["scan/zz-hard"].kind, found["scan/zz-hard"].link) == (MemberKind.HARDLINK, "scan/frame.h5")


@needs_tar
@pytest.mark.parametrize("style", [("gnu",), ("posix", "0.0"), ("posix", "0.1"), ("posix", "1.0")])
def test_sparse_files_of_gnu_tar_are_refused(style: tuple[str, ...], tmp_path: Path) -> None:
    with (tmp_path / "holes").open("wb") as holes:
        holes.truncate(10_000_000)
        holes.seek(5_000_000)
        holes.write(b"data")
    version = [f"--sparse-version={style[1]}"] if len(style) > 1 else []
    data = gnu_tar(tmp_path, "--sparse", f"--format={style[0]}", *version, "holes")
    with pytest.raises(SparseMember, match="sparse"):
        walk(data)


@needs_tar
def test_incremental_archives_of_gnu_tar_are_read(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "file").write_bytes(b"content")
    data = gnu_tar(tmp_path, "--incremental", "--format=posix", "scan")
    found = named(walk(data))
    assert (found["scan"].kind, found["scan/file"].size) == (MemberKind.DIRECTORY, 7)


@needs_tar
def test_incremental_archives_in_the_format_of_gnu_tar_are_read_where_they_are_to_be_taken(
    tmp_path: Path,
) -> None:
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "file").write_bytes(b"content")
    data = gnu_tar(tmp_path, "--incremental", "--format=gnu", "scan")
    with pytest.raises(GnuIncremental):
        walk(data)
    found = named(walk(data, (300,), rules=TarRules(gnu_incremental=True)))
    assert (found["scan"].kind, found["scan"].size) == (MemberKind.DIRECTORY, len("Nfile\0\0"))
    assert (found["scan/file"].size, found["scan/file"].digest) == (7, hashlib.sha256(b"content").hexdigest())


@needs_tar
def test_a_volume_label_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    data = gnu_tar(tmp_path, "--label=tape 7", "file")
    assert [(member.name, member.kind) for member in walk(data)] == [
        ("tape 7", MemberKind.LABEL),
        ("file", MemberKind.FILE),
    ]


def gnu_tar(folder: Path, *arguments: str) -> bytes:
    done = subprocess.run(
        ["tar", "-C", str(folder), "--sort=name", "-c", "-f", "-", *arguments],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return done.stdout
