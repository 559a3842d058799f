from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline import publish
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.pipeline.rig import PID, RETENTION, START, Rig

State = DatablockState
Q = DatasetPid("20.500.12345/q")


def test_the_sweep_removes_what_is_over_and_keeps_the_rest() -> None:
    rig = Rig()
    (old,) = rig.staged_dataset()
    rig.clock.advance(RETENTION / 2)
    (young,) = rig.staged_dataset(pid=Q)
    rig.clock.advance(RETENTION / 2)
    assert publish.sweep_expired(rig.tools) == 1
    assert rig.staging.staged_keys() == {young.key}
    assert rig.record(old.key).state is State.RELEASED
    assert publish.sweep_expired(rig.tools) == 0


def test_the_sweep_takes_no_more_than_it_may() -> None:
    rig = Rig()
    rig.staged_dataset(*(rig.archive(number) for number in range(3)))
    rig.clock.advance(RETENTION)
    assert publish.sweep_expired(rig.tools, limit=2) == 2
    assert len(rig.staging.staged_keys()) == 1


class BrokenStaging(InMemoryStagingArea):
    """Cannot remove the staged files of some datablocks."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[DatablockKey] = set()

    def release(self, key: DatablockKey) -> None:
        if key in self.broken:
            raise errors.StagingWriteFailed("the file cannot be removed")
        super().release(key)


def test_a_file_that_cannot_be_removed_is_swept_later_and_keeps_no_other_from_it() -> None:
    staging = BrokenStaging()
    rig = Rig(staging=staging)
    first, second, third = rig.staged_dataset(*(rig.archive(number) for number in range(3)))
    rig.clock.advance(RETENTION)
    staging.broken = {first.key, second.key}
    with pytest.raises(errors.StagingWriteFailed, match="cannot be removed"):
        publish.sweep_expired(rig.tools)
    assert staging.staged_keys() == {first.key, second.key}
    assert rig.record(third.key).state is State.RELEASED
    staging.broken = set()
    assert publish.sweep_expired(rig.tools) == 2
    assert staging.staged_keys() == set()
    assert publish.sweep_expired(rig.tools) == 0


def test_the_sweep_ends_what_a_sweep_left_that_died_in_the_middle() -> None:
    rig = Rig()
    (record,) = rig.staged_dataset()
    rig.clock.advance(RETENTION)
    rig.ledger.release_expired(record.key, rig.clock())
    assert publish.sweep_expired(rig.tools) == 1
    assert rig.staging.staged_keys() == set()


def test_the_sweep_removes_the_partial_of_what_the_catalogue_no_longer_lists() -> None:
    rig = Rig()
    _, second = rig.plan(rig.archive(0), rig.archive(1))
    rig.copy(second)
    rig.plan(rig.archive(0), run="run-2")
    assert publish.sweep_expired(rig.tools) == 1
    assert rig.staging.partial_keys() == set()


class AskedAgainLedger(InMemoryLedger):
    """A ledger where a released dataset is staged again just after the sweep listed its files."""

    stage_again: Callable[[], object]

    def left_behind(self, limit: int) -> Sequence[DatablockKey]:
        found = super().left_behind(limit)
        self.stage_again()
        return found


def test_the_sweep_leaves_the_files_of_what_was_staged_again_meanwhile() -> None:
    rig = Rig()
    ledger = rig.ledger = AskedAgainLedger(rig.clock)
    rig.tools = replace(rig.tools, ledger=ledger)
    (record,) = rig.staged_dataset()
    rig.clock.advance(RETENTION)
    ledger.stage_again = lambda: [rig.stage(again) for again in rig.plan_again("run-2")]
    assert publish.sweep_expired(rig.tools) == 0
    assert rig.staging.staged_keys() == {record.key}


class LastMinuteLedger(InMemoryLedger):
    """A ledger where somebody asks for the dataset again just after the sweep looked."""

    def expired(self, now: datetime, limit: int) -> Sequence[DatablockKey]:
        found = super().expired(now, limit)
        self.keep(PID, START + 9 * RETENTION)
        return found


def test_the_sweep_leaves_what_was_asked_for_in_the_meantime() -> None:
    rig = Rig()
    rig.ledger = LastMinuteLedger(rig.clock)
    rig.tools = replace(rig.tools, ledger=rig.ledger)
    (record,) = rig.staged_dataset()
    rig.clock.advance(RETENTION)
    assert publish.sweep_expired(rig.tools) == 0
    assert rig.staging.staged_keys() == {record.key}
