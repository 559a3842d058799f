"""The recall planner against an emulated tape library, on a small trace; `bench/recall_planner.py` replays large ones."""

from dataclasses import replace

import pytest

from scicat_retriever.recall_planner.requests import RecallPolicy
from stand_ins.tape.optimum import fewest_mounts
from stand_ins.tape.replay import Replayed, Surroundings, reads, replay
from stand_ins.tape.shape import LibraryShape, Policy
from stand_ins.tape.traces import Trace, TraceShape, trace

AROUND = Surroundings(look_seconds=120.0)
LIBRARY = LibraryShape(drives=2)
POLICY = RecallPolicy(drives=2)


@pytest.fixture(scope="module")
def busy_days() -> Trace:
    shape = TraceShape(
        days=4.0, asks=5000, archives=12_000, tape_bytes=2 * 10**12, campaign_archives=(100, 700), hot=0.05
    )
    return trace(3, shape)


@pytest.fixture(scope="module")
def planned(busy_days: Trace) -> Replayed:
    return replay(busy_days, LIBRARY, POLICY, AROUND)


def test_few_more_tapes_are_mounted_than_by_somebody_who_knows_the_future(
    busy_days: Trace, planned: Replayed
) -> None:
    optimum = fewest_mounts(
        reads(busy_days, AROUND),
        POLICY.mount_age,
        mount_seconds=LIBRARY.mount_seconds,
        bytes_per_second=LIBRARY.bytes_per_second,
        linger=LIBRARY.linger_seconds,
    )
    assert planned.mounts <= 1.1 * optimum


def test_first_come_mounts_five_times_as_many_tapes(busy_days: Trace, planned: Replayed) -> None:
    first_come = replay(busy_days, replace(LIBRARY, policy=Policy.FIFO), None, AROUND)
    assert first_come.recalls == planned.recalls
    assert first_come.mounts >= 5 * planned.mounts


def test_waits_stay_under_the_bound(planned: Replayed) -> None:
    assert planned.wait(0.99) < POLICY.longest_wait


def test_each_archive_is_read_once_however_many_ask(busy_days: Trace, planned: Replayed) -> None:
    assert planned.recalls < len(busy_days.asks)
    assert planned.reads == planned.recalls


def test_a_trace_is_the_same_for_the_same_seed() -> None:
    shape = TraceShape(days=1.0, asks=300, archives=1000, campaign_archives=(20, 50))
    assert trace(5, shape) == trace(5, shape)
    assert trace(5, shape) != trace(6, shape)
