"""Members and entries whose names are only spelled differently: matched by size and checksum, and told so."""

import io
import tarfile
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import EntryKind, FileEntry
from scicat_retriever.domain.evidence import Integrity
from scicat_retriever.domain.likeness import Likeness, Matched
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.onepass.member import Member
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from scicat_retriever.pipeline.transfer import publish
from scicat_retriever.ports.datablock_record import DatablockRecord
from tests.cpu_time import within_cpu_seconds
from tests.unit.pipeline.rig import FILES, JOB, PID, Rig, entries, tar
from tests.unit.pipeline.shown import datablocks_of
from tests.unit.pipeline.transfer.archive_samples import (
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

SOURCE = "/data/p1/run1"
NFC, NFD = "caf\u00e9", "cafe\u0301"
IN_BYTES = "caf\udce9"


def absolute(files: Mapping[str, bytes] = FILES) -> tuple[FileEntry, ...]:
    return tuple(replace(each, path=f"{SOURCE}/{each.path}") for each in entries(files))


ALIKE = {
    "below sourceFolder": ("raw/a", f"{SOURCE}/raw/a", Likeness.FOLDER),
    "below the dataset's folder": ("run1/raw/a", "raw/a", Likeness.FOLDER),
    "with backslashes": ("raw/a", "raw\\a", Likeness.BACKSLASHES),
    "with its accent composed": (NFD, NFC, Likeness.ACCENTS),
    "with its accent not composed": (NFC, NFD, Likeness.ACCENTS),
    "with a byte that JSON cannot hold": (IN_BYTES, "caf\ufffd", Likeness.BYTES),
}


@pytest.mark.parametrize(("archived", "catalogued", "kind"), ALIKE.values(), ids=ALIKE.keys())
def test_a_file_is_matched_by_size_and_checksum_where_its_name_is_spelled_otherwise(
    archived: str, catalogued: str, kind: Likeness
) -> None:
    verified = verify([file(archived), file("b")], [entry(catalogued), entry("b")], source_folder=SOURCE)
    assert (verified.integrity, verified.files) == (Integrity.VERIFIED, 2)
    shown = archived.replace("\udce9", "\\xe9")
    assert verified.matched_by == (Matched(kind, 1, ((catalogued, shown),)),)


@pytest.mark.parametrize(("archived", "catalogued", "kind"), ALIKE.values(), ids=ALIKE.keys())
@pytest.mark.parametrize("content", [b"y", b"xx", b""])
def test_a_name_that_is_alike_is_never_enough(
    archived: str, catalogued: str, kind: Likeness, content: bytes
) -> None:
    with pytest.raises(errors.MemberUnexpected, match="is spelled alike, but its size or checksum"):
        verify([file(archived, content)], [entry(catalogued)], source_folder=SOURCE)
    assert kind in Likeness


@pytest.mark.parametrize("policy", [FAIL, SIZE_ONLY])
def test_a_size_alone_is_not_enough(policy: ChecksumPolicy) -> None:
    with pytest.raises(errors.MemberUnexpected):
        verify([file("a")], [bare(f"{SOURCE}/a")], policy, source_folder=SOURCE)


def test_an_empty_file_without_a_checksum_is_matched() -> None:
    members, listed = [file("a", b""), file("b")], [bare(f"{SOURCE}/a", 0), entry(f"{SOURCE}/b")]
    assert verify(members, listed, source_folder=SOURCE).integrity is Integrity.VERIFIED


@pytest.mark.parametrize(
    ("members", "listed"),
    [
        (["run1/a", "p1/run1/a"], [f"{SOURCE}/a", f"{SOURCE}/b"]),
        (["a", "b"], [f"{SOURCE}/a", "run1/a"]),
        ([f"{NFC}", f"{NFD}"], [f"run1/{NFC}", "b"]),
        (["../a", "b"], ["/data/p1/a", "b"]),
        (["a\\..\\a", "b"], ["a/../a", "b"]),
    ],
    ids=["two members", "two entries", "one member too many", "an escape", "an escape by backslashes"],
)
def test_where_it_is_not_certain_which_is_meant_nothing_is_matched(
    members: list[str], listed: list[str]
) -> None:
    archived = [file(name)._replace(unsafe=name.startswith("..")) for name in members]
    with pytest.raises(errors.IntegrityError):
        verify(archived, [entry(path) for path in listed], source_folder=SOURCE)


def test_a_member_too_many_is_unexpected_however_many_match() -> None:
    listed = [entry(f"{SOURCE}/a"), entry(f"{SOURCE}/b")]
    with pytest.raises(errors.MemberUnexpected, match="'c'"):
        verify([file("c"), file("a"), file("b")], [*listed, entry("d")], source_folder=SOURCE)
    with pytest.raises(errors.MemberMissing, match="'d'"):
        verify([file("a"), file("b")], [*listed, entry("d")], source_folder=SOURCE)


def test_one_name_twice_is_refused_also_where_it_is_spelled_otherwise() -> None:
    with pytest.raises(errors.MemberDuplicated):
        verify([file("a"), file("a")], [entry(f"{SOURCE}/a"), entry("b")], source_folder=SOURCE)


def test_hard_links_lead_to_members_that_are_spelled_otherwise() -> None:
    members = [file("a", b"one"), other("b", KIND.HARDLINK, "a"), other("c", KIND.HARDLINK, "b")]
    listed = [entry(f"{SOURCE}/{name}", b"one") for name in "abc"]
    listed[2] = replace(listed[2], size=0)
    assert verify(members, listed, source_folder=SOURCE).files == 3


def test_an_uncatalogued_hard_link_to_a_folder_or_link_is_unexpected() -> None:
    for target in (directory("d"), symlink("d", "x")):
        with pytest.raises(errors.MemberUnexpected):
            verify([target, other("h", KIND.HARDLINK, "d")], [bare("d", 0)])


def folder(path: str) -> FileEntry:
    return FileEntry(path, 4096, None, EntryKind.FOLDER)


@pytest.mark.parametrize(
    "archived", [[directory("raw"), directory("raw/deep")], []], ids=["members", "implied"]
)
def test_folders_below_the_source_folder_are_matched(archived: list[Member]) -> None:
    listed = [
        folder(SOURCE),
        folder(f"{SOURCE}/raw"),
        folder(f"{SOURCE}/raw/deep"),
        entry(f"{SOURCE}/raw/deep/a"),
    ]
    members = [directory("."), *archived, file("raw/deep/a")]
    assert verify(members, listed, source_folder=SOURCE).files == 4


def test_a_folder_that_is_nowhere_is_missing_also_below_the_source_folder() -> None:
    with pytest.raises(errors.MemberMissing, match="empty"):
        verify([file("raw/a")], [folder(f"{SOURCE}/empty"), entry(f"{SOURCE}/raw/a")], source_folder=SOURCE)


def test_what_may_be_a_file_is_not_matched_with_a_folder_or_link_by_its_name() -> None:
    for member in (directory("d"), symlink("d", "x")):
        with pytest.raises(errors.MemberMissing):
            verify(
                [member, file("a")], [bare(f"{SOURCE}/d", 0), entry("a"), folder(".")], source_folder=SOURCE
            )


def test_a_symbolic_link_below_the_source_folder_is_matched_by_its_permissions_or_length() -> None:
    members = [symlink("l", "target"), symlink("m", "target"), file("a")]
    by_perm = FileEntry(f"{SOURCE}/l", 10**6, None, EntryKind.LINK)
    assert verify(members, [by_perm, bare(f"{SOURCE}/m", 6), entry("a")], source_folder=SOURCE).files == 3


def test_a_file_below_a_link_is_refused_also_where_it_is_spelled_otherwise() -> None:
    with pytest.raises(errors.MemberUnsafe):
        verify([symlink("d", "/etc"), file("d/a")], [entry(f"{SOURCE}/d/a")], source_folder=SOURCE)


def test_the_source_folder_is_asked_for_only_where_names_differ() -> None:
    rig = Rig()
    [record] = rig.plan()
    rig.copy(record)
    rig.catalogue.fail(errors.CatalogueUnavailable("away"), "dataset")
    publish.verify_and_stage(rig.record(record.key), rig.tools)
    assert rig.record(record.key).state is DatablockState.STAGED


def planned(rig: Rig, listed: tuple[FileEntry, ...], content: bytes | None = None) -> DatablockRecord:
    rig.catalogue.add_dataset(PID, [rig.archive(listed=listed, content=content)], source_folder=SOURCE)
    [record] = rig.plan_again("run-1")
    return record


def test_a_dataset_catalogued_with_absolute_paths_is_staged_and_its_result_says_so() -> None:
    rig = Rig()
    planned(rig, absolute())
    rig.job(PID)
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.STARTED)
    [record] = rig.plan_again("run-1")
    rig.stage(record)
    publish.publish(PID, rig.tools)
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.RETRIEVED)
    report.close_job(JOB, None, rig.tools)
    rig.deliver()
    result = rig.catalogue.held_job(JOB).result
    assert result is not None
    [entry] = result["result"]
    assert (entry["integrity"], entry["files"], entry["respelled"]) == ("verified", len(FILES), len(FILES))
    [told] = datablocks_of(rig)
    assert (told["integrity"], told["files"]) == ("verified", len(FILES))
    assert told["matchedBy"] == [
        {
            "spelling": "source_folder",
            "files": len(FILES),
            "examples": [{"catalogued": f"{SOURCE}/{name}", "archived": name} for name in list(FILES)[:2]],
        }
    ]


def test_a_dataset_spelled_as_it_is_archived_says_nothing_of_spelling() -> None:
    rig = Rig()
    rig.retrieved(PID)
    rig.deliver()
    result = rig.catalogue.held_job(JOB).result
    assert result is not None
    assert "respelled" not in result["result"][0]
    assert datablocks_of(rig)[0]["matchedBy"] == []


def test_while_scicat_is_away_a_copy_that_is_spelled_otherwise_waits() -> None:
    rig = Rig()
    record = planned(rig, absolute())
    rig.copy(record)
    rig.catalogue.fail(errors.CatalogueUnavailable("away"), "dataset")
    with pytest.raises(errors.CatalogueUnavailable):
        publish.verify_and_stage(rig.record(record.key), rig.tools)
    publish.verify_and_stage(rig.record(record.key), rig.tools)
    assert rig.record(record.key).state is DatablockState.STAGED


def test_an_archive_of_other_bytes_is_refused_whatever_its_names() -> None:
    rig = Rig()
    record = planned(rig, absolute(), tar(FILES | {"run/sub/c.dat": b"\1gamma"}))
    with pytest.raises(errors.MemberUnexpected, match=r"'run/sub/c\.dat'"):
        rig.stage(record)


def latin(name: bytes, content: bytes) -> bytes:
    """A tar of one file whose name is no UTF-8."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        info = tarfile.TarInfo(name.decode("latin-1"))
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("listed", ["caf\ufffd.h5", "caf?.h5"])
def test_a_name_in_another_encoding_is_matched(listed: str) -> None:
    rig = Rig()
    record = planned(rig, entries({listed: b"x" * 700}), latin(b"caf\xe9.h5", b"x" * 700))
    rig.stage(record)
    [matched] = rig.record(record.key).matched_by
    assert matched == Matched(Likeness.BYTES, 1, ((listed, "caf\\xe9.h5"),))


@given(
    st.dictionaries(st.text("ab1é", min_size=1, max_size=3), st.binary(max_size=2), min_size=1, max_size=6),
    st.sampled_from(["", f"{SOURCE}/", "run1/", "./", "//data//p1/run1/"]),
    st.sampled_from(["", "run1/", "data/p1/run1/"]),
    st.randoms(use_true_random=False),
)
def test_a_spelling_of_all_names_changes_no_verdict(
    files: dict[str, bytes], listed_below: str, archived_below: str, random: Random
) -> None:
    members = [file(f"{archived_below}{name}", content) for name, content in files.items()]
    random.shuffle(members)
    listed = [entry(f"{listed_below}{name}", content) for name, content in files.items()]
    assert verify(members, listed, source_folder=SOURCE).files == len(files)
    changed = random.choice(members)
    wrong = [file(member.name, b"!!!") if member is changed else member for member in members]
    with pytest.raises(errors.IntegrityError):
        verify(wrong, listed, source_folder=SOURCE)


@within_cpu_seconds(60)
def test_many_names_spelled_otherwise_are_matched_in_little_time() -> None:
    count = 30_000
    members = [file(f"a/{NFD}{number}") for number in range(count)]
    listed = [entry(f"{SOURCE}/a/{NFC}{number}") for number in range(count)]
    assert verify(members, listed, source_folder=SOURCE).files == count


@within_cpu_seconds(30)
def test_a_deep_folder_takes_no_time() -> None:
    deep = "d/" * 80_000 + "f"
    assert verify([file(deep)], [folder("d"), entry(deep)]).files == 2


def deep_folders(count: int) -> list[Member]:
    """Folders that no two have one of those above in common, ninety-nine each."""
    return [directory(f"{number:06}/{'a/' * 98}d") for number in range(count)]


def peak_of(act: Callable[[], object]) -> int:
    """Bytes that are held at most while something is done, beside those before."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_folders_that_many_deep_members_imply_take_no_memory_each() -> None:
    """So many names take about 20 MB as they come; all the folders above them would take 150 MB and more."""
    members = [file("x"), *deep_folders(4000)]

    def compare() -> None:
        with pytest.raises(errors.MemberMissing, match="'q'"):
            verify(members, [entry("x"), folder("q")])

    assert peak_of(compare) < 60_000_000


def test_where_far_too_many_folders_are_implied_no_name_is_matched() -> None:
    listed = [entry(f"{SOURCE}/a"), folder(f"{SOURCE}/raw")]
    few, many = ([file("a"), *deep_folders(count), directory("raw")] for count in (100, 1100))
    assert verify(few, listed, source_folder=SOURCE).files == 2
    with pytest.raises(errors.IntegrityError):
        verify(many, listed, source_folder=SOURCE)


def test_where_nothing_is_looked_for_any_more_it_does_not_matter_what_is_implied() -> None:
    assert verify([file("x"), *deep_folders(1100), directory("q")], [entry("x"), folder("q")]).files == 2
