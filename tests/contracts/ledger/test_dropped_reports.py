"""What every ledger promises of reports that SciCat can never take, or that were given up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scicat_retriever.domain.errors import (
    CatalogueJobUnclosable,
    CatalogueJobUnknown,
    CatalogueRefused,
    DatasetUnknown,
    ReportNotParked,
    RetrieverError,
)
from scicat_retriever.domain.states import JobState, LifecycleWord
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.reports import Report, ReportState, Subject
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import FLOW, HOUR, JOB, ODD, START, P, Q, job

FAILED = LifecycleUpdate(LifecycleWord.FAILED)


def parked(ledger: Ledger, *errors: RetrieverError) -> list[Report]:
    """Have a report for each error parked, of datasets P, Q, P, ..., and a job told that is known to nobody."""
    ledger.jobs.add(job(JOB, P), FLOW)
    for number, error in enumerate(errors):
        pid = (P, Q)[number % 2]
        ledger.reports.tell_dataset(pid, FAILED)
        ledger.reports.park(ledger.reports.find(after=0, limit=99)[-1].number, error.failure())
    return list(ledger.reports.find())


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (DatasetUnknown("x"), ReportState.UNDELIVERABLE),
        (CatalogueJobUnknown("x"), ReportState.UNDELIVERABLE),
        (CatalogueJobUnclosable("x"), ReportState.UNDELIVERABLE),
        (CatalogueRefused("x"), ReportState.PARKED),
    ],
)
def test_what_can_never_be_told_is_told_apart(
    ledger: Ledger, error: RetrieverError, state: ReportState
) -> None:
    (report,) = parked(ledger, error)
    assert report.state is state
    assert ledger.reports.count() == (0, 1)
    assert ledger.reports.count_undeliverable() == (state is ReportState.UNDELIVERABLE)


def test_a_report_that_is_tried_again_waits_whatever_it_was(ledger: Ledger) -> None:
    parked(ledger, DatasetUnknown("x"))
    assert ledger.reports.unpark() == 1
    assert ledger.reports.find()[0].state is ReportState.WAITING
    assert (ledger.reports.count(), ledger.reports.count_undeliverable()) == ((1, 0), 0)


def test_a_dropped_report_stays_with_its_reason_and_is_not_tried_or_counted(rig: Rig) -> None:
    ledger = rig.ledger
    (report,) = parked(ledger, DatasetUnknown("x"))
    now = rig.clock.advance(HOUR)
    (dropped,) = ledger.reports.drop([report.number], ODD)
    assert dropped == replace(report, dropped=ODD, due_at=now)
    assert dropped.state is ReportState.DROPPED
    assert ledger.reports.find() == [dropped]
    assert ledger.reports.find(dropped=False) == []
    assert (ledger.reports.count(), ledger.reports.count_undeliverable(), ledger.reports.unpark()) == (
        (0, 0),
        0,
        0,
    )
    assert ledger.reports.claim("teller", HOUR) is None


def test_a_dropped_report_is_a_row_of_the_book_that_says_what_was_not_told(rig: Rig) -> None:
    rig.ledger.jobs.add(job(JOB, P), FLOW)
    rig.ledger.jobs.move(JOB, JobState.IN_PROGRESS)
    (report,) = rig.ledger.reports.find()
    rig.ledger.reports.park(report.number, CatalogueJobUnclosable("a dataset was deleted").failure())
    rig.ledger.reports.drop([report.number], "ada: why not")
    entry = rig.transitions()[-1]
    assert (entry.at, entry.subject, entry.old, entry.new) == (
        START,
        ("report", "job", JOB),
        "undeliverable",
        "dropped",
    )
    assert entry.reason == (
        "ada: why not; SciCat was not told inProgress (catalogue_job_unclosable: a dataset was deleted)"
    )


@pytest.mark.parametrize("twice", [False, True])
def test_all_that_are_named_are_dropped_or_none(rig: Rig, *, twice: bool) -> None:
    first, second = parked(rig.ledger, DatasetUnknown("x"), CatalogueRefused("x"))
    if twice:
        rig.ledger.reports.drop([second.number], "first")
    else:
        rig.ledger.reports.unpark(second.subject)
    before, book = rig.ledger.reports.find(), rig.transitions()
    with pytest.raises(ReportNotParked):
        rig.ledger.reports.drop([first.number, second.number], "why")
    with pytest.raises(ReportNotParked):
        rig.ledger.reports.drop([first.number, 10**6], "why")
    assert (rig.ledger.reports.find(), rig.transitions()) == (before, book)


def test_a_job_of_which_a_report_was_dropped_is_not_told_again_by_looking(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.move(JOB, JobState.IN_PROGRESS)
    (report,) = ledger.reports.find()
    ledger.reports.park(report.number, CatalogueJobUnclosable("x").failure())
    ledger.reports.drop([report.number], "why")
    assert not ledger.reports.tell_job_again(JOB)


def test_a_dropped_report_is_forgotten_when_a_later_one_of_its_subject_is_told(ledger: Ledger) -> None:
    (report,) = parked(ledger, DatasetUnknown("x"))
    ledger.reports.drop([report.number], "why")
    ledger.reports.tell_dataset(P, FAILED)
    claimed = ledger.reports.claim("teller", HOUR, Subject.dataset(P))
    assert claimed is not None
    ledger.reports.delivered(claimed.number)
    assert ledger.reports.find() == []


def test_what_can_never_be_told_is_dropped_once_it_was_parked_for_long(rig: Rig) -> None:
    ledger = rig.ledger
    old, _ = parked(ledger, DatasetUnknown("x"), CatalogueRefused("x"))
    rig.clock.advance(HOUR)
    ledger.reports.tell_dataset(P, FAILED)
    ledger.reports.park(ledger.reports.find()[-1].number, DatasetUnknown("y").failure())
    assert ledger.reports.drop_undeliverable(START, "too old") == []
    assert [report.number for report in ledger.reports.drop_undeliverable(START + HOUR, "too old")] == [
        old.number
    ]
    assert [report.state for report in ledger.reports.find()] == ["dropped", "parked", "undeliverable"]
    assert ledger.reports.find()[0].dropped == "too old"


def test_an_update_of_a_return_message_alone_comes_back_as_it_was(ledger: Ledger) -> None:
    update = LifecycleUpdate(None, {"status": "jobUnclosable", "jobId": JOB})
    ledger.reports.tell_dataset(P, update)
    assert [report.content for report in ledger.reports.find()] == [update]
