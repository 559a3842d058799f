import re

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import FileEntry
from scicat_retriever.domain.errors import IntegrityError
from scicat_retriever.domain.evidence import Integrity, Verified
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.member import Member, MemberKind
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from scicat_retriever.pipeline.transfer.verify import entry_name
from tests.cpu_time import within_cpu_seconds
from tests.unit.pipeline.transfer.archive_samples import (
    COPIED,
    FAIL,
    KIND,
    SIZE_ONLY,
    bare,
    digest,
    directory,
    entry,
    file,
    other,
    symlink,
    verify,
)

DIFFERENCES = {
    "a changed byte": ([file("a", b"y")], [entry("a", b"x")], errors.ChecksumMismatch),
    "another size": ([file("a", b"xx")], [entry("a", b"x")], errors.SizeMismatch),
    "a missing file": ([file("a")], [entry("a"), entry("b")], errors.MemberMissing),
    "all files missing": ([], [entry("a")], errors.MemberMissing),
    "a file too many": ([file("a"), file("b")], [entry("a")], errors.MemberUnexpected),
    "a file in no catalogue": ([file("a")], [], errors.MemberUnexpected),
    "a device that is not catalogued": ([other("a", KIND.OTHER)], [], errors.MemberUnexpected),
    "a hard link that is not catalogued": (
        [file("a"), other("b", KIND.HARDLINK, "a")],
        [entry("a")],
        errors.MemberUnexpected,
    ),
    "a hard link to nothing": (
        [other("b", KIND.HARDLINK, "a")],
        [entry("b")],
        errors.MemberUnexpected,
    ),
    "a hard link to other bytes": (
        [file("a", b"x"), other("b", KIND.HARDLINK, "a")],
        [entry("a", b"x"), entry("b", b"y")],
        errors.ChecksumMismatch,
    ),
    "a hard link to a file of another size": (
        [file("a", b"x"), other("b", KIND.HARDLINK, "a")],
        [entry("a", b"x"), entry("b", b"yy")],
        errors.SizeMismatch,
    ),
    "a file archived twice": ([file("a"), file("a")], [entry("a")], errors.MemberDuplicated),
    "a file archived as itself and as a hard link": (
        [file("a"), other("a", KIND.HARDLINK, "a")],
        [entry("a")],
        errors.MemberDuplicated,
    ),
    "a file archived again as a symlink": (
        [file("a"), other("a", KIND.SYMLINK, "/etc")],
        [entry("a")],
        errors.MemberDuplicated,
    ),
    "a file catalogued twice": ([file("a")], [entry("a"), entry("a")], errors.CatalogueFileDuplicated),
    "a file catalogued in two spellings": (
        [file("a/b")],
        [entry("./a/b"), entry("a//b")],
        errors.CatalogueFileDuplicated,
    ),
    "a file that became a directory": ([other("a", KIND.DIRECTORY)], [entry("a")], errors.ChecksumMismatch),
    "a file that became a symlink": (
        [other("a", KIND.SYMLINK, "b")],
        [entry("a")],
        errors.ChecksumMismatch,
    ),
    "a device where a file without a checksum was": (
        [other("a", KIND.OTHER)],
        [bare("a", 0)],
        errors.ChecksumMismatch,
    ),
    "a name that leads outside": (
        [other("../a", KIND.DIRECTORY, unsafe=True)],
        [],
        errors.MemberUnsafe,
    ),
    "a catalogued name that leads outside": (
        [file("../a")._replace(unsafe=True)],
        [entry("../a")],
        errors.MemberUnsafe,
    ),
    "a file below a symlink": (
        [other("d", KIND.SYMLINK, "/etc"), file("d/sub/passwd")],
        [entry("d/sub/passwd")],
        errors.MemberUnsafe,
    ),
    "a file before the symlink that it is below": (
        [file("d/passwd"), symlink("d")],
        [entry("d/passwd")],
        errors.MemberUnsafe,
    ),
    "a folder deep below a symlink": ([symlink("d"), directory("d/e/f")], [], errors.MemberUnsafe),
    "a file below a symlink in other case": (
        [symlink("Data"), file("dATA/passwd")],
        [entry("dATA/passwd")],
        errors.MemberUnsafe,
    ),
    "a file below a symlink with another sharp s": (
        [symlink("Maße"), file("MASSE/passwd")],
        [entry("MASSE/passwd")],
        errors.MemberUnsafe,
    ),
    "a file below a symlink with its accent composed otherwise": (
        [symlink("caf\u00e9"), file("cafe\u0301/passwd")],
        [entry("cafe\u0301/passwd")],
        errors.MemberUnsafe,
    ),
    "a file below a hard link to a symlink, in other case": (
        [symlink("l"), other("d", KIND.HARDLINK, "l"), file("D/passwd")],
        [bare("l", 0), bare("d", 0), entry("D/passwd")],
        errors.MemberUnsafe,
    ),
    "a file below a file": ([file("a"), file("a/b")], [entry("a"), entry("a/b")], errors.MemberUnsafe),
    "a file above a file": ([file("a/b/c"), file("a")], [entry("a/b/c"), entry("a")], errors.MemberUnsafe),
    "a folder below a file": ([file("a"), directory("a/b/c")], [entry("a")], errors.MemberUnsafe),
    "the root as a symlink": ([symlink("."), file("a")], [entry("a")], errors.MemberUnsafe),
    "no checksum in the catalogue": ([file("a")], [bare("a")], errors.ChecksumMissing),
    "a directory where a file without a checksum was": (
        [directory("a")],
        [bare("a", 10**9)],
        errors.ChecksumMissing,
    ),
    "a symlink where a file without a checksum was": (
        [symlink("a", "target")],
        [bare("a", 10**9)],
        errors.ChecksumMissing,
    ),
    "a hard link to a directory where a file without a checksum was": (
        [directory("d"), other("a", KIND.HARDLINK, "d")],
        [bare("d", 0), bare("a", 10**9)],
        errors.ChecksumMissing,
    ),
    "a directory where a file was catalogued in a spelling with a slash within": (
        [directory("a/b")],
        [bare("a//b", 4096)],
        errors.ChecksumMissing,
    ),
}


@pytest.mark.parametrize(("members", "catalogued", "expected"), DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_each_difference_is_an_error_of_its_own(
    members: list[Member], catalogued: list[FileEntry], expected: type[IntegrityError]
) -> None:
    with pytest.raises(IntegrityError) as raised:
        verify(members, catalogued)
    assert type(raised.value) is expected


def test_an_error_names_the_file_with_its_odd_characters_escaped() -> None:
    name = "bad\udcff\nname"
    with pytest.raises(errors.MemberUnexpected, match=re.escape(repr(name))) as raised:
        verify([file(name)], [])
    str(raised.value).encode()


def test_an_error_shows_the_beginning_of_a_long_name() -> None:
    with pytest.raises(errors.MemberUnexpected, match=r"'a{200}'…") as raised:
        verify([file("a" * 100_000)], [])
    assert len(str(raised.value)) < 500


@within_cpu_seconds(10)
def test_a_deep_path_beside_a_symlink_takes_no_time() -> None:
    deep = "d/" * 80_000 + "f"
    assert verify([symlink("l"), file(deep)], [entry(deep)]).files == 1


@within_cpu_seconds(10)
def test_many_symlinks_and_folders_take_no_time() -> None:
    members = [symlink(f"{'d/' * 100}{number}") for number in range(5000)]
    folders = [directory(f"{'e/' * 100}{number}/f") for number in range(5000)]
    assert verify([*members, *folders], []).files == 0


@pytest.mark.parametrize("policy", [FAIL, SIZE_ONLY])
@pytest.mark.parametrize(
    ("members", "catalogued"),
    [
        ([], []),
        ([directory("d"), symlink("l")], []),
        ([directory("d")], [bare("d", 0)]),
        ([directory("d")], [bare("d/", 4096)]),
        ([file("empty", b"")], [entry("empty", b"")]),
    ],
)
def test_where_bytes_are_declared_and_none_compared_nothing_is_verified(
    members: list[Member], catalogued: list[FileEntry], policy: ChecksumPolicy
) -> None:
    with pytest.raises(errors.ChecksumMissing, match="declares 4096 bytes"):
        verify(members, catalogued, policy, declared_size=4096)


def test_an_empty_datablock_that_declares_no_bytes_is_verified() -> None:
    assert verify([], [], declared_size=0) == Verified(COPIED, Integrity.VERIFIED, 0)


def test_a_datablock_of_symlinks_alone_is_verified() -> None:
    assert verify([symlink("l", "target")], [bare("l", 6)], declared_size=6).files == 1


def test_every_integrity_error_but_those_found_elsewhere_has_a_case_above() -> None:
    here = {expected for _, _, expected in DIFFERENCES.values()}
    elsewhere = {errors.ChecksumUnknown, errors.ManifestDamaged}
    assert here | elsewhere == set(IntegrityError.__subclasses__())


def test_the_same_files_in_another_order_are_verified() -> None:
    verified = verify([file("b", b"2"), file("a", b"1")], [entry("a", b"1"), entry("b", b"2")])
    assert verified == Verified(COPIED, Integrity.VERIFIED, 2)


@pytest.mark.parametrize("catalogued", ["./run/a", "run//a", "/run/a", "run/./a", ".//run/a"])
def test_spellings_of_a_catalogued_path_are_one_name(catalogued: str) -> None:
    assert verify([file("run/a")], [entry(catalogued)]).files == 1


@pytest.mark.parametrize("other_name", ["run/A", "runa", "a", "run/a ", "run/a/b", "../run/a"])
def test_other_names_stay_other_names(other_name: str) -> None:
    assert entry_name(other_name) != entry_name("run/a")


def test_directories_and_symlinks_need_no_entry_in_the_catalogue() -> None:
    members = [
        other(".", KIND.DIRECTORY),
        other("d", KIND.DIRECTORY),
        other("l", KIND.SYMLINK, "d"),
        file("d/a"),
    ]
    assert verify(members, [entry("d/a")]) == Verified(COPIED, Integrity.VERIFIED, 1)


def test_directories_and_symlinks_may_be_catalogued_as_such() -> None:
    target = "caf\u00e9"
    members = [directory("d"), directory("e"), symlink("l", target), symlink("m"), file("d/a")]
    catalogued = [bare("d/", 4096), bare("e", 0), bare("l", 5), bare("m", 0), entry("d/a")]
    assert verify(members, catalogued) == Verified(COPIED, Integrity.VERIFIED, 5)


def test_files_whose_names_begin_alike_are_not_below_one_another() -> None:
    names = ["a", "a.b", "a b/c", "a0/b", "A/b"]
    members = [file(name) for name in names]
    assert verify([symlink("s"), *members], [entry(name) for name in names]).files == 5


def test_a_catalogued_directory_that_is_not_archived_is_missing() -> None:
    with pytest.raises(errors.MemberMissing, match="'d'"):
        verify([file("a")], [entry("a"), bare("d", 4096)])


def test_a_hard_link_has_the_bytes_of_its_target() -> None:
    members = [file("a", b"one"), other("b", KIND.HARDLINK, "a"), other("c", KIND.HARDLINK, "b")]
    verified = verify(members, [entry("./a", b"one"), entry("b", b"one"), entry("c", b"one")])
    assert verified == Verified(COPIED, Integrity.VERIFIED, 3)


def test_a_checksum_in_capitals_is_the_same_checksum() -> None:
    catalogued = FileEntry("a", 1, digest(b"x").upper())
    assert verify([file("a")], [catalogued]).integrity is Integrity.VERIFIED


def test_sizes_alone_are_never_called_verified() -> None:
    assert verify([file("a")], [bare("a")], SIZE_ONLY).integrity is Integrity.SIZE_ONLY


def test_one_file_without_a_checksum_takes_the_word_verified_from_all() -> None:
    verified = verify([file("a"), file("b")], [entry("a"), bare("b")], SIZE_ONLY)
    assert verified == Verified(COPIED, Integrity.SIZE_ONLY, 2)


@pytest.mark.parametrize("kind", [KIND.DIRECTORY, KIND.SYMLINK])
def test_what_may_have_been_a_file_without_checksum_takes_the_word_verified(kind: MemberKind) -> None:
    verified = verify([other("a", kind), file("b")], [bare("a", 0), entry("b")], SIZE_ONLY)
    assert verified.integrity is Integrity.SIZE_ONLY


@pytest.mark.parametrize("kind", [KIND.DIRECTORY, KIND.SYMLINK])
def test_what_is_no_file_and_has_another_size_differs_where_sizes_alone_count(kind: MemberKind) -> None:
    with pytest.raises(errors.SizeMismatch, match=f"100 bytes and archived as {kind}"):
        verify([other("a", kind), file("b")], [bare("a", 100), entry("b")], SIZE_ONLY)


@pytest.mark.parametrize("size", [0, 2])
def test_sizes_alone_are_still_compared(size: int) -> None:
    with pytest.raises(errors.SizeMismatch):
        verify([file("a")], [bare("a", size)], SIZE_ONLY)


def test_the_size_only_policy_compares_the_checksums_that_are_there() -> None:
    with pytest.raises(errors.ChecksumMismatch):
        verify([file("a", b"y")], [entry("a", b"x")], SIZE_ONLY)


@pytest.mark.parametrize("policy", [FAIL, SIZE_ONLY])
def test_a_checksum_of_no_named_algorithm_is_an_error_under_each_policy(policy: ChecksumPolicy) -> None:
    with pytest.raises(errors.ChecksumUnknown, match="chkAlg"):
        verify([file("a")], [entry("a")], policy, algorithm=None)


@pytest.mark.parametrize("spelled", ["sha256", "SHA-256", " sha_256 ", "sha256sum"])
def test_an_algorithm_is_known_in_its_usual_spellings(spelled: str) -> None:
    assert FAIL.named(spelled, "a.tar") == (ChecksumAlgorithm.SHA256,)


@pytest.mark.parametrize("spelled", [None, "", "  "])
def test_an_algorithm_that_the_catalogue_leaves_out_is_the_configured_one(spelled: str | None) -> None:
    assert ChecksumPolicy(unnamed_algorithm="md5").named(spelled, "a.tar") == (ChecksumAlgorithm.MD5,)
    assert FAIL.named(spelled, "a.tar") == ()


def test_an_unknown_algorithm_is_named_in_the_error() -> None:
    with pytest.raises(errors.ChecksumUnknown, match=r"a\.tar.*'md6'"):
        FAIL.named("md6", "a.tar")
