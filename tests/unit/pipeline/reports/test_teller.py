"""A teller that is asked to tell one subject now."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import Failure
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState, LifecycleWord
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.reports.patience import Patience
from scicat_retriever.pipeline.reports.result import timestamp
from scicat_retriever.pipeline.reports.teller import CLAIM, INTERNAL_ATTEMPTS
from scicat_retriever.ports.catalogue import JobUpdate, LifecycleUpdate
from scicat_retriever.ports.reports import Report, Subject
from tests.fakes.catalogue import InMemoryCatalogue
from tests.fakes.ledger import InMemoryLedger
from tests.unit.pipeline.rig import JOB, LIFETIME, PATIENCE, PID, START, Rig

DATASET, OF_JOB = Subject.dataset(PID), Subject.job(JOB)
STARTED = LifecycleUpdate(LifecycleWord.STARTED)
FAILED = LifecycleUpdate(LifecycleWord.FAILED, {"code": "x"})
AWAY = errors.CatalogueUnavailable("SciCat answers 503")
DELETED = errors.DatasetUnknown("there is no such dataset")


def rig_with(*updates: LifecycleUpdate, catalogue: InMemoryCatalogue | None = None) -> Rig:
    """Fakes where something waits to be told of a dataset."""
    rig = Rig(catalogue=catalogue or InMemoryCatalogue())
    rig.catalogue.add_dataset(PID, ())
    for update in updates:
        rig.ledger.reports.tell_dataset(PID, update)
    return rig


def told(rig: Rig) -> list[object]:
    return [update for _, update in rig.catalogue.updates]


def waiting(rig: Rig) -> Report:
    """The one report that waits or is parked."""
    (found,) = rig.ledger.reports.find()
    return found


def fail(rig: Rig, error: errors.CatalogueError = AWAY, patience: Patience = PATIENCE) -> None:
    """Try in vain once."""
    rig.catalogue.fail(error, times=1)
    with pytest.raises(type(error)):
        rig.teller(patience=patience).tell_now(DATASET)


def test_what_the_catalogue_holds_is_forgotten() -> None:
    rig = rig_with(STARTED)
    rig.teller().tell_now(DATASET)
    assert told(rig) == [STARTED]
    assert rig.ledger.reports.find() == []


def test_all_that_waits_of_a_subject_is_told_in_its_order() -> None:
    rig = rig_with(STARTED, FAILED, STARTED)
    rig.teller().tell_now(DATASET)
    assert told(rig) == [STARTED, FAILED, STARTED]


def test_what_waits_of_others_is_left_to_wait() -> None:
    rig = rig_with(STARTED)
    rig.ledger.reports.tell_dataset(DatasetPid("20.500.12345/q"), STARTED)
    rig.teller().tell_now(DATASET)
    assert waiting(rig).subject.name == "20.500.12345/q"


def test_nothing_to_tell_is_told_already() -> None:
    rig = rig_with()
    rig.teller().tell_now(DATASET)
    assert told(rig) == []


def test_what_was_tried_in_vain_waits_with_its_reason() -> None:
    rig = rig_with(STARTED)
    fail(rig)
    left = waiting(rig)
    assert (left.attempts, left.failure, left.parked) == (1, AWAY.failure(), False)


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 10), (2, 20), (3, 40), (4, 40), (9, 40)])
def test_the_pause_doubles_up_to_its_ceiling_give_or_take_a_fifth(attempts: int, seconds: int) -> None:
    rig = rig_with(STARTED)
    for _ in range(attempts):
        fail(rig)
    pause = (waiting(rig).due_at - START).total_seconds()
    assert 0.8 * seconds <= pause <= 1.2 * seconds


def test_what_is_not_due_is_told_now_if_asked_for() -> None:
    rig = rig_with(STARTED)
    fail(rig)
    rig.teller().tell_now(DATASET)
    assert told(rig) == [STARTED]


def test_nothing_overtakes_what_was_tried_in_vain() -> None:
    rig = rig_with(STARTED, FAILED)
    fail(rig)
    assert told(rig) == []
    rig.teller().tell_now(DATASET)
    assert told(rig) == [STARTED, FAILED]


def test_what_the_catalogue_can_never_take_is_parked_with_its_reason() -> None:
    rig = rig_with(STARTED)
    fail(rig, DELETED)
    left = waiting(rig)
    assert (left.attempts, left.failure, left.parked) == (1, DELETED.failure(), True)


def test_what_is_parked_is_not_tried_again_and_says_why() -> None:
    rig = rig_with(STARTED)
    fail(rig, DELETED)
    with pytest.raises(errors.DatasetUnknown, match="there is no such dataset"):
        rig.teller().tell_now(DATASET)
    assert told(rig) == []


def test_what_is_parked_for_a_fault_of_an_unknown_kind_says_why() -> None:
    rig = rig_with(STARTED)
    rig.ledger.reports.park(waiting(rig).number, replace(AWAY.failure(), code="of a newer version"))
    with pytest.raises(errors.InternalError, match="503"):
        rig.teller().tell_now(DATASET)


def test_what_comes_after_a_parked_report_is_told_and_the_parked_one_forgotten() -> None:
    rig = rig_with(STARTED)
    fail(rig, DELETED)
    rig.ledger.reports.tell_dataset(PID, FAILED)
    rig.teller().tell_now(DATASET)
    assert told(rig) == [FAILED]
    assert rig.ledger.reports.find() == []


def test_a_parked_report_is_told_when_somebody_asks_for_it() -> None:
    rig = rig_with(STARTED)
    fail(rig, DELETED)
    rig.ledger.reports.unpark()
    rig.teller().tell_now(DATASET)
    assert told(rig) == [STARTED]


@pytest.mark.parametrize(("seconds", "parked"), [(3600, False), (3601, True)])
def test_patience_ends_and_the_report_is_parked(seconds: int, *, parked: bool) -> None:
    rig = rig_with(STARTED)
    rig.clock.advance(timedelta(seconds=seconds))
    fail(rig)
    assert waiting(rig).parked is parked


def test_vain_attempts_do_not_lengthen_the_patience() -> None:
    rig = rig_with(STARTED)
    for _ in range(2):
        rig.clock.advance(timedelta(seconds=1801))
        fail(rig)
    assert waiting(rig).parked


def test_patience_begins_anew_when_somebody_asks_for_a_parked_report() -> None:
    rig = rig_with(STARTED)
    rig.clock.advance(timedelta(seconds=3601))
    fail(rig)
    rig.ledger.reports.unpark()
    rig.clock.advance(timedelta(seconds=3600))
    fail(rig)
    assert not waiting(rig).parked


class FaultyCatalogue(InMemoryCatalogue):
    """A catalogue adapter with a fault of its own."""

    def update_lifecycle(self, pid: DatasetPid, update: LifecycleUpdate) -> None:
        raise ZeroDivisionError("a fault")


def test_a_fault_of_the_service_is_told_as_one() -> None:
    rig = rig_with(STARTED, catalogue=FaultyCatalogue())
    with pytest.raises(errors.InternalError, match="ZeroDivisionError: a fault"):
        rig.teller().tell_now(DATASET)
    failure = waiting(rig).failure
    assert failure is not None
    assert failure.code == "internal_error"


def test_a_fault_of_the_service_is_tried_a_few_times_and_parked() -> None:
    rig = rig_with(STARTED, catalogue=FaultyCatalogue())
    parked = []
    for _ in range(INTERNAL_ATTEMPTS):
        with pytest.raises(errors.InternalError):
            rig.teller().tell_now(DATASET)
        parked.append(waiting(rig).parked)
    assert parked == [False, False, False, False, True]


def test_what_another_teller_has_in_hand_is_left_to_it() -> None:
    rig = rig_with(STARTED)
    assert rig.ledger.reports.claim("teller-2", CLAIM, DATASET) is not None
    with pytest.raises(errors.CatalogueUnavailable, match="is being told"):
        rig.teller().tell_now(DATASET)
    assert told(rig) == []


def test_what_a_dead_teller_had_in_hand_is_told_by_another_when_its_claim_is_over() -> None:
    rig = rig_with(STARTED)
    rig.ledger.reports.claim("teller-2", CLAIM, DATASET)
    rig.clock.advance(CLAIM)
    rig.teller().tell_now(DATASET)
    assert told(rig) == [STARTED]


class ForgetfulLedger(InMemoryLedger):
    """A ledger that does not answer when it is given news of reports."""

    away = True

    def delivered(self, number: int) -> None:
        self._answer()
        super().delivered(number)

    def postpone(self, number: int, failure: Failure, due_at: datetime) -> None:
        self._answer()
        super().postpone(number, failure, due_at)

    def _answer(self) -> None:
        if self.away:
            raise errors.LedgerUnavailable("the ledger does not answer")


def rig_with_forgetful_ledger() -> tuple[Rig, ForgetfulLedger]:
    rig = Rig()
    ledger = rig.ledger = ForgetfulLedger(rig.clock)
    rig.tools = replace(rig.tools, ledger=ledger)
    rig.catalogue.add_dataset(PID, ())
    ledger.reports.tell_dataset(PID, STARTED)
    return rig, ledger


def test_what_the_ledger_did_not_hear_was_told_is_told_again() -> None:
    rig, ledger = rig_with_forgetful_ledger()
    with pytest.raises(errors.LedgerUnavailable):
        rig.teller().tell_now(DATASET)
    ledger.away = False
    rig.clock.advance(CLAIM)
    rig.teller().tell_now(DATASET)
    assert told(rig) == [STARTED, STARTED]
    assert ledger.reports.find() == []


def test_what_the_ledger_did_not_hear_had_failed_is_tried_again() -> None:
    rig, ledger = rig_with_forgetful_ledger()
    rig.catalogue.fail(AWAY)
    with pytest.raises(errors.LedgerUnavailable):
        rig.teller().tell_now(DATASET)
    rig.clock.advance(CLAIM)
    ledger.away = False
    rig.teller().tell_now(DATASET)
    assert told(rig) == [STARTED]


def test_a_jobs_result_has_links_that_are_fresh_when_it_is_told() -> None:
    rig = Rig()
    rig.staged_dataset()
    rig.job(PID)
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.RETRIEVED)
    report.close_job(JOB, None, rig.tools)
    rig.clock.advance(timedelta(days=2))
    rig.teller().tell_now(OF_JOB)
    held = rig.catalogue.held_job(JOB)
    assert held.result is not None
    (entry,) = held.result["result"]
    assert entry["expires"] == timestamp(START + timedelta(days=2) + LIFETIME)


class ReadingCatalogue(InMemoryCatalogue):
    """A catalogue that notes when it is told of jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[JobState] = []

    def update_job(self, job_id: JobId, update: JobUpdate) -> None:
        super().update_job(job_id, update)
        self.states.append(update.state)


def test_each_state_of_a_job_is_told_in_its_order() -> None:
    rig = Rig(catalogue=(catalogue := ReadingCatalogue()))
    rig.catalogue.add_dataset(PID, ())
    rig.job(PID)
    rig.ledger.jobs.move(JOB, JobState.UNSUCCESSFUL, failure=AWAY.failure())
    rig.teller().tell_now(OF_JOB)
    assert catalogue.states == [JobState.IN_PROGRESS, JobState.UNSUCCESSFUL]


def test_a_job_that_the_catalogue_can_no_longer_close_is_parked() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, ())
    rig.job(PID)
    rig.catalogue.delete_dataset(PID)
    with pytest.raises(errors.CatalogueJobUnclosable):
        rig.teller().tell_now(OF_JOB)
    failure = waiting(rig).failure
    assert failure is not None
    assert (waiting(rig).parked, failure.code) == (True, "catalogue_job_unclosable")
