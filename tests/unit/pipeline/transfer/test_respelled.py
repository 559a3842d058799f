"""Chosen files whose names SciCat spells one way in its original lists, and another way in its datablocks."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import CataloguedDatablock, FileEntry, OriginalFile, Selection
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.staging import space
from tests.unit.pipeline.jobs.test_selection import ONE, THREE, TWO, block, bring, needed, submit
from tests.unit.pipeline.rig import JOB, PID, Rig, entries, tar
from tests.unit.pipeline.shown import datablocks_of
from tests.unit.pipeline.transfer import extract_rig

SOURCE = "/data/p1/run1"
NFC, NFD = "caf\u00e9", "cafe\u0301"


def original(path: str, content: bytes, *, algorithm: str | None = None) -> OriginalFile:
    digest = None if algorithm is None else hashlib.new(algorithm, content).hexdigest()
    return OriginalFile(path, len(content), digest, algorithm)


def originals(below: str = f"{SOURCE}/") -> list[OriginalFile]:
    return [original(below + path, content) for each in (ONE, TWO, THREE) for path, content in each.items()]


def dataset_of_three(rig: Rig, listed: Sequence[OriginalFile] | None) -> None:
    blocks = [block(rig, number, files) for number, files in enumerate((ONE, TWO, THREE))]
    rig.catalogue.add_dataset(PID, blocks, source_folder=SOURCE)
    if listed is not None:
        rig.catalogue.list_originals(PID, listed)


def asked(*names: str, listed: Sequence[OriginalFile] | None = None) -> Rig:
    rig = Rig()
    dataset_of_three(rig, originals() if listed is None else listed)
    submit(rig, Selection(PID, names))
    space.measure_job(JOB, rig.tools)
    return rig


def failure(rig: Rig) -> errors.Failure:
    [found] = rig.ledger.jobs.datasets(JOB)[0].errors
    return found


@pytest.mark.parametrize(
    "name", [f"{SOURCE}/run/two.dat", f"{SOURCE}//run/two.dat", "run1/run/two.dat", "run\\two.dat"]
)
def test_a_name_that_scicat_took_leads_to_the_file_that_is_only_spelled_otherwise(name: str) -> None:
    rig = asked(name, listed=[original(name, TWO["run/two.dat"])])
    assert needed(rig) == ["p-1.tar"]
    assert rig.ledger.needs.respelled(JOB, PID) == {name: "run/two.dat"}
    assert rig.ledger.jobs.datasets(JOB)[0].errors == ()


def result_of(rig: Rig) -> dict[str, Any]:
    report.close_job(JOB, None, rig.tools)
    rig.deliver()
    held = rig.catalogue.held_job(JOB)
    assert held.result is not None
    return dict(held.result)


def test_the_result_says_by_which_name_a_file_was_chosen() -> None:
    rig = asked(f"{SOURCE}/run/two.dat", "run/one.dat")
    space.claim_job(JOB, rig.tools)
    bring(rig)
    (entry,) = result_of(rig)["result"]
    assert entry["datablocks"] == 2
    one, two = datablocks_of(rig)
    assert (one["chosen"], one["askedAs"]) == (["run/one.dat"], {})
    assert (two["chosen"], two["askedAs"]) == (["run/two.dat"], {"run/two.dat": f"{SOURCE}/run/two.dat"})


REFUSED = {
    "another size": [OriginalFile(f"{SOURCE}/run/two.dat", 5)],
    "no size": [OriginalFile(f"{SOURCE}/run/two.dat", None)],
    "another checksum": [original(f"{SOURCE}/run/two.dat", b"owt" * 600, algorithm="sha256")],
}


@pytest.mark.parametrize("listed", REFUSED.values(), ids=REFUSED.keys())
def test_a_name_that_is_alike_is_never_enough(listed: list[OriginalFile]) -> None:
    rig = asked(f"{SOURCE}/run/two.dat", listed=listed)
    found = failure(rig)
    assert (found.code, found.who, found.cause) == ("files_unknown", "operator", "data")
    assert "; the nearest: 'run/two.dat'" in found.message


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_checksums_are_compared_where_they_can_be(algorithm: str) -> None:
    rig = asked(
        f"{SOURCE}/run/two.dat",
        listed=[original(f"{SOURCE}/run/two.dat", TWO["run/two.dat"], algorithm=algorithm)],
    )
    assert needed(rig) == ["p-1.tar"]


def test_where_two_files_can_be_meant_none_is_taken() -> None:
    rig = Rig()
    content = b"x" * 600
    blocks = [block(rig, 0, {f"a/{NFC}": content}), block(rig, 1, {f"run1/a/{NFC}": content})]
    rig.catalogue.add_dataset(PID, blocks, source_folder=SOURCE)
    name = f"{SOURCE}/a/{NFD}"
    rig.catalogue.list_originals(PID, [original(name, content)])
    submit(rig, Selection(PID, (name,)))
    space.measure_job(JOB, rig.tools)
    assert failure(rig).who == "operator"


def test_two_names_are_not_taken_for_one_file() -> None:
    names = (f"{SOURCE}/run/two.dat", "run1/run/two.dat")
    rig = asked(*names, listed=[original(name, TWO["run/two.dat"]) for name in names])
    assert rig.ledger.needs.respelled(JOB, PID) == {}


def test_a_file_that_several_datablocks_list_is_taken_from_all_of_them() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(
        PID, [block(rig, n, each) for n, each in enumerate((ONE, TWO, ONE))], source_folder=SOURCE
    )
    rig.catalogue.list_originals(PID, originals())
    submit(rig, Selection(PID, (f"{SOURCE}/run/one.dat",)))
    space.measure_job(JOB, rig.tools)
    assert needed(rig) == ["p-0.tar", "p-2.tar"]


def test_a_name_that_scicat_does_not_list_either_is_the_users_and_the_nearest_is_named() -> None:
    found = failure(asked("run/tow.dat"))
    assert (found.code, found.who, found.cause) == ("files_unknown", "user", "user")
    assert found.message.endswith(
        "a file is chosen by its path as SciCat lists it; the nearest: 'run/two.dat'"
    )


@pytest.mark.parametrize("listed", [[original("run/four.dat", b"4")], []], ids=["listed", "nothing shown"])
def test_a_name_that_scicat_took_is_never_the_users_fault(listed: list[OriginalFile]) -> None:
    found = failure(asked("run/four.dat", listed=listed))
    assert (found.code, found.who) == ("files_unknown", "operator")
    assert "SciCat takes only names of the dataset's original files" in found.message


def test_an_absurd_name_has_no_nearest() -> None:
    assert "nearest" not in failure(asked("zzzzzzzzzzzzzzzz")).message


def test_a_file_of_the_same_name_in_another_folder_is_near() -> None:
    assert "the nearest: 'run/two.dat'" in failure(asked("somewhere/else/entirely/two.dat")).message


def test_while_scicat_does_not_show_the_original_files_no_file_is_called_unknown() -> None:
    rig = Rig()
    dataset_of_three(rig, originals())
    submit(rig, Selection(PID, (f"{SOURCE}/run/two.dat",)))
    rig.catalogue.fail(errors.CatalogueUnavailable("down"), "original_files")
    with pytest.raises(errors.CatalogueUnavailable):
        space.measure_job(JOB, rig.tools)
    space.measure_job(JOB, rig.tools)
    assert needed(rig) == ["p-1.tar"]


def test_original_files_are_not_asked_for_where_all_names_are_found() -> None:
    rig = Rig()
    dataset_of_three(rig, originals())
    submit(rig, Selection(PID, ("run/two.dat",)))
    rig.catalogue.fail(errors.CatalogueUnavailable("down"), "original_files")
    space.measure_job(JOB, rig.tools)
    assert needed(rig) == ["p-1.tar"]


def known_absolute(rig: Rig) -> CataloguedDatablock:
    """A datablock of relative members that is catalogued with absolute paths, copied once and evicted."""
    files = extract_rig.CONTENT
    listed = tuple(replace(each, path=f"{SOURCE}/{each.path}") for each in entries(files))
    whole = rig.archive(content=tar(files), listed=listed)
    rig.catalogue.add_dataset(PID, [whole], source_folder=SOURCE)
    for record in rig.plan_again("run-1"):
        rig.stage(record)
    rig.ledger.claims.end(PID)
    extract_rig.evict(rig)
    rig.store.read.clear()
    return whole


@pytest.mark.parametrize("name", [f"{SOURCE}/run/two.dat", "run/two.dat"])
def test_of_an_archive_that_is_spelled_otherwise_an_extract_is_read(name: str) -> None:
    rig = Rig()
    known_absolute(rig)
    rig.catalogue.list_originals(PID, [original("run/two.dat", extract_rig.CONTENT["run/two.dat"])])
    extract_rig.choose(rig, name)
    extract_rig.bring(rig)
    (record,) = rig.ledger.needs.datablocks(JOB, PID)
    assert record.datablock.ranges
    assert record.state is DatablockState.STAGED
    assert [(each.kind, each.files) for each in record.matched_by] == [("source_folder", 1)]
    assert b"run/two.dat" in extract_rig.staged_content(rig, record)
    assert rig.ledger.jobs.datasets(JOB)[0].state is DatasetState.RETRIEVED


def test_where_it_is_not_certain_which_member_is_chosen_all_of_the_archive_is_read() -> None:
    rig = Rig()
    whole = known_absolute(rig)
    changed = tuple(
        FileEntry(each.path, each.size, "0" * 64) if each.path.endswith("two.dat") else each
        for each in whole.files
    )
    rig.catalogue.add_dataset(PID, [replace(whole, files=changed)], source_folder=SOURCE)
    extract_rig.choose(rig, f"{SOURCE}/run/two.dat")
    (record,) = rig.ledger.needs.datablocks(JOB, PID)
    assert not record.datablock.ranges
