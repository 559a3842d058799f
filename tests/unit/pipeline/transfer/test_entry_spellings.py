"""Entries as real catalogues write them: hard links without bytes, folders as `lstat` says, families of checksums."""

import base64
import hashlib
from dataclasses import replace

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import EntryKind, FileEntry
from scicat_retriever.domain.evidence import Integrity, Verified
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.member import Member
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from tests.unit.pipeline.rig import FILES, Rig, entries, tar
from tests.unit.pipeline.transfer.archive_samples import (
    COPIED,
    FAIL,
    KIND,
    SIZE_ONLY,
    bare,
    directory,
    entry,
    file,
    other,
    symlink,
    verify,
)

VERIFIED = Integrity.VERIFIED


def folder(path: str, size: int = 4096) -> FileEntry:
    return FileEntry(path, size, None, EntryKind.FOLDER)


def hardlink(name: str, to: str) -> Member:
    return other(name, KIND.HARDLINK, to)


@pytest.mark.parametrize("policy", [FAIL, SIZE_ONLY])
def test_a_hard_link_listed_without_bytes_is_what_its_checksum_says(policy: ChecksumPolicy) -> None:
    members = [file("a", b"one"), hardlink("b", "a"), hardlink("c", "b")]
    catalogued = [
        entry("a", b"one"),
        replace(entry("b", b"one"), size=0),
        replace(entry("c", b"one"), size=0),
    ]
    assert verify(members, catalogued, policy) == Verified(COPIED, VERIFIED, 3)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (replace(entry("b", b"two"), size=0), errors.ChecksumMismatch),
        (entry("b", b""), errors.ChecksumMismatch),
        (bare("b", 0), errors.SizeMismatch),
        (replace(entry("b", b"one"), size=2), errors.SizeMismatch),
    ],
    ids=["other bytes", "the checksum of no bytes", "no checksum", "another size"],
)
@pytest.mark.parametrize("policy", [FAIL, SIZE_ONLY])
def test_a_hard_link_listed_without_bytes_is_believed_by_its_checksum_alone(
    listed: FileEntry, expected: type[errors.IntegrityError], policy: ChecksumPolicy
) -> None:
    with pytest.raises(errors.IntegrityError) as raised:
        verify([file("a", b"one"), hardlink("b", "a")], [entry("a", b"one"), listed], policy)
    assert type(raised.value) is expected


def test_a_file_listed_without_bytes_is_no_hard_link() -> None:
    with pytest.raises(errors.SizeMismatch):
        verify([file("a", b"one")], [replace(entry("a", b"one"), size=0)])


def test_a_link_without_bytes_counts_for_none_of_the_declared_ones() -> None:
    members = [file("a", b""), hardlink("b", "a")]
    with pytest.raises(errors.ChecksumMissing, match="declares 3 bytes"):
        verify(members, [entry("a", b""), entry("b", b"")], declared_size=3)


@pytest.mark.parametrize("policy", [FAIL, SIZE_ONLY])
def test_an_empty_file_needs_no_checksum(policy: ChecksumPolicy) -> None:
    verified = verify([file("a", b""), file("b")], [bare("a", 0), entry("b")], policy)
    assert verified == Verified(COPIED, VERIFIED, 2)


def test_a_datablock_of_empty_files_alone_needs_no_algorithm() -> None:
    assert verify([file("a", b"")], [bare("a", 0)], algorithm=None).integrity is VERIFIED


@pytest.mark.parametrize(("archived", "size"), [(b"x", 0), (b"", 1)])
def test_a_file_is_empty_only_if_both_sides_say_so(archived: bytes, size: int) -> None:
    with pytest.raises(errors.SizeMismatch):
        verify([file("a", archived)], [bare("a", size)])


def test_a_file_with_bytes_and_no_checksum_is_still_refused() -> None:
    with pytest.raises(errors.ChecksumMissing):
        verify([file("a", b""), file("b", b"x")], [bare("a", 0), bare("b", 1)])


def test_an_empty_file_whose_checksum_is_that_of_bytes_is_refused() -> None:
    with pytest.raises(errors.ChecksumMismatch):
        verify([file("a", b"")], [replace(entry("a", b"x"), size=0)])


@pytest.mark.parametrize("policy", [FAIL, SIZE_ONLY])
@pytest.mark.parametrize("size", [0, 4096, 10**9])
def test_a_folder_that_its_permissions_tell_has_no_bytes_whatever_its_size(
    size: int, policy: ChecksumPolicy
) -> None:
    assert verify([directory("run"), file("run/a")], [folder("run", size), entry("run/a")], policy).files == 2


def test_a_link_that_its_permissions_tell_may_have_any_size() -> None:
    listed = FileEntry("l", 10**9, None, EntryKind.LINK)
    assert verify([symlink("l", "a"), file("a")], [listed, entry("a")]).files == 2


@pytest.mark.parametrize("listed", [folder("run/deep"), bare("run/", 4096), bare("./", 4096), folder(".")])
def test_a_folder_that_is_no_member_is_there_where_something_lies_in_it(listed: FileEntry) -> None:
    verified = verify([file("run/deep/er/a")], [listed, entry("run/deep/er/a")])
    assert verified == Verified(COPIED, VERIFIED, 2)


@pytest.mark.parametrize("listed", [folder("empty"), folder("run/a"), bare("ru/", 0), bare("run", 4096)])
def test_a_folder_that_is_nowhere_is_missing(listed: FileEntry) -> None:
    with pytest.raises(errors.MemberMissing, match=listed.path):
        verify([file("run/ab/c")], [listed, entry("run/ab/c")])


@pytest.mark.parametrize(
    ("member", "listed", "expected"),
    [
        (file("run", b""), folder("run", 0), errors.ChecksumMismatch),
        (file("run", b"x"), folder("run", 1), errors.ChecksumMismatch),
        (file("run", b"x"), folder("run", 4096), errors.SizeMismatch),
        (symlink("run", "/etc"), folder("run", 4), errors.ChecksumMissing),
        (directory("run"), replace(folder("run"), kind=EntryKind.LINK), errors.ChecksumMissing),
        (directory("run"), replace(entry("run"), kind=EntryKind.FOLDER), errors.ChecksumMismatch),
    ],
    ids=[
        "an empty file",
        "a file",
        "a file of another size",
        "a link",
        "a folder for a link",
        "with a checksum",
    ],
)
def test_a_folder_is_not_taken_for_something_else(
    member: Member, listed: FileEntry, expected: type[errors.IntegrityError]
) -> None:
    with pytest.raises(errors.IntegrityError) as raised:
        verify([member, file("b")], [listed, entry("b")])
    assert type(raised.value) is expected


def told_file(path: str, size: int) -> FileEntry:
    """An entry without a checksum, with permissions such as `-rw-r--r--`."""
    return FileEntry(path, size, None, EntryKind.FILE)


@pytest.mark.parametrize("policy", [FAIL, SIZE_ONLY])
@pytest.mark.parametrize(
    ("member", "listed"),
    [
        (symlink("s", "/etc/passwd"), told_file("s", 11)),
        (symlink("s", "/etc/passwd"), told_file("s", 0)),
        (directory("s"), told_file("s", 0)),
        (directory("s"), told_file("s", 4096)),
    ],
    ids=["a link of its length", "a link for an empty file", "a folder for an empty file", "a folder"],
)
def test_what_its_permissions_tell_to_be_a_file_is_no_link_and_no_folder(
    member: Member, listed: FileEntry, policy: ChecksumPolicy
) -> None:
    with pytest.raises(errors.ChecksumMismatch, match=f"catalogued as a file and archived as {member.kind}"):
        verify([member, file("b")], [listed, entry("b")], policy)


def test_what_its_permissions_tell_to_be_a_file_is_no_link_of_another_spelling() -> None:
    with pytest.raises(errors.IntegrityError):
        verify(
            [symlink("run/s", "x"), file("b")],
            [told_file("/data/run/s", 1), entry("b")],
            source_folder="/data",
        )


def test_what_is_told_to_be_a_file_is_compared_like_any_other_file() -> None:
    files, listed = [file("a", b""), file("b", b"xy")], [told_file("a", 0), told_file("b", 2)]
    assert verify(files, listed, SIZE_ONLY).integrity is Integrity.SIZE_ONLY
    with pytest.raises(errors.ChecksumMissing):
        verify(files, listed)


def test_a_folder_by_its_slash_is_one_whatever_its_permissions() -> None:
    assert verify([directory("run"), file("b")], [told_file("run/", 4096), entry("b")]).files == 2


def listed_with(algorithm: str) -> tuple[FileEntry, ...]:
    """The files of a datablock, with checksums of an algorithm of hashlib."""
    return tuple(
        FileEntry(name, len(content), hashlib.new(algorithm, content).hexdigest())
        for name, content in FILES.items()
    )


@pytest.mark.parametrize(
    ("spelled", "algorithm"),
    [("sha2", "sha256"), ("SHA-2", "sha384"), ("sha2", "sha512"), ("sha", "sha1"), ("sha", "sha256")],
)
def test_an_archive_is_staged_whose_algorithm_is_told_by_the_length_of_its_checksums(
    spelled: str, algorithm: str
) -> None:
    rig = Rig()
    rig.staged_dataset(rig.archive(listed=listed_with(algorithm), algorithm=spelled))
    assert [record.integrity for record in rig.ledger.datablocks.of(rig.archive().datablock.pid)] == [
        VERIFIED
    ]


def mixed() -> tuple[FileEntry, ...]:
    """One file by sha256, the next by sha512, the next in base64."""
    one, two, three = listed_with("sha256")
    digest = base64.b64encode(hashlib.sha256(FILES[three.path]).digest()).decode()
    return one, replace(two, digest=listed_with("sha512")[1].digest), replace(three, digest=f"sha2:{digest}")


def test_one_datablock_may_have_checksums_of_several_algorithms() -> None:
    rig = Rig()
    [record] = rig.staged_dataset(rig.archive(listed=mixed(), algorithm="sha2"))
    assert (record.state, record.integrity) == (DatablockState.STAGED, VERIFIED)


@pytest.mark.parametrize("changed", list(FILES))
def test_each_file_is_compared_by_its_own_algorithm(changed: str) -> None:
    rig = Rig()
    content = FILES | {changed: bytes([len(FILES[changed]) % 7]) * len(FILES[changed])}
    listed = tuple(
        replace(each, digest=hashlib.sha512(b"!").hexdigest())
        if not each.size and each.path == changed
        else each
        for each in mixed()
    )
    [record] = rig.plan(rig.archive(content=tar(content), listed=listed, algorithm="sha2"))
    with pytest.raises(errors.ChecksumMismatch, match=changed):
        rig.stage(record)


@pytest.mark.parametrize("written", ["not a digest", "AbC=", "md5 d41d8cd98f00b204e9800998ecf8427e"])
def test_a_checksum_that_is_none_is_shown_as_it_is_before_anything_is_read(written: str) -> None:
    rig = Rig()
    listed = (*entries(FILES)[:-1], replace(entries(FILES)[-1], digest=written))
    [record] = rig.plan(rig.archive(listed=listed))
    with pytest.raises(
        errors.ChecksumUnknown, match=f"'{written}', which is no sha256 in hexadecimal digits"
    ):
        rig.copy(record)
    assert rig.store.read == []


def test_checksums_of_too_many_algorithms_are_refused_before_anything_is_read() -> None:
    rig = Rig()
    algorithms = [ChecksumAlgorithm.MD5, *list(ChecksumAlgorithm)[-4:]]
    files = {algorithm.value: b"x" for algorithm in algorithms}
    listed = tuple(FileEntry(each, 1, f"{each}:{each.start(b'x').hexdigest()}") for each in algorithms)
    [record] = rig.plan(rig.archive(content=tar(files), listed=listed))
    with pytest.raises(errors.ChecksumUnknown, match="are of 5 algorithms"):
        rig.copy(record)
    assert rig.store.read == []
