"""The judges of the attack: what they must call wrong, they call wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.chaos.archives import Archives
from tests.chaos.downloads import wrong_blocks
from tests.chaos.faults.deck import all_kinds, dealt
from tests.chaos.findings import Fault, Finding, counts
from tests.chaos.oracle import result_findings
from tests.chaos.rounds import Plan, decks_of, facilities
from tests.chaos.tally import Tally
from tests.chaos.truth import Dataset, Job, Truth

PID = "20.500.12345/a"


@pytest.fixture
def archives(tmp_path: Path) -> Archives:
    return Archives(tmp_path / "lts", Random(1))


def test_each_opening_of_an_archive_is_counted_once_and_looking_at_it_is_not(archives: Archives) -> None:
    block, _ = archives.make("20.500.12345/a", 0)
    archives.path(block.archive_id).stat()
    archives.reads.count()
    assert block.reads == 0
    archives.path(block.archive_id).read_bytes()
    archives.path(block.archive_id).read_bytes()
    archives.reads.count()
    assert block.reads == 2
    archives.close()


def test_an_archive_that_comes_back_from_elsewhere_is_still_counted(archives: Archives) -> None:
    block, _ = archives.make("20.500.12345/a", 0)
    archives.away(block.archive_id)()
    archives.path(block.archive_id).read_bytes()
    archives.reads.count()
    assert block.reads == 1
    archives.close()


def test_a_job_with_one_wrong_datablock_may_not_end_successful(archives: Archives) -> None:
    good, _ = archives.make("20.500.12345/a", 0)
    bad, _ = archives.make("20.500.12345/a", 1, wrong="corrupt")
    job = Job("1", [Dataset("20.500.12345/a", [good, bad])])
    assert job.may_end_as == {"finishedWithDatasetErrors"}
    bad.truth = Truth.EITHER
    assert job.may_end_as == {"finishedWithDatasetErrors", "finishedSuccessful"}
    archives.close()


def test_a_job_that_chose_files_must_be_given_the_datablocks_that_hold_them_and_no_others(
    archives: Archives,
) -> None:
    dataset = Dataset(PID, [archives.make(PID, number)[0] for number in range(3)])
    wanted = dataset.blocks[1]
    job = Job("1", [dataset], {PID: frozenset(wanted.files)})
    assert job.needs(dataset) == [wanted]
    assert Job("2", [dataset]).needs(dataset) == dataset.blocks
    assert _found(job, told_of(1)) == []
    assert [each.fault for each in _found(job, told_of(3))] == [Fault.FALSE]
    links = [{"datasetId": PID, "archiveId": block.archive_id} for block in dataset.blocks]
    assert wrong_blocks(PID, links[1:2], job) == ""
    assert wrong_blocks(PID, links, job) != ""
    assert wrong_blocks(PID, links[:1], job) != ""
    assert wrong_blocks(PID, [], job) != ""
    archives.close()


def test_a_cancelled_job_may_lack_datasets_but_no_part_of_one_and_is_told_that_it_was_cancelled(
    archives: Archives,
) -> None:
    dataset = Dataset(PID, [archives.make(PID, number)[0] for number in range(2)])
    job = Job("1", [dataset])
    assert "finishedUnsuccessful" not in job.may_end_as
    job.cancelled = True
    assert job.may_end_as == {"finishedSuccessful", "finishedUnsuccessful"}
    told = {"errors": [{"code": "job_cancelled"}]}
    assert _found(job, told, cancelled=True) == []
    assert _found(job, told | told_of(2), cancelled=True) == []
    assert _found(job, told | told_of(1), cancelled=True) != []
    assert _found(job, told_of(2), cancelled=True) != []
    assert _found(job, told) != []
    archives.close()


def test_a_mended_archive_can_be_retrieved_and_its_openings_are_still_counted(archives: Archives) -> None:
    block, _ = archives.make(PID, 0, wrong="corrupt")
    path = archives.path(block.archive_id)
    assert hashlib.sha256(path.read_bytes()).hexdigest() != block.sha256
    archives.mend(block)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == block.sha256
    archives.reads.count()
    assert (block.truth, block.reads) == (Truth.GOOD, 2)
    archives.close()


@pytest.mark.parametrize("faults", [1, 12, 116, 700])
def test_tight_facilities_and_others_have_all_faults_among_them(faults: int) -> None:
    planned = list(facilities(faults, roomy=112, tight=4))
    assert sum(count for _, count in planned) == faults
    assert any(tight for tight, _ in planned)
    assert next(iter(facilities(faults, roomy=112, tight=0)))[0] is False


def told_of(datablocks: int) -> dict[str, Any]:
    """A result that offers so many datablocks of the dataset."""
    return {"result": [{"datasetId": PID, "datablocks": datablocks}]}


def _found(job: Job, result: dict[str, Any], *, cancelled: bool = False) -> list[Finding]:
    return list(result_findings(job, result, "job 1", cancelled=cancelled))


def test_every_kind_is_dealt_once_before_any_comes_again_and_the_seed_decides_the_order() -> None:
    kinds = all_kinds()
    dealer = dealt(Random(5), kinds)
    first = [next(dealer).name for _ in kinds]
    assert sorted(first) == sorted(kind.name for kind in kinds)
    dealer = dealt(Random(5), kinds)
    assert [next(dealer).name for _ in kinds] == first


def test_runs_side_by_side_deal_every_kind_among_them_and_none_twice(tmp_path: Path) -> None:
    plans = [Plan(58, 1, tmp_path, part=(number, 2)) for number in range(2)]
    names = [kind.name for plan in plans for deck in decks_of(plan) for kind in deck]
    assert sorted(names) == sorted(kind.name for kind in all_kinds())
    assert all(map(all, map(decks_of, plans))), "each has both sorts"


def test_the_last_line_counts_what_was_found_wrong_once_for_each_subject() -> None:
    tally = Tally(jobs=7)
    tally.add("kill worker", jobs=2, resumed=6.0, missed=False)
    tally.findings = [
        Finding(Fault.FALSE, "job 1", "ended well"),
        Finding(Fault.FALSE, "job 1", "has no link"),
        Finding(Fault.STUCK, "job 2", "still inProgress"),
    ]
    assert counts(tally.findings) == "lost=0 stuck=1 false=1 leaked=0"
    lines = tally.report().splitlines()
    assert lines[-1] == "chaos: faults=1 jobs=7 lost=0 stuck=1 false=1 leaked=0"
    assert "| kill worker | 1 | 0 | 2 | 6.0 s | 6.0 s | 1 |" in lines
