"""What every ledger promises of pins: who wants which dataset to stay staged, and until when."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from scicat_retriever.domain.errors import JobNotFound
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState, LifecycleWord
from scicat_retriever.ledger.database.schema import jobs, pins, reports
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.jobs import FlowName
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.pins import Pin
from scicat_retriever.ports.reports import Subject
from scicat_retriever.ports.staging_area import Room
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import FAILURE, FLOW, HOUR, ODD, START, P, Q, bring_to, job, key, tell_all
from tests.contracts.ledger.space_samples import A, B, claim, finish, owners, plan, stage, wish

MOMENT = timedelta(microseconds=1)
LATER = START + HOUR
State = DatablockState


def pinned(ledger: Ledger, pid: DatasetPid = P) -> list[bool]:
    return [record.pinned for record in ledger.datablocks.of(pid)]


def retrieved(ledger: Ledger, name: JobId = A, *pids: DatasetPid, told: bool = True) -> None:
    """A job that pinned what was staged, and ended well."""
    wish(ledger, name, dict.fromkeys(pids or (P,), 0))
    claim(ledger, name, 10_000)
    ledger.jobs.move(name, JobState.IN_PROGRESS)
    for pid in pids or (P,):
        ledger.jobs.move_dataset(name, pid, DatasetState.RETRIEVED)
    ledger.pins.keep_for_job(name, LATER)
    ledger.jobs.move(name, JobState.SUCCESSFUL)
    if told:
        tell_all(ledger, Subject.job(name))


def test_a_person_pins_what_is_staged_of_a_dataset(ledger: Ledger) -> None:
    stage(ledger, P, 10, 20)
    stage(ledger, Q, 30)
    assert ledger.pins.pin(P, ODD, LATER) == 2
    ((number, pin),) = ledger.pins.find()
    assert (number > 0, pin) == (True, Pin(P, ODD, False, None, LATER, START))
    assert (pinned(ledger), pinned(ledger, Q)) == ([True, True], [False])
    usage = ledger.inventory.usage()
    assert (usage.pinned, usage.cached, usage.datablocks) == (30, 30, 3)


def test_where_nothing_is_staged_nothing_is_pinned(ledger: Ledger) -> None:
    plan(ledger, P, 10)
    assert ledger.pins.pin(P, "ada", LATER) == 0
    assert ledger.pins.pin(Q, "ada", LATER) == 0
    assert ledger.pins.find() == []


def test_who_pins_twice_keeps_the_later_time(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    for hours in (2, 5, 3):
        ledger.pins.pin(P, "ada", START + hours * HOUR)
    assert [pin.until for _, pin in ledger.pins.find()] == [START + 5 * HOUR]


def test_what_becomes_staged_while_its_dataset_is_pinned_is_pinned(ledger: Ledger) -> None:
    first, second = plan(ledger, P, 10, 20)
    bring_to(ledger, first, State.STAGED)
    ledger.pins.pin(P, "ada", LATER)
    assert pinned(ledger) == [True, False]
    bring_to(ledger, second, State.STAGED)
    assert pinned(ledger) == [True, True]


@pytest.mark.parametrize("state", [State.PLANNED, State.RELEASED])
def test_what_is_no_longer_staged_is_not_pinned(ledger: Ledger, state: DatablockState) -> None:
    (block,) = stage(ledger, P, 10)
    ledger.pins.pin(P, "ada", LATER)
    ledger.datablocks.move(block, state)
    assert pinned(ledger) == [False]
    assert ledger.inventory.usage().pinned == 0
    assert owners(ledger) == ["ada"]


def test_a_dataset_stays_pinned_until_the_last_pin_ends(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    for owner in ("ada", "bob"):
        ledger.pins.pin(P, owner, LATER)
    retrieved(ledger)
    for owner, left in (("ada", True), (A, True), ("bob", False)):
        assert ledger.pins.unpin(owner) == [P]
        assert pinned(ledger) == [left]
    assert ledger.pins.find() == []


def test_what_somebody_pins_is_promised_to_him(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    stage(ledger, Q, 10)
    assert not ledger.pins.is_promised(key(0))
    ledger.pins.pin(P, "ada", LATER)
    assert ledger.pins.is_promised(key(0))
    assert not ledger.pins.is_promised(key(0, Q))
    ledger.pins.unpin("ada")
    assert not ledger.pins.is_promised(key(0))


def test_what_a_job_pins_is_promised_to_it_once_it_is_retrieved_for_it(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    wish(ledger, A, {P: 0})
    claim(ledger, A, 10_000)
    ledger.jobs.move(A, JobState.IN_PROGRESS)
    ledger.jobs.move_dataset(A, P, DatasetState.STARTED)
    assert not ledger.pins.is_promised(key(0))
    ledger.jobs.move_dataset(A, P, DatasetState.RETRIEVED)
    assert ledger.pins.is_promised(key(0))
    ledger.pins.keep_for_job(A, LATER)
    ledger.jobs.move(A, JobState.SUCCESSFUL)
    assert ledger.pins.is_promised(key(0))
    ledger.pins.unpin(A)
    assert not ledger.pins.is_promised(key(0))


def test_an_owner_ends_the_pin_on_one_dataset_or_all(ledger: Ledger) -> None:
    for pid in (P, Q):
        stage(ledger, pid, 10)
        ledger.pins.pin(pid, "ada", LATER)
    assert ledger.pins.unpin("ada", P) == [P]
    assert ledger.pins.unpin("ada", P) == []
    assert ledger.pins.unpin("ada") == [Q]
    assert ledger.pins.unpin("nobody") == []
    assert (pinned(ledger), pinned(ledger, Q)) == ([False], [False])


def test_a_job_and_a_person_of_the_same_name_have_a_pin_each(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    retrieved(ledger)
    ledger.pins.pin(P, A, LATER)
    assert [(pin.owner, pin.by_job) for _, pin in ledger.pins.find()] == [(A, True), (A, False)]
    assert ledger.pins.unpin(A) == [P]
    assert ledger.pins.find() == []


def test_a_job_that_has_not_ended_keeps_its_pins(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    claim(ledger, wish(ledger, A, {P: 10}), 100)
    ledger.pins.pin(P, A, LATER)
    assert ledger.pins.unpin(A) == [P]
    assert [(pin.owner, pin.by_job) for _, pin in ledger.pins.find()] == [(A, True)]
    assert pinned(ledger) == [True]


def test_a_job_s_pins_last_from_its_end_until_a_time_and_are_given(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 10, Q: 10}), 100)
    assert [pin.until for _, pin in ledger.pins.find()] == [None, None]
    stage(ledger, P, 10)
    stage(ledger, Q, 10)
    ledger.jobs.move_dataset(A, P, DatasetState.RETRIEVED)
    ledger.jobs.move_dataset(A, Q, DatasetState.FAILED, [FAILURE])
    assert ledger.pins.keep_for_job(A, LATER) == {P: LATER}
    assert [(pin.pid, pin.until) for _, pin in ledger.pins.find()] == [(P, LATER)]
    assert (pinned(ledger), pinned(ledger, Q)) == ([True], [False])


def test_a_job_s_pins_are_extended_and_never_shortened(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    retrieved(ledger)
    assert ledger.pins.keep_for_job(A, START) == {P: LATER}
    assert ledger.pins.keep_for_job(A, LATER + HOUR) == {P: LATER + HOUR}
    assert [pin.until for _, pin in ledger.pins.find()] == [LATER + HOUR]


def test_pins_that_have_ended_are_not_made_again_by_extending(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    retrieved(ledger)
    ledger.pins.unpin(A)
    assert ledger.pins.keep_for_job(A, LATER) == {}
    assert ledger.pins.find() == []


def test_pins_of_an_unknown_job_cannot_be_kept(ledger: Ledger) -> None:
    with pytest.raises(JobNotFound):
        ledger.pins.keep_for_job(A, LATER)


def test_a_pin_lapses_when_its_time_is_over(rig: Rig) -> None:
    stage(rig.ledger, P, 10)
    rig.ledger.pins.pin(P, "ada", LATER)
    retrieved(rig.ledger)
    assert rig.ledger.pins.lapse(LATER - MOMENT, 9) == 0
    assert pinned(rig.ledger) == [True]
    assert rig.ledger.pins.lapse(LATER, 9) == 2
    assert (rig.ledger.pins.find(), pinned(rig.ledger)) == ([], [False])
    assert rig.ledger.pins.lapse(LATER, 9) == 0


def test_pins_lapse_as_many_as_asked_for_the_oldest_first(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    for owner in ("ada", "bob", "cid"):
        ledger.pins.pin(P, owner, LATER)
    assert ledger.pins.lapse(LATER, 2) == 2
    assert owners(ledger) == ["cid"]
    assert pinned(ledger) == [True]


@pytest.mark.parametrize("state", [JobState.SUBMITTED, JobState.IN_PROGRESS])
def test_pins_of_a_job_that_has_not_ended_stay(ledger: Ledger, state: JobState) -> None:
    stage(ledger, P, 10)
    claim(ledger, wish(ledger, A, {P: 10}), 100)
    ledger.jobs.move(A, state)
    tell_all(ledger, Subject.job(A))
    assert ledger.pins.lapse(START + 999 * HOUR, 9) == 0


def test_pins_of_a_job_whose_end_waits_to_be_told_stay(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    retrieved(ledger, told=False)
    assert ledger.pins.lapse(LATER, 9) == 0
    tell_all(ledger, Subject.job(A))
    assert ledger.pins.lapse(LATER, 9) == 1


def test_pins_of_a_job_whose_end_is_parked_lapse(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    retrieved(ledger, told=False)
    for report in ledger.reports.find(Subject.job(A)):
        ledger.reports.park(report.number, FAILURE)
    assert ledger.pins.lapse(LATER, 9) == 1


def test_what_waits_to_be_told_of_others_holds_up_no_pin(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    retrieved(ledger, JobId(P))
    ledger.reports.tell_dataset(P, LifecycleUpdate(LifecycleWord.STARTED))
    wish(ledger, B, {P: 10})
    ledger.jobs.move(B, JobState.UNSUCCESSFUL)
    assert ledger.pins.lapse(LATER, 9) == 1


@pytest.mark.parametrize("has_space", [False, True])
def test_pins_of_a_retried_job_stay_once_it_has_its_space_and_else_as_long_as_its_links_are_good(
    ledger: Ledger, has_space: bool
) -> None:
    stage(ledger, P, 10)
    retrieved(ledger)
    ledger.datablocks.move(key(), State.RELEASED)
    ledger.jobs.retry(A, FLOW)
    if has_space:
        claim(ledger, A, 100)
    pinned_until = ledger.pins.find(owner=A)[0][1].until
    assert pinned_until is not None
    assert ledger.pins.lapse(pinned_until - timedelta(microseconds=1), 9) == 0
    assert ledger.pins.lapse(LATER, 9) == (0 if has_space else 1)


def test_thousands_of_pins_and_reports_are_gone_through_in_no_time(sql_ledger: SqlLedger) -> None:
    """It takes milliseconds where each job is looked up, and far longer where all reports are gone through for each."""
    names = [JobId(f"job {number}") for number in range(3000)]
    sql_ledger.jobs.add_all([(job(name, P), FLOW) for name in names])
    with sql_ledger.database.writing() as connection:
        rows = [{"kind": "job", "name": name, "told": "finishedSuccessful"} for name in names]
        rest = {
            "created_at": START,
            "due_at": START,
            "attempts": 0,
            "failure": (),
            "parked": False,
            "teller": "",
        }
        connection.execute(reports.insert(), [row | rest for row in rows])
        pin = {"pid": P, "by_job": True, "bytes": 0, "created_at": START}
        connection.execute(pins.insert(), [pin | {"owner": name} for name in names])
        connection.execute(jobs.update().values(state=JobState.SUCCESSFUL))
    begun = time.thread_time()
    assert sql_ledger.pins.lapse(LATER, 100) == 0
    assert time.thread_time() - begun < 0.3


def test_a_pin_without_an_end_lapses_when_its_job_has_ended_and_that_was_told(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    claim(ledger, wish(ledger, A, {P: 10}), 100)
    finish(ledger, A, P, told=False)
    assert ledger.pins.lapse(START, 9) == 0
    tell_all(ledger, Subject.job(A))
    assert ledger.pins.lapse(START, 9) == 1


def test_pins_are_listed_by_dataset_and_owner_and_paged_by_number(ledger: Ledger) -> None:
    for pid in (P, Q):
        stage(ledger, pid, 10)
        for owner in ("ada", "bob"):
            ledger.pins.pin(pid, owner, LATER)
    listed = ledger.pins.find()
    assert [(pin.pid, pin.owner) for _, pin in listed] == [(P, "ada"), (P, "bob"), (Q, "ada"), (Q, "bob")]
    numbers = [number for number, _ in listed]
    assert numbers == sorted(set(numbers))
    assert ledger.pins.find(after=numbers[0], limit=2) == listed[1:3]
    assert ledger.pins.find(Q, "ada") == [listed[2]]
    assert ledger.pins.find(owner="bob", after=numbers[1]) == [listed[3]]


def test_the_number_of_a_pin_that_has_ended_is_not_used_again(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    ledger.pins.pin(P, "ada", LATER)
    ((first, _),) = ledger.pins.find()
    ledger.pins.unpin("ada")
    ledger.pins.pin(P, "ada", LATER)
    ((second, _),) = ledger.pins.find()
    assert second > first


def test_a_restarted_job_keeps_its_pins_and_claims_them_once(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    claim(ledger, wish(ledger, A, {P: 10}), 100)
    before = ledger.pins.find()
    ledger.job_flows.restart(A, FlowName("2", "again"), 1)
    claim(ledger, A, 100)
    assert ledger.pins.find() == before


def test_what_is_damaged_is_withdrawn_although_it_is_pinned(ledger: Ledger) -> None:
    (block,) = stage(ledger, P, 10)
    retrieved(ledger, A)
    ledger.pins.pin(P, "ada", LATER)
    for _ in range(2):
        ledger.cache.withdraw(block, "its bytes differ")
    found = ledger.datablocks.get(block)
    assert found is not None
    assert (found.state, found.reason, found.pinned) == (State.RELEASED, "its bytes differ", False)
    assert ledger.inventory.left_behind(9) == [block]
    assert owners(ledger) == [A, "ada"]


@pytest.mark.parametrize("state", [s for s in State if s is not State.STAGED])
def test_what_is_not_staged_is_not_withdrawn(ledger: Ledger, state: DatablockState) -> None:
    stage(ledger, P, 10)
    retrieved(ledger)
    ledger.datablocks.move(key(), State.PLANNED)
    bring_to(ledger, key(), state)
    before = ledger.datablocks.get(key())
    ledger.cache.withdraw(key(), "its bytes differ")
    assert ledger.datablocks.get(key()) == before


def test_jobs_that_have_links_to_what_is_not_there_are_to_be_mended_the_oldest_first(ledger: Ledger) -> None:
    blocks = stage(ledger, P, 10, 10)
    stage(ledger, Q, 10)
    for name, pid in ((B, P), (A, P), (JobId("c"), Q)):
        retrieved(ledger, name, pid)
    claim(ledger, wish(ledger, JobId("under way"), {Q: 10}), 100)
    ledger.pins.pin(P, "ada", LATER)
    ledger.claims.end_idle()
    assert ledger.pins.jobs_to_mend(9) == []
    ledger.cache.withdraw(blocks[1], "its bytes differ")
    assert ledger.pins.jobs_to_mend(9) == [B, A]
    assert ledger.pins.jobs_to_mend(1) == [B]


def test_a_job_that_was_retried_for_what_is_not_there_is_mended(ledger: Ledger) -> None:
    (block,) = stage(ledger, P, 10)
    for name in (A, B):
        retrieved(ledger, name)
    ledger.claims.end_idle()
    ledger.cache.withdraw(block, "its bytes differ")
    ledger.jobs.retry(A, FLOW)
    assert ledger.pins.jobs_to_mend(9) == [B]
    claim(ledger, A, 100)
    # The dataset is on its way: B's links will be good again.
    assert ledger.pins.jobs_to_mend(9) == []
    ledger.jobs.move(A, JobState.UNSUCCESSFUL, "", FAILURE)
    ledger.claims.end_idle()
    assert ledger.pins.jobs_to_mend(9) == [B]


def test_a_job_whose_pin_has_ended_or_whose_dataset_failed_has_no_links_to_mend(ledger: Ledger) -> None:
    first, second = stage(ledger, P, 10)[0], stage(ledger, Q, 10)[0]
    retrieved(ledger, A)
    claim(ledger, wish(ledger, B, {Q: 10}), 100)
    finish(ledger, B)
    ledger.claims.end_idle()
    ledger.cache.withdraw(first, "its bytes differ")
    ledger.cache.withdraw(second, "its bytes differ")
    assert ledger.pins.jobs_to_mend(9) == [A]
    ledger.pins.unpin(A)
    assert ledger.pins.jobs_to_mend(9) == []


def test_a_job_for_more_datasets_than_fit_one_statement_pins_them_all(ledger: Ledger) -> None:
    pids = [DatasetPid(f"20.500.12345/{number}") for number in range(1201)]
    wish(ledger, A, dict.fromkeys(pids, 1))
    stage(ledger, pids[-1], 1)
    assert ledger.claims.for_job(A, Room(1201, None), silence=HOUR).needed == 1200
    assert len(ledger.pins.find()) == 1201
    assert pinned(ledger, pids[-1]) == [True]
    finish(ledger, A)
    assert len(ledger.pins.unpin(A)) == 1201
    assert pinned(ledger, pids[-1]) == [False]
