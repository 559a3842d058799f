"""A job that SciCat can never close, since a dataset of it was deleted there, and reports that can never be told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.evidence import Integrity
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import LifecycleWord
from scicat_retriever.pipeline.reports import report, unclosable
from scicat_retriever.pipeline.reports.fitting import first_that_fit
from scicat_retriever.pipeline.reports.result import timestamp
from scicat_retriever.pipeline.transfer.publish import Published
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.reports import Report, Subject
from tests.unit.pipeline.rig import BASE_URL, FILES, JOB, LIFETIME, PID, RETENTION, Rig, tar

Q, R = DatasetPid("20.500.12345/q"), DatasetPid("20.500.12345/r")
SIZE = len(tar(FILES))


def ended(*deleted: DatasetPid) -> Rig:
    """A job that has brought three datasets, of which some are deleted before SciCat hears of its end."""
    rig = Rig()
    rig.retrieved(PID, Q, R)
    for pid in (PID, Q, R):
        report.dataset_retrieved(pid, Published(whole=True, integrity=Integrity.VERIFIED), rig.tools)
        rig.teller().tell_now(Subject.dataset(pid))
    for pid in deleted:
        rig.catalogue.delete_dataset(pid)
    return rig


def tell_the_end(rig: Rig) -> None:
    """Try to tell all that waits of the job."""
    while any(each.state == "waiting" for each in rig.ledger.reports.find(Subject.job(JOB))):
        with pytest.raises(errors.CatalogueJobUnclosable):
            rig.teller().tell_now(Subject.job(JOB))


def of_the_job(rig: Rig) -> Report:
    return rig.ledger.reports.find(Subject.job(JOB))[-1]


def lifecycle(rig: Rig, pid: DatasetPid) -> tuple[object, dict[str, Any]]:
    """What SciCat holds of a dataset once all is told: its word, and its return message."""
    rig.teller().tell_now(Subject.dataset(pid))
    held = rig.catalogue.held_dataset(pid)
    return held.status, dict(held.return_message or {})


def test_the_deleted_datasets_are_named() -> None:
    rig = ended(Q, R)
    tell_the_end(rig)
    failure = of_the_job(rig).failure
    assert failure is not None
    assert failure.message == (
        f"SciCat cannot update job {JOB} any more: its dataset {Q}, {R} was deleted there"
    )


def test_what_scicat_says_stands_where_the_deleted_one_cannot_be_found() -> None:
    rig = ended(Q)
    rig.catalogue.fail(errors.CatalogueUnavailable("SciCat answers 503"), "dataset", times=9)
    tell_the_end(rig)
    failure = of_the_job(rig).failure
    assert failure is not None
    assert failure.message == f"A dataset of job {JOB} was deleted"


def test_the_other_datasets_are_told_their_links_and_stay_retrieved() -> None:
    rig = ended(Q)
    tell_the_end(rig)
    for pid in (PID, R):
        word, message = lifecycle(rig, pid)
        assert (word, message["status"], message["jobId"]) == (
            LifecycleWord.RETRIEVED,
            unclosable.JOB_UNCLOSABLE,
            JOB,
        )
        (entry,) = message["result"]
        assert (entry["datasetId"], entry["size"], entry["integrity"]) == (pid, SIZE, "verified")
        assert entry["url"].startswith(BASE_URL)
        assert str(entry["expires"]) in str(message["message"])
    assert rig.ledger.reports.find(Subject.dataset(Q)) == []


def test_a_dataset_that_is_not_kept_any_more_when_it_is_told_is_told_so() -> None:
    rig = ended(Q)
    tell_the_end(rig)
    rig.clock.advance(RETENTION)
    _, message = lifecycle(rig, PID)
    assert message["result"] == []
    assert "ask for it again" in str(message["message"])


def test_links_are_fresh_when_they_are_told_and_not_longer_than_the_files_are_kept() -> None:
    rig = ended(Q)
    tell_the_end(rig)
    end = rig.clock() + LIFETIME
    rig.clock.advance(timedelta(days=3))
    _, message = lifecycle(rig, PID)
    (entry,) = message["result"]
    assert entry["expires"] == timestamp(end)


def test_a_file_that_was_lost_is_not_promised() -> None:
    rig = ended(Q)
    tell_the_end(rig)
    for record in rig.ledger.datablocks.of(PID):
        rig.staging.delete(record.key)
    _, message = lifecycle(rig, PID)
    assert message["result"] == []


def test_nothing_is_told_of_links_while_the_job_goes_on() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, (rig.archive(),))
    rig.catalogue.add_dataset(Q, ())
    rig.job(PID, Q)
    rig.catalogue.delete_dataset(Q)
    tell_the_end(rig)
    assert rig.ledger.reports.find(Subject.dataset(PID)) == []


def test_the_next_retrieval_takes_the_links_back() -> None:
    rig = ended(Q)
    tell_the_end(rig)
    lifecycle(rig, PID)
    rig.ledger.reports.tell_dataset(PID, LifecycleUpdate(LifecycleWord.STARTED))
    assert lifecycle(rig, PID) == (LifecycleWord.STARTED, {})


def test_more_links_than_a_dataset_can_hold_are_counted() -> None:
    entry = {"url": "x" * 200_000, "expires": "2026"}
    assert len(first_that_fit([entry] * 9, unclosable.RESULT_LIMIT)) == 5


def test_what_can_never_be_told_is_dropped_by_itself_after_a_time() -> None:
    rig = ended(Q)
    tell_the_end(rig)
    kept = timedelta(days=30)
    rig.clock.advance(kept)
    assert unclosable.drop_undeliverable(kept, rig.tools) == 0
    rig.clock.advance(timedelta(seconds=1))
    assert unclosable.drop_undeliverable(kept, rig.tools) == 2  # its beginning and its end
    assert of_the_job(rig).state == "dropped"
    assert of_the_job(rig).dropped == unclosable.DROPPED_BY_ITSELF
