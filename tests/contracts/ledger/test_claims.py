"""What every ledger promises of who tells a report, and when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scicat_retriever.domain.states import JobState, LifecycleWord
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.reports import Report, Subject
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import FAILURE, FLOW, HOUR, JOB, START, P, Q, job

STARTED = LifecycleUpdate(LifecycleWord.STARTED)
FAILED = LifecycleUpdate(LifecycleWord.FAILED)
OF_JOB, OF_P, OF_Q = Subject.job(JOB), Subject.dataset(P), Subject.dataset(Q)
CLAIM = timedelta(seconds=5)
MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)
ONE, TWO = "teller-1", "teller-2"


def claim(ledger: Ledger, teller: str = ONE, subject: Subject | None = None) -> Report | None:
    return ledger.reports.claim(teller, CLAIM, subject)


def claimed(ledger: Ledger, teller: str = ONE, subject: Subject | None = None) -> Report:
    report = claim(ledger, teller, subject)
    assert report is not None
    return report


def test_where_nothing_waits_nothing_is_claimed(ledger: Ledger) -> None:
    assert claim(ledger) is None


def test_a_claimed_report_is_given_as_it_is(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    assert [claimed(ledger)] == ledger.reports.find()


def test_a_claimed_report_is_nobody_elses(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    claimed(ledger)
    assert claim(ledger, TWO) is None
    assert claim(ledger, TWO, OF_P) is None


def test_nor_is_it_claimed_twice_by_the_same_teller(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    claimed(ledger)
    assert claim(ledger) is None


def test_the_next_report_of_a_subject_waits_for_the_first(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    ledger.reports.tell_dataset(P, FAILED)
    first = claimed(ledger)
    assert claim(ledger, TWO) is None
    ledger.reports.delivered(first.number)
    assert claimed(ledger, TWO).content == FAILED


def test_the_next_report_of_a_subject_waits_though_the_first_is_not_due(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    ledger.reports.tell_dataset(P, FAILED)
    ledger.reports.postpone(claimed(ledger).number, FAILURE, START + HOUR)
    assert claim(ledger) is None


def test_reports_of_other_subjects_do_not_wait(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    ledger.reports.tell_dataset(Q, STARTED)
    assert {claimed(ledger).subject, claimed(ledger, TWO).subject} == {OF_P, OF_Q}


def test_what_has_been_due_for_longest_comes_first(rig: Rig) -> None:
    rig.ledger.reports.tell_dataset(P, STARTED)
    rig.ledger.reports.tell_dataset(Q, STARTED)
    rig.ledger.reports.postpone(claimed(rig.ledger, subject=OF_P).number, FAILURE, START + HOUR)
    rig.clock.advance(2 * HOUR)
    assert [claimed(rig.ledger).subject for _ in range(2)] == [OF_Q, OF_P]


def test_a_claim_ends_by_itself(rig: Rig) -> None:
    rig.ledger.reports.tell_dataset(P, STARTED)
    first = claimed(rig.ledger)
    rig.clock.advance(CLAIM - MOMENT)
    assert claim(rig.ledger, TWO) is None
    rig.clock.advance(MOMENT)
    assert claimed(rig.ledger, TWO) == first


def test_a_renewed_claim_lasts_from_then_on(rig: Rig) -> None:
    rig.ledger.reports.tell_dataset(P, STARTED)
    number = claimed(rig.ledger).number
    rig.clock.advance(CLAIM - MOMENT)
    rig.ledger.reports.renew(ONE, [number], CLAIM)
    rig.clock.advance(CLAIM - MOMENT)
    assert claim(rig.ledger, TWO) is None
    rig.clock.advance(MOMENT)
    assert claim(rig.ledger, TWO) is not None


def test_only_the_reports_that_are_named_stay_claimed(rig: Rig) -> None:
    rig.ledger.reports.tell_dataset(P, STARTED)
    rig.ledger.reports.tell_dataset(Q, STARTED)
    in_hand, lost = claimed(rig.ledger), claimed(rig.ledger)
    rig.clock.advance(CLAIM - MOMENT)
    rig.ledger.reports.renew(ONE, [in_hand.number], CLAIM)
    rig.clock.advance(MOMENT)
    assert claimed(rig.ledger, TWO) == lost
    assert claim(rig.ledger, TWO) is None


def test_a_claim_that_another_teller_has_is_not_renewed(rig: Rig) -> None:
    rig.ledger.reports.tell_dataset(P, STARTED)
    number = claimed(rig.ledger, ONE).number
    rig.clock.advance(CLAIM - MOMENT)
    rig.ledger.reports.renew(TWO, [number], CLAIM)
    rig.clock.advance(MOMENT)
    assert claim(rig.ledger, TWO) is not None


def test_renewing_nothing_claims_nothing(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    ledger.reports.renew(ONE, [], CLAIM)
    ledger.reports.renew(ONE, [ledger.reports.find()[0].number, 10**6], CLAIM)
    assert claim(ledger, TWO) is not None


def test_a_vain_attempt_ends_the_claim(rig: Rig) -> None:
    rig.ledger.reports.tell_dataset(P, STARTED)
    rig.ledger.reports.postpone(claimed(rig.ledger).number, FAILURE, START + MOMENT)
    assert claim(rig.ledger, TWO) is None
    rig.clock.advance(MOMENT)
    assert claimed(rig.ledger, TWO).attempts == 1


def test_what_is_asked_for_by_name_is_claimed_though_it_is_not_due(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    ledger.reports.postpone(claimed(ledger).number, FAILURE, START + HOUR)
    assert claimed(ledger, subject=OF_P).content == STARTED


def test_what_is_asked_for_by_name_is_that_subjects_first(ledger: Ledger) -> None:
    for pid, update in ((Q, STARTED), (P, STARTED), (P, FAILED)):
        ledger.reports.tell_dataset(pid, update)
    found = claimed(ledger, subject=OF_P)
    assert (found.subject, found.content) == (OF_P, STARTED)


def test_a_parked_report_is_not_claimed_by_its_name_either(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    ledger.reports.park(claimed(ledger).number, FAILURE)
    assert claim(ledger) is None
    assert claim(ledger, subject=OF_P) is None


def test_a_parked_report_lets_later_ones_through(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    ledger.reports.tell_dataset(P, FAILED)
    ledger.reports.park(claimed(ledger).number, FAILURE)
    assert claimed(ledger).content == FAILED


def test_a_parked_report_that_a_later_one_overtook_is_not_told_after_it(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    ledger.reports.park(claimed(ledger).number, FAILURE)
    ledger.reports.tell_dataset(P, FAILED)
    later = claimed(ledger)
    assert ledger.reports.unpark(OF_P) == 0
    assert [report.number for report in ledger.reports.find()] == [later.number]


@pytest.mark.parametrize(("back", "free"), [(CLAIM + MOMENT, True), (CLAIM, False)])
def test_a_claim_by_a_clock_that_has_gone_back_since_is_over(
    rig: Rig, back: timedelta, *, free: bool
) -> None:
    rig.ledger.reports.tell_dataset(P, STARTED)
    claimed(rig.ledger)
    rig.clock.advance(-back)
    assert (claim(rig.ledger, TWO, OF_P) is not None) is free


@pytest.mark.parametrize(("back", "due"), [(DAY + MOMENT, True), (DAY, False)])
def test_a_report_by_a_clock_that_has_gone_back_a_day_since_is_due(
    rig: Rig, back: timedelta, *, due: bool
) -> None:
    rig.ledger.reports.tell_dataset(P, STARTED)
    rig.clock.advance(-back)
    assert (claim(rig.ledger) is not None) is due


def end_of_job(ledger: Ledger) -> None:
    """A report that a job for P has ended, written after one of P."""
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.reports.tell_dataset(P, STARTED)
    ledger.jobs.move(JOB, JobState.UNSUCCESSFUL)


def test_the_end_of_a_job_waits_for_what_is_told_of_its_datasets(ledger: Ledger) -> None:
    end_of_job(ledger)
    of_dataset = claimed(ledger)
    assert of_dataset.subject == OF_P
    assert claim(ledger, TWO) is None
    assert claim(ledger, TWO, OF_JOB) is None
    ledger.reports.delivered(of_dataset.number)
    assert claimed(ledger, TWO).subject == OF_JOB


def test_the_end_of_a_job_waits_no_longer_for_what_was_tried_in_vain(ledger: Ledger) -> None:
    end_of_job(ledger)
    ledger.reports.postpone(claimed(ledger).number, FAILURE, START + HOUR)
    assert claimed(ledger).subject == OF_JOB


def test_the_end_of_a_job_does_not_wait_for_what_is_held_up_by_a_vain_attempt(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    for update in (STARTED, FAILED):
        ledger.reports.tell_dataset(P, update)
    ledger.jobs.move(JOB, JobState.UNSUCCESSFUL)
    ledger.reports.postpone(claimed(ledger).number, FAILURE, START + HOUR)
    assert claimed(ledger, TWO).subject == OF_JOB


def test_the_end_of_a_job_waits_for_all_that_is_told_of_its_datasets(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    for update in (STARTED, FAILED):
        ledger.reports.tell_dataset(P, update)
    ledger.jobs.move(JOB, JobState.UNSUCCESSFUL)
    ledger.reports.delivered(claimed(ledger).number)
    assert claim(ledger, subject=OF_JOB) is None
    ledger.reports.delivered(claimed(ledger).number)
    assert claim(ledger, subject=OF_JOB) is not None


def test_the_end_of_a_job_does_not_wait_for_what_is_parked(ledger: Ledger) -> None:
    end_of_job(ledger)
    ledger.reports.park(claimed(ledger).number, FAILURE)
    assert claimed(ledger, subject=OF_JOB).content is JobState.UNSUCCESSFUL


def test_the_end_of_a_job_does_not_wait_for_other_datasets(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.reports.tell_dataset(Q, STARTED)
    ledger.jobs.move(JOB, JobState.UNSUCCESSFUL)
    assert claimed(ledger, subject=OF_JOB).content is JobState.UNSUCCESSFUL


def test_the_end_of_a_job_does_not_wait_for_what_was_written_later(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.move(JOB, JobState.UNSUCCESSFUL)
    ledger.reports.tell_dataset(P, STARTED)
    assert claimed(ledger, subject=OF_JOB).content is JobState.UNSUCCESSFUL


def test_that_a_job_is_in_progress_waits_for_nothing(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.reports.tell_dataset(P, STARTED)
    ledger.jobs.move(JOB, JobState.IN_PROGRESS)
    assert claimed(ledger, subject=OF_JOB).content is JobState.IN_PROGRESS
