"""What every ledger promises of eviction: what nobody pins or uses goes when its space is needed, nothing else."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest

from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState, LifecycleWord
from scicat_retriever.ports.cache import EvictionOrder
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.reports import Subject
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import HOUR, START, P, Q, bring_to, key
from tests.contracts.ledger.space_samples import plan, stage

LRU, LARGEST = EvictionOrder.LEAST_RECENTLY_USED, EvictionOrder.LARGEST
State = DatablockState
REASON = "its space was needed"
MOMENT = timedelta(microseconds=1)


def record(ledger: Ledger, number: int = 0) -> DatablockRecord:
    found = ledger.datablocks.get(key(number))
    assert found is not None
    return found


def cached(ledger: Ledger, order: EvictionOrder = LRU, limit: int = 9) -> list[str]:
    return [each.key.id for each in ledger.cache.datablocks(order, START + 99 * HOUR, limit)]


def test_the_least_recently_used_goes_first(rig: Rig) -> None:
    for number in (2, 0, 1):
        plan(rig.ledger, P, 10, 30, 20)
        bring_to(rig.ledger, key(number), State.STAGED)
        rig.clock.advance(HOUR)
    assert cached(rig.ledger) == ["block-2", "block-0", "block-1"]
    rig.ledger.cache.note_used(P, key(2))
    assert cached(rig.ledger) == ["block-0", "block-1", "block-2"]
    assert cached(rig.ledger, limit=1) == ["block-0"]


def test_the_largest_goes_first_and_of_the_same_size_the_least_recently_used(rig: Rig) -> None:
    stage(rig.ledger, P, 10, 30, 20, 30)
    rig.clock.advance(HOUR)
    rig.ledger.cache.note_used(P, key(1))
    assert cached(rig.ledger, LARGEST) == ["block-3", "block-1", "block-2", "block-0"]
    assert cached(rig.ledger, LARGEST, 1) == ["block-3"]


def test_what_was_used_since_then_does_not_go(rig: Rig) -> None:
    stage(rig.ledger, P, 10)
    rig.clock.advance(HOUR)
    rig.ledger.cache.note_used(P)
    used = START + HOUR
    for order in EvictionOrder:
        assert rig.ledger.cache.datablocks(order, used - MOMENT, 9) == []
        assert len(rig.ledger.cache.datablocks(order, used, 9)) == 1
    assert not rig.ledger.cache.evict(key(), used - MOMENT, REASON)
    assert record(rig.ledger).state is State.STAGED
    assert rig.ledger.cache.evict(key(), used, REASON)


def test_moments_are_told_apart_whatever_their_zone(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    tokyo = timezone(timedelta(hours=9))
    assert ledger.cache.datablocks(LRU, (START - MOMENT).astimezone(tokyo), 9) == []
    assert len(ledger.cache.datablocks(LRU, START.astimezone(tokyo), 9)) == 1


def test_a_dataset_is_used_as_a_whole_or_by_its_datablocks(rig: Rig) -> None:
    stage(rig.ledger, P, 10, 10)
    stage(rig.ledger, Q, 10)
    now = rig.clock.advance(HOUR)
    rig.ledger.cache.note_used(P, key(1))
    assert [r.used_at for r in rig.ledger.datablocks.of(P)] == [START, now]
    now = rig.clock.advance(HOUR)
    rig.ledger.cache.note_used(P)
    assert [r.used_at for r in rig.ledger.datablocks.of(P)] == [now, now]
    assert [r.used_at for r in rig.ledger.datablocks.of(Q)] == [START]


def test_the_time_of_use_never_goes_back(rig: Rig) -> None:
    stage(rig.ledger, P, 10)
    rig.clock.advance(-HOUR)
    rig.ledger.cache.note_used(P)
    assert record(rig.ledger).used_at == START


@pytest.mark.parametrize("state", [state for state in State if state is not State.STAGED])
def test_what_is_not_staged_is_neither_used_nor_evicted(ledger: Ledger, state: DatablockState) -> None:
    plan(ledger, P, 10)
    bring_to(ledger, key(), state)
    before = record(ledger)
    ledger.cache.note_used(P)
    assert cached(ledger) == []
    assert not ledger.cache.evict(key(), START + 99 * HOUR, REASON)
    assert record(ledger) == before


def test_what_is_pinned_does_not_go(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    ledger.pins.pin(P, "ada", START)
    for order in EvictionOrder:
        assert cached(ledger, order) == []
    assert not ledger.cache.evict(key(), START + 99 * HOUR, REASON)
    ledger.pins.unpin("ada")
    assert cached(ledger) == ["block-0"]
    assert ledger.cache.evict(key(), START, REASON)


def test_what_was_pinned_since_it_was_looked_at_is_not_evicted(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    (seen,) = ledger.cache.datablocks(LRU, START, 9)
    ledger.pins.pin(P, "ada", START + HOUR)
    assert not ledger.cache.evict(seen.key, START, REASON)


def test_what_is_evicted_is_released_once_and_leaves_its_files_to_be_removed(ledger: Ledger) -> None:
    stage(ledger, P, 10, 20)
    assert ledger.cache.evict(key(1), START, REASON)
    assert not ledger.cache.evict(key(1), START, REASON)
    found = record(ledger, 1)
    assert (found.state, found.reason, found.partial) == (State.RELEASED, REASON, "token")
    assert ledger.inventory.left_behind(9) == [key(1)]
    usage = ledger.inventory.usage()
    assert (usage.staged, usage.cached, usage.datablocks) == (30, 10, 1)
    ledger.inventory.forget_files(key(1))
    assert ledger.inventory.usage().staged == 10
    assert record(ledger, 1).partial == ""


TELL = LifecycleUpdate(LifecycleWord.NOTHING, {"message": REASON}, retrievable=True)


def told(ledger: Ledger, pid: DatasetPid = P) -> list[object]:
    return [report.content for report in ledger.reports.find(Subject.dataset(pid))]


def test_with_the_first_datablock_that_goes_scicat_is_told_of_its_dataset_once(ledger: Ledger) -> None:
    stage(ledger, P, 10, 20, 30)
    for number in (1, 0, 0, 2):
        ledger.cache.evict(key(number), START, REASON, TELL)
    assert told(ledger) == [TELL]
    assert told(ledger, Q) == []


def test_of_a_dataset_that_was_not_whole_nothing_is_told(ledger: Ledger) -> None:
    plan(ledger, P, 10, 20)
    bring_to(ledger, key(0), State.STAGED)
    assert ledger.cache.evict(key(0), START, REASON, TELL)
    assert told(ledger) == []


def test_of_a_datablock_that_is_no_longer_listed_nothing_is_told(ledger: Ledger) -> None:
    stage(ledger, P, 10, 20)
    plan(ledger, P, 10)
    assert ledger.cache.evict(key(1), START, REASON, TELL)
    assert told(ledger) == []
    assert ledger.cache.evict(key(0), START, REASON, TELL)
    assert told(ledger) == [TELL]


def test_what_is_not_evicted_or_not_to_be_told_is_not_told(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    stage(ledger, Q, 10)
    assert not ledger.cache.evict(key(0), START - MOMENT, REASON, TELL)
    assert ledger.cache.evict(key(0, Q), START, REASON)
    assert ledger.reports.find() == []


def test_a_dataset_that_came_back_is_told_of_again(ledger: Ledger) -> None:
    for size in (10, 11):
        stage(ledger, P, size)
        ledger.cache.evict(key(), START, REASON, TELL)
    assert told(ledger) == [TELL, TELL]


def test_bytes_of_all_that_may_go_are_summed_up(rig: Rig) -> None:
    assert rig.ledger.cache.size(START) == 0
    stage(rig.ledger, P, 10, 20)
    stage(rig.ledger, Q, 40)
    rig.clock.advance(HOUR)
    rig.ledger.cache.note_used(P, key(1))
    assert rig.ledger.cache.size(START - MOMENT) == 0
    assert rig.ledger.cache.size(START) == 50
    assert rig.ledger.cache.size(START + HOUR) == 70
    rig.ledger.pins.pin(Q, "ada", START)
    assert rig.ledger.cache.size(START + HOUR) == 30
    rig.ledger.cache.evict(key(0), START, REASON)
    assert rig.ledger.cache.size(START + HOUR) == 20


def test_an_unknown_datablock_is_not_evicted(ledger: Ledger) -> None:
    assert not ledger.cache.evict(key(7), START, REASON)
    with pytest.raises(TransitionIllegal):
        ledger.cache.withdraw(key(7), REASON)
