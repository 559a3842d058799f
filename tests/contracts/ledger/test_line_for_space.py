"""What every ledger promises of jobs that wait for staging space: a line, overtaking for a while, no starvation."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.ports.ledger import FlowName, Ledger
from scicat_retriever.ports.space import Line
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import HOUR, P, Q
from tests.contracts.ledger.space_samples import WAIT, A, B, C, claim, finish, plan, wish

MOMENT = timedelta(microseconds=1)
R, S = DatasetPid("20.500.12345/r"), DatasetPid("20.500.12345/s")


def test_jobs_stand_in_the_order_of_their_arrival_whoever_asked_first(ledger: Ledger) -> None:
    for name, pid, size in ((A, P, 200), (B, Q, 300), (C, R, 400)):
        wish(ledger, name, {pid: size})
    assert claim(ledger, C, 100) == Line(300, 1, 400)
    assert claim(ledger, A, 100) == Line(100, 1, 200)
    assert claim(ledger, B, 100) == Line(200, 2, 300)
    assert claim(ledger, C, 100) == Line(300, 3, 400)
    assert ledger.waiting_jobs() == [(A, 200), (B, 300), (C, 400)]
    usage = ledger.usage()
    assert (usage.waiting_jobs, usage.waiting) == (3, 900)


def test_a_small_job_may_overtake_a_large_one_for_a_while(rig: Rig) -> None:
    claim(rig.ledger, wish(rig.ledger, A, {P: 200}), 100)
    rig.clock.advance(WAIT)
    assert claim(rig.ledger, wish(rig.ledger, B, {Q: 50}), 100).granted


def test_nobody_overtakes_one_that_has_waited_for_long(rig: Rig) -> None:
    claim(rig.ledger, wish(rig.ledger, A, {P: 200}), 100)
    rig.clock.advance(WAIT + MOMENT)
    assert claim(rig.ledger, wish(rig.ledger, B, {Q: 50}), 100) == Line(0, 2, 50)
    assert rig.ledger.usage().claimed == 0


def test_who_came_later_holds_up_nobody(rig: Rig) -> None:
    wish(rig.ledger, A, {P: 50})
    claim(rig.ledger, wish(rig.ledger, B, {Q: 200}), 100)
    rig.clock.advance(2 * WAIT)
    assert claim(rig.ledger, A, 100).granted


def test_one_that_needs_nothing_is_held_up_by_nobody(rig: Rig) -> None:
    claim(rig.ledger, wish(rig.ledger, A, {P: 200}), 100)
    rig.clock.advance(2 * WAIT)
    assert claim(rig.ledger, wish(rig.ledger, B, {Q: 0}), 0).granted


def test_the_wait_counts_from_the_first_time_that_was_in_vain(rig: Rig) -> None:
    wish(rig.ledger, A, {P: 200})
    rig.clock.advance(WAIT)
    claim(rig.ledger, A, 100)
    rig.clock.advance(WAIT)
    claim(rig.ledger, A, 100)
    assert claim(rig.ledger, wish(rig.ledger, B, {Q: 10}), 100).granted
    rig.clock.advance(MOMENT)
    assert not claim(rig.ledger, wish(rig.ledger, C, {R: 10}), 100).granted


def test_a_clock_that_goes_back_lets_nobody_be_overtaken_for_longer(rig: Rig) -> None:
    rig.clock.advance(99 * HOUR)
    claim(rig.ledger, wish(rig.ledger, A, {P: 200}), 100)
    rig.clock.advance(-99 * HOUR)
    claim(rig.ledger, A, 100)
    rig.clock.advance(WAIT + MOMENT)
    assert not claim(rig.ledger, wish(rig.ledger, B, {Q: 10}), 100).granted


def test_a_job_that_got_its_space_is_out_of_the_line(rig: Rig) -> None:
    claim(rig.ledger, wish(rig.ledger, A, {P: 200}), 100)
    rig.clock.advance(2 * WAIT)
    assert claim(rig.ledger, A, 200).granted
    assert rig.ledger.waiting_jobs() == []
    assert claim(rig.ledger, wish(rig.ledger, B, {Q: 50}), 250).granted


@pytest.mark.parametrize("how", ["ended", "restarted", "retried"])
def test_a_job_that_ends_or_has_a_new_flow_leaves_the_line(rig: Rig, how: str) -> None:
    ledger = rig.ledger
    claim(ledger, wish(ledger, A, {P: 200}), 100)
    rig.clock.advance(2 * WAIT)
    if how == "restarted":
        ledger.restart_job(A, FlowName("2", "again"), 1)
    else:
        ledger.move_job(A, JobState.UNSUCCESSFUL)
    if how == "retried":
        ledger.retry_job(A, FlowName("2", "again"))
    assert ledger.waiting_jobs() == []
    assert ledger.usage().waiting_jobs == 0
    assert claim(ledger, wish(ledger, B, {Q: 50}), 100).granted


def test_a_job_in_line_may_need_less_by_and_by(ledger: Ledger) -> None:
    wish(ledger, A, {P: 60})
    claim(ledger, wish(ledger, B, {P: 60, Q: 100}), 100)
    claim(ledger, A, 100)
    assert claim(ledger, B, 100) == Line(60, 1, 100)
    assert ledger.waiting_jobs() == [(B, 100)]
    # What failed for the job is not waited for.
    ledger.move_job_dataset(B, Q, DatasetState.FAILED)
    assert claim(ledger, B, 100) == Line(0, 0, 0)


def test_a_large_job_is_not_starved_by_a_stream_of_small_ones(rig: Rig) -> None:
    """Each hour four jobs arrive that take a quarter of the space each for three hours: more than there is."""
    ledger, total = rig.ledger, 100
    under_way: list[tuple[int, JobId]] = []
    waiting: list[JobId] = []
    large, granted_at, asked_at = JobId("large"), -1, 5
    for hour in range(60):
        for name in [name for end, name in under_way if end <= hour]:
            finish(ledger, name)
        under_way = [each for each in under_way if each[0] > hour]
        ledger.end_idle_claims()
        if hour == asked_at:
            waiting.append(wish(ledger, large, {DatasetPid("large"): 100}))
        for number in range(4):
            name = JobId(f"{hour}-{number}")
            waiting.append(wish(ledger, name, {DatasetPid(name): 25}))
        for name in list(waiting):
            if claim(ledger, name, total, overtaking=6 * HOUR).granted:
                waiting.remove(name)
                under_way.append((hour + 3, name))
        assert ledger.usage().claimed <= total
        if large not in waiting and hour >= asked_at:
            granted_at = hour
            break
        rig.clock.advance(HOUR)
    # It is overtaken for six hours, and then waits for what is under way alone.
    assert asked_at + 6 < granted_at <= asked_at + 6 + 1 + 3


def test_jobs_of_the_same_datasets_wait_for_them_once(ledger: Ledger) -> None:
    wish(ledger, A, {P: 60})
    wish(ledger, B, {P: 60})
    assert claim(ledger, A, 50) == Line(10, 1, 60)
    assert claim(ledger, B, 50) == Line(10, 2, 60)
    assert claim(ledger, A, 60).granted
    assert claim(ledger, B, 60) == Line(0, 0, 0)


def test_a_dataset_that_was_planned_larger_than_noted_needs_as_much(ledger: Ledger) -> None:
    plan(ledger, P, 40, 50)
    assert claim(ledger, wish(ledger, A, {P: 60}), 80) == Line(10, 1, 90)
