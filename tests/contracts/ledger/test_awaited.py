"""What every ledger promises of what is awaited: reasons to wait, and what regular looks found."""

from __future__ import annotations

import pytest

from scicat_retriever.domain.ids import JobId
from scicat_retriever.domain.states import DatasetState
from scicat_retriever.ports.findings import Finding
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import (
    FLOW,
    HOUR,
    JOB,
    ODD,
    START,
    P,
    Q,
    job,
)

ANOTHER = JobId("another")


def reasons(ledger: Ledger, job_id: JobId = JOB) -> list[str]:
    return [each.reason for each in ledger.jobs.datasets(job_id)]


def test_what_a_dataset_waits_for_is_said_in_all_jobs_that_it_was_started_for(ledger: Ledger) -> None:
    for job_id in (JOB, ANOTHER):
        ledger.jobs.add(job(job_id, P, Q), FLOW)
        ledger.jobs.move_dataset(job_id, P, DatasetState.STARTED)
        ledger.jobs.move_dataset(job_id, Q, DatasetState.STARTED)
    ledger.jobs.note_waiting(P, ODD)
    assert reasons(ledger) == reasons(ledger, ANOTHER) == [ODD, ""]


@pytest.mark.parametrize("state", [state for state in DatasetState if state is not DatasetState.STARTED])
def test_a_dataset_that_is_not_under_way_waits_for_nothing(ledger: Ledger, state: DatasetState) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.move_dataset(JOB, P, state)
    ledger.jobs.note_waiting(P, "waiting for SciCat")
    assert reasons(ledger) == [""]


def test_a_dataset_that_goes_on_waits_for_nothing(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.move_dataset(JOB, P, DatasetState.STARTED)
    ledger.jobs.note_waiting(P, "waiting for SciCat")
    ledger.jobs.note_waiting(P, "")
    assert reasons(ledger) == [""]


def test_a_remark_on_a_dataset_is_had_by_all_its_jobs_whenever_they_come(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, Q, P), FLOW)
    ledger.remarks.note(P, ODD)
    ledger.remarks.note(P, ODD)
    ledger.jobs.add(job(ANOTHER, P), FLOW)
    assert ledger.remarks.of(JOB) == ledger.remarks.of(ANOTHER) == {P: ODD}
    ledger.remarks.note(P, "another")
    ledger.remarks.note(Q, ODD)
    assert list(ledger.remarks.of(JOB).items()) == [(Q, ODD), (P, "another")]
    ledger.remarks.note(P, "")
    assert ledger.remarks.of(ANOTHER) == {}


@pytest.mark.parametrize("state", [DatasetState.STARTED, DatasetState.RETRIEVED, DatasetState.FAILED])
def test_a_dataset_that_is_moved_waits_no_longer(ledger: Ledger, state: DatasetState) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.move_dataset(JOB, P, DatasetState.STARTED)
    ledger.jobs.note_waiting(P, "waiting for SciCat")
    ledger.jobs.move_dataset(JOB, P, state)
    assert reasons(ledger) == [""]


def test_an_empty_ledger_has_no_recent_job(ledger: Ledger) -> None:
    assert ledger.jobs.recent() is None


def test_the_recent_job_is_the_one_that_was_stored_last_whatever_the_clock_said(rig: Rig) -> None:
    for name in ("a", "b"):
        rig.ledger.jobs.add(job(name, P), FLOW)
        rig.clock.advance(-HOUR)
    rig.ledger.jobs.add(job("a", P), FLOW)
    assert rig.ledger.jobs.recent() == "b"


def test_no_look_has_found_anything_yet(ledger: Ledger) -> None:
    assert ledger.findings.latest() == {}


def test_what_a_look_found_is_kept_with_its_time(rig: Rig) -> None:
    found: dict[str, int | str] = {"open": 3, "message": ODD, "big": 2**60}
    rig.ledger.findings.note("catalogue", found)
    now = rig.clock.advance(HOUR)
    rig.ledger.findings.note(ODD, {})
    assert rig.ledger.findings.latest() == {"catalogue": Finding(START, found), ODD: Finding(now, {})}


def test_what_a_look_found_takes_the_place_of_what_it_found_before(rig: Rig) -> None:
    rig.ledger.findings.note("catalogue", {"open": 3, "missed": 1})
    now = rig.clock.advance(HOUR)
    rig.ledger.findings.note("catalogue", {"error": "away"})
    assert rig.ledger.findings.latest() == {"catalogue": Finding(now, {"error": "away"})}
