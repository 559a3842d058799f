"""The judges of the attack: what they must call wrong, they call wrong."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.chaos.archives import Archives
from tests.chaos.faults.deck import all_kinds, dealt
from tests.chaos.findings import Fault, Finding, counts
from tests.chaos.tally import Tally
from tests.chaos.truth import Dataset, Job, Truth


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


def test_every_kind_is_dealt_once_before_any_comes_again_and_the_seed_decides_the_order() -> None:
    kinds = all_kinds()
    dealer = dealt(Random(5))
    first = [next(dealer).name for _ in kinds]
    assert sorted(first) == sorted(kind.name for kind in kinds)
    dealer = dealt(Random(5))
    assert [next(dealer).name for _ in kinds] == first


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
