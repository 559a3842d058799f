"""What unpacking leaves of an archive that holds a path twice, a link to itself, the name of a tape, or an archiver's own list."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.tools.archive_policy import ArchivePolicy
from scicat_retriever.pipeline.transfer import publish
from tests.unit.onepass.tars import END, file, header
from tests.unit.pipeline.rig import JOB, PID, Rig, entries
from tests.unit.pipeline.shown import datablocks_of

LAST = ArchivePolicy(duplicate_members="last")
F, OTHER = file(b"f", b"hello"), file(b"f", b"later")
L, SELF = header(b"l", kind=b"1", link=b"f"), header(b"f", kind=b"1", link=b"f")
LABEL = header(b"tape 7", kind=b"V", magic=b"ustar  \0")


def staged(content: bytes, files: dict[str, bytes], policy: ArchivePolicy | None = None) -> Rig:
    """Bring an archive all the way, or raise why not."""
    rig = Rig(archives=policy or ArchivePolicy())
    [record] = rig.plan(rig.archive(content=content + END, listed=entries(files)))
    assert rig.record(rig.stage(record)).state is DatablockState.STAGED
    return rig


CHANGES_NOTHING = {
    "a hard link to itself": (F + SELF, {"f": b"hello"}),
    "a hard link to itself, in another spelling": (
        F + header(b"./f", kind=b"1", link=b".//f"),
        {"f": b"hello"},
    ),
    "a hard link that comes again": (F + L + L, {"f": b"hello", "l": b"hello"}),
    "a file and its link that come again as links": (F + L + SELF + L, {"f": b"hello", "l": b"hello"}),
    "a link and its file that come again": (
        F + L + header(b"f", kind=b"1", link=b"l"),
        {"f": b"hello", "l": b"hello"},
    ),
    "a folder that comes again": (header(b"d/", kind=b"5") + F + header(b"d", kind=b"5"), {"f": b"hello"}),
    "a symbolic link that comes again": (F + header(b"s", kind=b"2", link=b"f") * 2, {"f": b"hello"}),
    "a label": (LABEL + F, {"f": b"hello"}),
    "a label that comes again": (LABEL + F + LABEL, {"f": b"hello"}),
}


@pytest.mark.parametrize("case", CHANGES_NOTHING)
def test_what_changes_nothing_is_staged(case: str) -> None:
    content, files = CHANGES_NOTHING[case]
    staged(content, files)


@pytest.mark.skipif(shutil.which("tar") is None, reason="GNU tar is not installed")
def test_a_file_that_gnu_tar_is_given_twice_is_staged(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "f").write_bytes(b"hello")
    os.link(tmp_path / "scan" / "f", tmp_path / "scan" / "g")
    tar = ["tar", "-C", str(tmp_path), "--sort=name", "-cf", "-", "scan", "scan/g", "scan/f", "scan"]
    content = subprocess.run(tar, check=True, capture_output=True, timeout=60).stdout
    rig = Rig()
    [record] = rig.plan(
        rig.archive(content=content, listed=entries({"scan/f": b"hello", "scan/g": b"hello"}))
    )
    rig.stage(record)


def test_a_file_that_another_takes_the_place_of_is_refused_or_the_last_is_compared() -> None:
    with pytest.raises(errors.MemberDuplicated, match="holds 'f' twice"):
        staged(F + OTHER, {"f": b"later"})
    staged(F + OTHER, {"f": b"later"}, LAST)
    staged(F + OTHER + file(b"./f", b"third"), {"f": b"third"}, LAST)
    with pytest.raises(errors.ChecksumMismatch):
        staged(F + OTHER, {"f": b"hello"}, LAST)


def test_of_files_that_were_appended_again_by_gnu_tar_the_last_is_compared(tmp_path: Path) -> None:
    if shutil.which("tar") is None:
        pytest.skip("GNU tar is not installed")
    for content in (b"first", b"second one"):
        (tmp_path / "f").write_bytes(content)
        subprocess.run(
            ["tar", "-C", str(tmp_path), "-rf", str(tmp_path / "a.tar"), "f"], check=True, timeout=60
        )
    rig = Rig(archives=LAST)
    listed = entries({"f": b"second one"})
    [record] = rig.plan(rig.archive(content=(tmp_path / "a.tar").read_bytes(), listed=listed))
    rig.stage(record)


DISAGREED = {
    "a file over one that has a hard link": (F + L + OTHER, {"f": b"later", "l": b"hello"}),
    "a file over a hard link": (F + L + file(b"l", b"later"), {"f": b"hello", "l": b"later"}),
    "a folder over a file": (F + header(b"f/", kind=b"5"), {"f": b"hello"}),
    "a file over a folder": (header(b"f", kind=b"5") + F, {"f": b"hello"}),
    "a file over a symbolic link": (
        file(b"g", b"x") + header(b"f", kind=b"2", link=b"g") + F,
        {"g": b"x", "f": b"hello"},
    ),
    "a label of a file's name": (F + header(b"f", kind=b"V"), {"f": b"hello"}),
    "a folder over a symbolic link": (
        F + header(b"s", kind=b"2", link=b"f") + header(b"s", kind=b"5"),
        {"f": b"hello"},
    ),
}


@pytest.mark.parametrize("policy", [ArchivePolicy(), LAST], ids=["refuse", "last"])
@pytest.mark.parametrize("case", DISAGREED)
def test_where_programs_do_not_agree_on_what_is_left_it_is_refused(case: str, policy: ArchivePolicy) -> None:
    content, files = DISAGREED[case]
    with pytest.raises(errors.MemberDuplicated):
        staged(content, files, policy)


def test_a_hard_link_to_a_file_that_took_the_place_of_another_leads_to_that_one() -> None:
    staged(F + OTHER + L, {"f": b"later", "l": b"later"}, LAST)
    with pytest.raises(errors.ChecksumMismatch):
        staged(F + OTHER + L, {"f": b"later", "l": b"hello"}, LAST)


def test_a_hard_link_before_its_file_is_said_to_be_so() -> None:
    with pytest.raises(errors.MemberUnexpected, match="'l' leads to 'f', which only comes after it"):
        staged(L + F, {"f": b"hello", "l": b"hello"})
    with pytest.raises(errors.MemberUnexpected, match="which is not in it"):
        staged(L + file(b"g", b"x"), {"g": b"x", "l": b"hello"})
    with pytest.raises(errors.MemberUnexpected, match="which is not in it"):
        staged(SELF, {"f": b"hello"})


@pytest.mark.parametrize("policy", [ArchivePolicy(), LAST], ids=["refuse", "last"])
def test_a_hard_link_to_itself_before_its_file_is_said_to_be_so(policy: ArchivePolicy) -> None:
    with pytest.raises(errors.MemberUnexpected, match="'f' leads to itself, before the file of that name"):
        staged(SELF + F, {"f": b"hello"}, policy)


def test_a_label_that_leads_out_of_the_folder_is_unsafe() -> None:
    with pytest.raises(errors.MemberUnsafe):
        staged(header(b"../tape", kind=b"V") + F, {"f": b"hello"})


UNCATALOGUED = {
    "a list of checksums": (file(b"__checksum_filename_20260301__", b"sums"), "__checksum_filename_*__"),
    "such a list in a folder": (file(b"d/__checksum_filename_1__", b"sums"), "__checksum_filename_*__"),
    "a check of htar": (file(b"/tmp/HTAR_CF_CHK_64474_982644516", b"idx"), "/tmp/HTAR_CF_CHK_*"),
    "an AppleDouble": (file(b"d/._f", b"finder"), "._*"),
    "a pipe": (header(b"d/run.fifo", kind=b"6"), "*.fifo"),
    "a file by its path": (file(b"d/e/list.md5", b"sums"), "d/*/list.md5"),
    "a hard link": (F + header(b"._l", kind=b"1", link=b"f"), "._*"),
}


@pytest.mark.parametrize("case", UNCATALOGUED)
def test_what_an_operator_names_is_passed_over(case: str) -> None:
    member, pattern = UNCATALOGUED[case]
    content = member if b"hello" in member else F + member
    with pytest.raises(errors.IntegrityError):
        staged(content, {"f": b"hello"})
    staged(content, {"f": b"hello"}, ArchivePolicy(pass_over=("other", pattern)))


NOT_PASSED_OVER = {
    "what matches no pattern": (file(b"f._x", b""), "._*"),
    "what climbs": (file(b"../._x", b""), "._*"),
    "what is absolute, by a pattern that is not": (file(b"/etc/._x", b""), "._*"),
    "what is absolute and climbs": (file(b"/tmp/../etc/._x", b""), "/tmp/*"),
    "a link to the outside": (header(b"._x", kind=b"1", link=b"/etc/shadow"), "._*"),
    "what lies below a symbolic link": (header(b"s", kind=b"2", link=b"/etc") + file(b"s/._x", b""), "._*"),
    "what may be a catalogued file of another spelling": (file(b"other/._f", b""), "._*"),
}


@pytest.mark.parametrize("case", NOT_PASSED_OVER)
def test_what_could_do_harm_or_be_data_is_not_passed_over(case: str) -> None:
    member, pattern = NOT_PASSED_OVER[case]
    files = {"f": b"hello", "d/._f": b"catalogued"}
    with pytest.raises(errors.IntegrityError):
        staged(F + file(b"d/._f", b"catalogued") + member, files, ArchivePolicy(pass_over=(pattern,)))


BELOW = file(b"h/y", b"x")
SYMLINK = header(b"s", kind=b"2", link=b"/tmp")
NOT_UNPACKED = {
    "a file above a file": (file(b"h", b"list") + BELOW, errors.MemberUnsafe),
    "a file above one before it": (BELOW + file(b"h", b"list"), errors.MemberUnsafe),
    "a pipe above a file": (header(b"h", kind=b"6") + BELOW, errors.MemberUnsafe),
    "a hard link to a symbolic link, above a file": (
        SYMLINK + header(b"h", kind=b"1", link=b"s") + BELOW,
        errors.MemberUnsafe,
    ),
    "a hard link to such a link, above a folder in other case": (
        SYMLINK + header(b"h", kind=b"1", link=b"s") + header(b"H/d", kind=b"5") + file(b"y", b"x"),
        errors.MemberUnsafe,
    ),
    "a hard link to nothing": (
        header(b"h", kind=b"1", link=b"g") + file(b"y", b"x"),
        errors.MemberUnexpected,
    ),
    "a hard link to a folder": (
        header(b"d", kind=b"5") + header(b"h", kind=b"1", link=b"d") + file(b"y", b"x"),
        errors.MemberUnexpected,
    ),
    "a hard link to itself alone": (
        header(b"h", kind=b"1", link=b"h") + file(b"y", b"x"),
        errors.MemberUnexpected,
    ),
}


@pytest.mark.parametrize("case", NOT_UNPACKED)
def test_what_is_passed_over_can_be_unpacked_all_the_same(case: str) -> None:
    content, expected = NOT_UNPACKED[case]
    files = {"h/y": b"x"} if b"h/y" in content else {"y": b"x"}
    with pytest.raises(expected):
        staged(content, files, ArchivePolicy(pass_over=("h",)))


def test_hard_links_among_what_is_passed_over_are_passed_over() -> None:
    links = header(b"._b", kind=b"1", link=b"._a") + header(b"._c", kind=b"1", link=b"._b")
    to_link = header(b"s", kind=b"2", link=b"f") + header(b"._s", kind=b"1", link=b"s")
    staged(file(b"._a", b"finder") + links + F + to_link, {"f": b"hello"}, ArchivePolicy(pass_over=("._*",)))


def test_what_is_catalogued_is_compared_though_it_matches() -> None:
    with pytest.raises(errors.ChecksumMismatch):
        staged(file(b"._f", b"hello"), {"._f": b"other"}, ArchivePolicy(pass_over=("._*",)))


def test_what_is_passed_over_may_come_twice_where_the_last_is_taken() -> None:
    index = file(b"._index", b"one") + F + file(b"._index", b"two")
    with pytest.raises(errors.MemberDuplicated):
        staged(index, {"f": b"hello"}, ArchivePolicy(pass_over=("._*",)))
    staged(index, {"f": b"hello"}, ArchivePolicy(duplicate_members="last", pass_over=("._*",)))


def test_joined_tars_are_compared_as_one() -> None:
    content, files = F + END + file(b"g", b"x"), {"f": b"hello", "g": b"x"}
    with pytest.raises(
        errors.ArchiveMalformed,
        match=r"offset 2048: another tar, perhaps \(see the setting flow\.joined_tars\)",
    ):
        staged(content, files)
    staged(content, files, ArchivePolicy(joined_tars="read"))


def test_what_was_taken_by_an_operators_word_is_told_in_the_result() -> None:
    policy = ArchivePolicy(joined_tars="read", duplicate_members="last", pass_over=("._*",))
    rig = Rig(archives=policy)
    content = file(b"._f", b"finder") + F + file(b"d/._g", b"finder") + END + OTHER + END
    odd = rig.archive(content=content, listed=entries({"f": b"later"}))
    plain = rig.archive(1, content=file(b"g", b"x") + END, listed=entries({"g": b"x"}))
    rig.catalogue.add_dataset(PID, (odd, plain))
    rig.job(PID)
    for record in rig.plan_again("run"):
        rig.stage(record)
    publish.publish(PID, rig.tools)
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.RETRIEVED)
    report.close_job(JOB, None, rig.tools)
    rig.deliver()
    result = rig.catalogue.held_job(JOB).result
    assert result is not None
    (entry,) = result["result"]
    assert (entry["passed_over"], entry["replaced"]) == (2, 1)
    first, second = datablocks_of(rig)
    assert (first["passedOver"], first["replaced"], first["tars"]) == (2, 1, 2)
    assert (second["passedOver"], second["replaced"], second["tars"]) == (0, 0, 1)
