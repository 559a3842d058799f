from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.reports.result import timestamp
from scicat_retriever.pipeline.staging import eviction
from scicat_retriever.pipeline.transfer import publish
from scicat_retriever.ports.cache import EvictionOrder
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.staging_area import Room
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.pipeline.rig import CACHE, FILES, JOB, PID, RETENTION, SILENCE, Rig, tar

State = DatablockState
SIZE = len(tar(FILES))
SECOND = timedelta(seconds=1)
LATER = CACHE.spared_time + SECOND
Q, R = DatasetPid("20.500.12345/q"), DatasetPid("20.500.12345/r")


def cached(rig: Rig, *pids: DatasetPid, size: int = 0) -> list[DatablockRecord]:
    """Datasets of one datablock, staged a second after each other, which nobody pins, long enough ago."""
    records = []
    for pid in pids:
        (record,) = rig.staged_dataset(rig.archive(pid=pid, content=tar(FILES) + bytes(size)), pid=pid)
        publish.publish(pid, rig.tools)
        rig.clock.advance(SECOND)
        records.append(record)
    rig.clock.advance(LATER)
    return records


class BrokenStaging(InMemoryStagingArea):
    """Cannot remove the staged files of some datablocks."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[DatablockKey] = set()

    def delete(self, key: DatablockKey, token: str | None = None) -> None:
        if key in self.broken:
            raise errors.StagingWriteFailed("the file cannot be removed")
        super().delete(key, token)


def test_room_is_made_by_what_was_used_longest_ago() -> None:
    rig = Rig()
    old, young = cached(rig, PID, Q)
    assert eviction.make_room(1, rig.tools) == SIZE
    assert [rig.record(r.key).state for r in (old, young)] == [State.RELEASED, State.STAGED]
    assert rig.staging.staged_keys() == {young.key}
    assert rig.ledger.inventory.usage().staged == SIZE


def test_room_is_made_by_the_largest_where_the_operator_wants_that() -> None:
    rig = Rig(cache=replace(CACHE, order=EvictionOrder.LARGEST))
    (small,) = cached(rig, PID)
    (large,) = cached(rig, Q, size=10240)
    assert eviction.make_room(1, rig.tools) == SIZE + 10240
    assert rig.staging.staged_keys() == {small.key}
    assert rig.record(large.key).state is State.RELEASED


def test_as_much_room_is_made_as_is_wanted_or_there_is() -> None:
    rig = Rig()
    cached(rig, PID, Q, R)
    assert eviction.make_room(SIZE + 1, rig.tools) == 2 * SIZE
    assert eviction.make_room(SIZE * 9, rig.tools) == SIZE
    assert eviction.make_room(1, rig.tools) == 0


def test_what_was_used_a_moment_ago_is_left_alone() -> None:
    rig = Rig()
    old, young = cached(rig, PID, Q)
    rig.ledger.cache.note_used(PID, old.key)
    assert eviction.make_room(2 * SIZE, rig.tools) == SIZE
    assert rig.staging.staged_keys() == {old.key}
    assert rig.record(young.key).state is State.RELEASED


def test_what_an_ended_job_keeps_is_not_evicted_until_its_time_is_over_and_then_stays_as_a_cached_one() -> (
    None
):
    rig = Rig()
    rig.retrieved(PID)
    rig.deliver()
    rig.clock.advance(RETENTION - SECOND)
    eviction.sweep(rig.tools)
    assert eviction.make_room(SIZE, rig.tools) == 0
    rig.clock.advance(SECOND)
    assert eviction.sweep(rig.tools) == eviction.Swept(pins=1, evicted=0, removed=0, claims=0)
    assert rig.staging.staged_keys() != set()
    assert eviction.make_room(SIZE, rig.tools) == SIZE


def test_what_a_job_brought_stays_while_the_catalogue_cannot_be_told() -> None:
    rig = Rig()
    rig.retrieved(PID)
    rig.clock.advance(2 * RETENTION)
    eviction.sweep(rig.tools)
    assert eviction.make_room(SIZE, rig.tools) == 0
    rig.deliver()
    (entry,) = dict(rig.catalogue.held_job(JOB).result or {})["result"]
    assert entry["expires"] == timestamp(rig.clock() + RETENTION - rig.tools.margin)


def test_a_sweep_above_the_upper_mark_evicts_down_to_the_lower_one() -> None:
    rig = Rig(staging=InMemoryStagingArea(4 * SIZE + 10))
    pids = [DatasetPid(f"20.500.12345/{number}") for number in range(4)]
    records = cached(rig, *pids)
    assert eviction.sweep(rig.tools).evicted == 2
    assert rig.staging.staged_keys() == {records[2].key, records[3].key}
    assert eviction.sweep(rig.tools).evicted == 0


def test_a_sweep_below_the_upper_mark_evicts_nothing() -> None:
    rig = Rig(staging=InMemoryStagingArea(5 * SIZE))
    cached(rig, *(DatasetPid(f"20.500.12345/{number}") for number in range(4)))
    assert eviction.sweep(rig.tools).evicted == 0


def test_what_nobody_pins_goes_after_a_time_where_the_operator_wants_that() -> None:
    rig = Rig(cache=replace(CACHE, keep_unpinned=86400.0))
    rig.retrieved(Q)
    (record,) = cached(rig, PID)
    assert eviction.sweep(rig.tools).evicted == 0
    rig.clock.advance(timedelta(days=1))
    assert eviction.sweep(rig.tools).evicted == 1
    assert rig.record(record.key).state is State.RELEASED
    assert {key.pid for key in rig.staging.staged_keys()} == {Q}


def test_files_that_cannot_be_removed_go_later_and_keep_no_other_from_it() -> None:
    staging = BrokenStaging()
    rig = Rig(staging=staging, cache=replace(CACHE, keep_unpinned=LATER.total_seconds()))
    first, second, third = cached(rig, PID, Q, R)
    staging.broken = {first.key, second.key}
    with pytest.raises(errors.StagingWriteFailed, match="cannot be removed"):
        eviction.sweep(rig.tools)
    assert staging.staged_keys() == {first.key, second.key}
    assert rig.record(third.key).state is State.RELEASED
    staging.broken = set()
    assert eviction.sweep(rig.tools).removed == 2
    assert (staging.staged_keys(), rig.ledger.inventory.usage().staged) == (set(), 0)


def test_a_sweep_ends_what_an_eviction_left_that_died_in_the_middle() -> None:
    rig = Rig()
    (record,) = cached(rig, PID)
    rig.ledger.cache.evict(record.key, rig.clock(), "its space was needed")
    assert rig.ledger.inventory.usage().staged == SIZE
    assert eviction.sweep(rig.tools).removed == 1
    assert (rig.staging.staged_keys(), rig.ledger.inventory.usage().staged) == (set(), 0)


class SlowStaging(InMemoryStagingArea):
    """Is asked to remove something, and meanwhile others go on."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = int

    def delete(self, key: DatablockKey, token: str | None = None) -> None:
        meanwhile, self.meanwhile = self.meanwhile, int
        meanwhile()
        super().delete(key, token)


@pytest.mark.parametrize("by", ["eviction", "sweep"])
def test_what_a_later_run_staged_while_an_eviction_hung_is_left(by: str) -> None:
    staging = SlowStaging()
    rig = Rig(staging=staging)
    (record,) = cached(rig, PID)
    staging.meanwhile = lambda: [rig.stage(again) for again in rig.plan_again("run-2")]
    if by == "eviction":
        eviction.make_room(1, rig.tools)
    else:
        rig.ledger.cache.evict(record.key, rig.clock(), "its space was needed")
        eviction.sweep(rig.tools)
    after = rig.record(record.key)
    assert (after.state, staging.staged_size(record.key, after.partial)) == (State.STAGED, SIZE)


def test_a_sweep_removes_the_partial_of_what_the_catalogue_no_longer_lists() -> None:
    rig = Rig()
    _, second = rig.plan(rig.archive(0), rig.archive(1))
    rig.copy(second)
    rig.plan(rig.archive(0), run="run-2")
    assert eviction.sweep(rig.tools).removed == 1
    assert rig.staging.partial_keys() == set()


def test_a_sweep_gives_back_what_was_claimed_for_a_dataset_that_nobody_asks_for() -> None:
    rig = Rig()
    rig.plan()
    rig.ledger.claims.for_dataset(PID, Room(10 * SIZE, None), silence=SILENCE)
    assert eviction.sweep(rig.tools).claims == 1
    assert rig.ledger.inventory.usage().claimed == 0


def test_the_catalogue_is_told_what_went_where_the_operator_wants_that() -> None:
    rig = Rig(cache=replace(CACHE, tell_scicat=True))
    cached(rig, PID)
    eviction.make_room(SIZE, rig.tools)
    rig.deliver()
    held = rig.catalogue.held_dataset(PID)
    assert (held.status, held.integrity_check) == ("", False)


def test_the_catalogue_is_told_nothing_otherwise() -> None:
    rig = Rig()
    cached(rig, PID)
    eviction.make_room(SIZE, rig.tools)
    assert rig.ledger.reports.find() == []


def test_an_operator_evicts_a_dataset_that_was_just_used() -> None:
    rig = Rig()
    rig.staged_dataset(rig.archive(0), rig.archive(1))
    publish.publish(PID, rig.tools)
    assert eviction.evict_dataset(PID, rig.tools) == 2 * SIZE
    assert rig.staging.staged_keys() == set()


def test_an_operator_cannot_evict_what_somebody_pins() -> None:
    rig = Rig()
    rig.retrieved(PID, name=JobId("a"))
    assert eviction.evict_dataset(PID, rig.tools) == 0
    assert rig.staging.staged_keys() != set()


@pytest.mark.parametrize(
    ("room", "capacity"),
    [
        (Room(SIZE + 1000, None), SIZE + 1000),
        (Room(SIZE + 1000, 1000), SIZE + 1000),
        (Room(SIZE + 1000, 100), SIZE + 100),
    ],
)
def test_what_others_have_filled_is_no_capacity(room: Room, capacity: int) -> None:
    rig = Rig()
    rig.staged_dataset()
    assert eviction.capacity(room, rig.ledger.inventory.usage()) == capacity
