"""What every ledger promises of jobs that wait for staging space: a line, some overtaking, no starvation."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scicat_retriever.domain.errors import QuotaExceeded
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.ports.claims import PlaceInLine
from scicat_retriever.ports.jobs import FlowName
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import HOUR, P, Q
from tests.contracts.ledger.space_samples import SILENCE, A, B, C, claim, finish, plan, stage, wish

MOMENT = timedelta(microseconds=1)
AGAIN = FlowName("2", "again")
R, S = DatasetPid("20.500.12345/r"), DatasetPid("20.500.12345/s")


def test_jobs_stand_in_the_order_in_which_they_first_asked_whoever_arrived_first(ledger: Ledger) -> None:
    for name, pid, size in ((A, P, 200), (B, Q, 300), (C, R, 400)):
        wish(ledger, name, {pid: size})
    assert claim(ledger, C, 100) == PlaceInLine(300, 1, 400)
    assert claim(ledger, A, 100) == PlaceInLine(100, 2, 200)
    assert claim(ledger, B, 100) == PlaceInLine(200, 3, 300)
    assert claim(ledger, A, 100) == PlaceInLine(100, 2, 200)
    assert ledger.claims.waiting_jobs() == [(C, 400), (A, 200), (B, 300)]
    usage = ledger.inventory.usage()
    assert (usage.waiting_jobs, usage.waiting) == (3, 900)


def test_a_clock_that_goes_back_lets_nobody_in_before_those_in_line(rig: Rig) -> None:
    claim(rig.ledger, wish(rig.ledger, A, {P: 200}), 100)
    rig.clock.advance(-99 * HOUR)
    claim(rig.ledger, wish(rig.ledger, B, {Q: 200}), 100)
    assert [name for name, _ in rig.ledger.claims.waiting_jobs()] == [A, B]


def in_line(ledger: Ledger, needed: int = 60) -> None:
    """Job A waits for that much in a room of 100, of which 60 are taken."""
    claim(ledger, wish(ledger, JobId("first"), {S: 60}), 100)
    assert not claim(ledger, wish(ledger, A, {P: needed}), 100).granted


def test_who_leaves_room_for_those_before_it_goes_ahead(ledger: Ledger) -> None:
    in_line(ledger)
    assert claim(ledger, wish(ledger, B, {Q: 40}), 100) == PlaceInLine(0, 0, 40)


def test_who_would_leave_no_room_for_one_before_it_waits_although_there_is_space(ledger: Ledger) -> None:
    in_line(ledger, 61)
    assert claim(ledger, wish(ledger, B, {Q: 40}), 100) == PlaceInLine(0, 2, 40)
    assert claim(ledger, wish(ledger, C, {R: 39}), 100).granted


def test_all_that_went_ahead_counts_together_also_when_it_is_gone(ledger: Ledger) -> None:
    in_line(ledger)
    claim(ledger, wish(ledger, B, {Q: 30}), 100)
    finish(ledger, B)
    ledger.claims.end_idle()
    assert claim(ledger, wish(ledger, C, {R: 11}), 100) == PlaceInLine(0, 2, 11)
    ledger.claims.note_sizes(C, {R: 10})
    assert claim(ledger, C, 100).granted


def test_what_a_job_has_staged_or_claimed_already_is_not_taken_from_those_before_it(ledger: Ledger) -> None:
    in_line(ledger)
    stage(ledger, Q, 30)
    wish(ledger, B, {Q: 35, S: 60})
    assert claim(ledger, B, 100) == PlaceInLine(0, 0, 5)
    assert claim(ledger, wish(ledger, C, {R: 5}), 100).granted


def test_each_of_those_before_it_must_have_room(ledger: Ledger) -> None:
    in_line(ledger)
    claim(ledger, wish(ledger, B, {Q: 90}), 100)
    assert claim(ledger, wish(ledger, C, {R: 11}), 100) == PlaceInLine(0, 3, 11)
    ledger.claims.note_sizes(C, {R: 10})
    assert claim(ledger, C, 100).granted


def test_who_is_behind_holds_up_nobody_and_is_not_overtaken(ledger: Ledger) -> None:
    in_line(ledger)
    claim(ledger, wish(ledger, B, {Q: 90}), 100)
    assert claim(ledger, A, 120).granted
    # Of 100 bytes, nothing went ahead of B but what was before it.
    assert claim(ledger, wish(ledger, C, {R: 10}), 130).granted


def test_one_that_needs_nothing_is_held_up_by_nobody(ledger: Ledger) -> None:
    in_line(ledger, 100)
    assert not claim(ledger, wish(ledger, B, {Q: 1}), 100).granted
    assert claim(ledger, wish(ledger, C, {R: 0}), 0).granted


def test_one_that_does_not_ask_for_long_is_passed_over_and_keeps_its_place(rig: Rig) -> None:
    ledger = rig.ledger
    in_line(ledger, 100)
    wish(ledger, B, {Q: 40})
    rig.clock.advance(SILENCE)
    assert claim(ledger, B, 100) == PlaceInLine(0, 2, 40)
    rig.clock.advance(MOMENT)
    assert claim(ledger, wish(ledger, C, {R: 200}), 100) == PlaceInLine(160, 2, 200)
    assert claim(ledger, wish(ledger, JobId("d"), {DatasetPid("d"): 1}), 300).granted
    assert [name for name, _ in ledger.claims.waiting_jobs()] == [A, B, C]
    assert claim(ledger, A, 100) == PlaceInLine(61, 1, 100)
    assert claim(ledger, C, 100) == PlaceInLine(161, 3, 200)


def test_who_went_ahead_of_a_silent_one_counts_when_it_asks_again(rig: Rig) -> None:
    in_line(rig.ledger)
    rig.clock.advance(SILENCE + MOMENT)
    assert claim(rig.ledger, wish(rig.ledger, B, {Q: 30}), 100).granted
    finish(rig.ledger, B)
    rig.ledger.claims.end_idle()
    claim(rig.ledger, A, 100)
    assert claim(rig.ledger, wish(rig.ledger, C, {R: 11}), 100) == PlaceInLine(0, 2, 11)


def test_one_that_asked_by_a_clock_that_went_back_since_holds_up_nobody_for_long(rig: Rig) -> None:
    in_line(rig.ledger, 100)
    rig.clock.advance(-99 * HOUR)
    assert claim(rig.ledger, wish(rig.ledger, B, {Q: 10}), 100).granted
    claim(rig.ledger, A, 100)
    assert not claim(rig.ledger, wish(rig.ledger, C, {R: 10}), 100).granted


def test_a_job_that_got_its_space_is_out_of_the_line(ledger: Ledger) -> None:
    in_line(ledger, 100)
    assert claim(ledger, A, 160).granted
    assert [name for name, _ in ledger.claims.waiting_jobs()] == []
    assert ledger.inventory.usage().waiting_jobs == 0
    assert claim(ledger, wish(ledger, B, {Q: 50}), 210).granted


@pytest.mark.parametrize("how", ["ended", "retried"])
def test_a_job_that_ends_leaves_the_line(ledger: Ledger, how: str) -> None:
    in_line(ledger, 100)
    claim(ledger, wish(ledger, B, {Q: 100}), 100)
    ledger.jobs.move(A, JobState.UNSUCCESSFUL)
    if how == "retried":
        ledger.jobs.retry(A, AGAIN)
    assert ledger.claims.waiting_jobs() == [(B, 100)]
    if how == "retried":
        assert claim(ledger, A, 100) == PlaceInLine(60, 2, 100)


def test_a_restarted_job_keeps_its_place_and_what_went_ahead_of_it(ledger: Ledger) -> None:
    in_line(ledger)
    claim(ledger, wish(ledger, B, {Q: 30}), 100)
    claim(ledger, wish(ledger, C, {R: 90}), 100)
    ledger.job_flows.restart(A, AGAIN, 1)
    assert ledger.claims.waiting_jobs() == [(A, 60), (C, 90)]
    assert claim(ledger, A, 100) == PlaceInLine(50, 1, 60)
    # 30 of 40 bytes went ahead of it already.
    finish(ledger, B)
    ledger.claims.end_idle()
    assert claim(ledger, wish(ledger, JobId("d"), {DatasetPid("d"): 11}), 100) == PlaceInLine(0, 3, 11)


@pytest.mark.parametrize("waited", [False, True])
def test_a_job_that_gives_its_space_back_claims_it_at_its_old_place(rig: Rig, waited: bool) -> None:
    ledger = rig.ledger
    wish(ledger, A, {P: 60})
    if waited:
        claim(ledger, A, 50)
    claim(ledger, A, 60)
    rig.clock.advance(MOMENT)
    claim(ledger, wish(ledger, B, {Q: 60}), 100)
    ledger.claims.give_back(A, P)
    assert ledger.claims.waiting_jobs() == [(A, 0), (B, 60)]
    ledger.claims.end_idle()
    assert claim(ledger, A, 50) == PlaceInLine(10, 1, 60)
    assert ledger.claims.waiting_jobs() == [(A, 60), (B, 60)]


def test_who_is_refused_for_its_quota_is_not_in_line(ledger: Ledger) -> None:
    with pytest.raises(QuotaExceeded):
        claim(ledger, wish(ledger, A, {P: 200}), 100, quota=199)
    assert ledger.claims.waiting_jobs() == []


def test_a_job_in_line_may_need_less_by_and_by(ledger: Ledger) -> None:
    wish(ledger, A, {P: 60})
    claim(ledger, wish(ledger, B, {P: 60, Q: 100}), 100)
    assert claim(ledger, A, 100) == PlaceInLine(0, 2, 60)
    assert claim(ledger, A, 220).granted
    assert claim(ledger, B, 100) == PlaceInLine(60, 1, 100)
    assert ledger.claims.waiting_jobs() == [(B, 100)]
    # What failed for the job is not waited for.
    ledger.jobs.move_dataset(B, Q, DatasetState.FAILED)
    assert claim(ledger, B, 100) == PlaceInLine(0, 0, 0)


@pytest.mark.parametrize("size", [50, 60, 100])
def test_a_large_job_is_not_starved_by_a_stream_of_small_ones(rig: Rig, size: int) -> None:
    """Each hour four jobs arrive that take a quarter of the space each for three hours: more than there is."""
    ledger, total, asks_at = rig.ledger, 100, 2
    large, before = JobId("large"), set[JobId]()
    under_way: dict[JobId, int] = {}
    waiting: list[JobId] = []
    for hour in range(30):
        for name in [name for name, end in under_way.items() if end <= hour]:
            finish(ledger, name)
            del under_way[name]
        ledger.claims.end_idle()
        if hour == asks_at:
            before = {*under_way, *waiting}
        for number in range(4):
            name = JobId(f"{hour}-{number}")
            waiting.append(wish(ledger, name, {DatasetPid(name): 25}))
        if hour == asks_at:
            waiting.append(wish(ledger, large, {DatasetPid("large"): size}))
        # Whoever came last asks first: nobody has its space for having been quick.
        for name in reversed(list(waiting)):
            if claim(ledger, name, total, silence=2 * HOUR).granted:
                waiting.remove(name)
                under_way[name] = hour + 3
        assert ledger.inventory.usage().claimed <= total
        if large in under_way:
            break
        # As soon as all that was before it is gone, it has its space.
        assert hour < asks_at or before & {*under_way, *waiting}
        rig.clock.advance(HOUR)
    assert large in under_way


def test_jobs_of_the_same_datasets_wait_for_them_once(ledger: Ledger) -> None:
    wish(ledger, A, {P: 60})
    wish(ledger, B, {P: 60})
    assert claim(ledger, A, 50) == PlaceInLine(10, 1, 60)
    assert claim(ledger, B, 50) == PlaceInLine(10, 2, 60)
    assert claim(ledger, A, 60).granted
    assert claim(ledger, B, 60) == PlaceInLine(0, 0, 0)


def test_a_dataset_that_was_planned_larger_than_noted_needs_as_much(ledger: Ledger) -> None:
    plan(ledger, P, 40, 50)
    assert claim(ledger, wish(ledger, A, {P: 60}), 80) == PlaceInLine(10, 1, 90)
