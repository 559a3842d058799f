import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import CataloguedDatablock
from scicat_retriever.domain.errors import Cause, Failure
from scicat_retriever.domain.evidence import Integrity
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState, LifecycleWord
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.reports.result import timestamp
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from scicat_retriever.pipeline.transfer import publish
from scicat_retriever.pipeline.transfer.publish import Published
from scicat_retriever.ports.titles import Title
from tests.examples import examples
from tests.fakes.catalogue import HeldDataset, HeldJob
from tests.unit.pipeline.rig import (
    BASE_URL,
    FILES,
    JOB,
    LIFETIME,
    PID,
    RETENTION,
    START,
    Rig,
    tar,
    without_checksums,
)
from tests.unit.pipeline.shown import datablocks_of, page_of

Q = DatasetPid("20.500.12345/q")
MISMATCH = errors.ChecksumMismatch("'a' differs").failure("p-0.tar")
STALLED = errors.ReadStalled("no byte came").failure("p-1.tar")
UNKNOWN = errors.DatasetUnknown("there is no such dataset").failure()


def finished(
    rig: Rig,
    *blocks: CataloguedDatablock,
    failed: tuple[Failure, ...] = (),
    others: tuple[DatasetPid, ...] = (),
) -> None:
    """A job for PID, which was retrieved or failed, and for others that were not looked at yet."""
    for pid in others:
        rig.catalogue.add_dataset(pid, ())
    rig.staged_dataset(*blocks)
    rig.job(PID, *others)
    state = DatasetState.FAILED if failed else DatasetState.RETRIEVED
    rig.ledger.jobs.move_dataset(JOB, PID, state, failed)


def told(rig: Rig, failure: Failure | None = None) -> HeldJob:
    report.close_job(JOB, failure, rig.tools)
    rig.deliver()
    return rig.catalogue.held_job(JOB)


def result_of(held: HeldJob) -> Any:
    """The result as it goes over the wire."""
    return json.loads(json.dumps(held.result))


def dataset(rig: Rig, pid: DatasetPid = PID) -> HeldDataset:
    rig.deliver()
    return rig.catalogue.held_dataset(pid)


def told_message(rig: Rig) -> str:
    """What the catalogue's page shows of the dataset's failure."""
    message = (dataset(rig).return_message or {})["message"]
    assert isinstance(message, str)
    return message


def test_a_dataset_whose_file_is_lost_before_scicat_heard_of_it_is_told_as_failed() -> None:
    rig = Rig()
    (record,) = rig.staged_dataset()
    report.dataset_retrieved(PID, publish.publish(PID, rig.tools), rig.tools)
    rig.staging.delete(record.key)
    held = dataset(rig)
    assert held.status is LifecycleWord.SYSTEM_ERROR
    assert (held.return_message or {})["code"] == "staged_file_missing"


def test_a_started_job_is_in_progress_for_the_catalogue_and_the_ledger() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, ())
    rig.job(PID)
    report.job_started(JOB, rig.tools)
    rig.deliver()
    held = rig.catalogue.held_job(JOB)
    assert (held.state, held.message, held.result) == (
        JobState.IN_PROGRESS,
        "The datasets are being retrieved.",
        None,
    )
    record = rig.ledger.jobs.get(JOB)
    assert record is not None
    assert record.state is JobState.IN_PROGRESS


def test_a_successful_jobs_result_has_its_dataset_and_the_page_of_that_each_datablock_with_its_link() -> None:
    rig = Rig()
    finished(rig, rig.archive(0), rig.archive(1))
    rig.ledger.titles.note(PID, Title("Battery: ageing", "/data/battery"))
    held = told(rig)
    expires = "2026-03-08T12:00:00.000Z"
    assert held.state is JobState.SUCCESSFUL
    page = rig.links.retrieval(JOB, 0)
    assert held.message == f"1 of 1 datasets are ready for download until {expires}. What is there: {page}"
    result = result_of(held)
    assert next(iter(result.items())) == ("url", page)
    assert result == {
        "url": page,
        "result": [
            {
                "datasetId": PID,
                "name": "Battery_ ageing",
                "size": 2 * len(tar(FILES)),
                "url": f"{page}/datasets/1",
                "expires": expires,
                "datablocks": 2,
                "files": 2 * len(FILES),
                "integrity": "verified",
            }
        ],
        "errors": [],
    }
    shown = page_of(rig)
    assert (shown["url"], shown["name"]) == (f"{page}/datasets/1", "Battery_ ageing")
    urls = [entry.pop("url") for entry in shown["datablocks"]]
    assert shown["datablocks"] == [
        {
            "name": f"20.500.12345_p__p-{number}.tar",
            "archiveId": f"p-{number}.tar",
            "size": len(tar(FILES)),
            "checksum": record.archive_checksum,
            "expires": "2026-03-08T12:00:00Z",
            "files": len(FILES),
            "integrity": "verified",
            "matchedBy": [],
            "passedOver": 0,
            "replaced": 0,
            "tars": 1,
            "chosen": None,
            "askedAs": {},
        }
        for number, record in enumerate(rig.ledger.datablocks.of(PID))
    ]
    for url, record in zip(urls, rig.ledger.datablocks.of(PID), strict=True):
        assert url.startswith(f"{BASE_URL}/api/v1/downloads/20.500.12345_p__{record.datablock.archive_id}?")
        query = parse_qs(urlsplit(url).query)
        assert query["expires"] == [str(int((START + LIFETIME).timestamp()))]
        assert (query["dataset"], query["datablock"]) == ([PID], [record.datablock.id])


def test_a_closed_jobs_files_are_pinned_for_the_full_retention() -> None:
    rig = Rig()
    finished(rig)
    rig.clock.advance(RETENTION / 2)
    told(rig)
    ((_, pin),) = rig.ledger.pins.find(PID)
    assert pin.until == START + RETENTION / 2 + RETENTION


def test_sizes_alone_are_said_in_the_result() -> None:
    rig = Rig(policy=ChecksumPolicy("size_only"))
    finished(rig, rig.archive(listed=without_checksums(FILES)))
    assert [entry["integrity"] for entry in result_of(told(rig))["result"]] == ["size_only"]
    assert [entry["integrity"] for entry in datablocks_of(rig)] == ["size_only"]


@pytest.mark.parametrize(("integrity", "checked"), [(Integrity.VERIFIED, True), (Integrity.SIZE_ONLY, False)])
def test_a_retrieved_dataset_says_whether_its_checksums_were_compared(
    integrity: Integrity, checked: bool
) -> None:
    rig = Rig()
    rig.staged_dataset()
    report.dataset_retrieved(PID, Published(True, integrity), rig.tools)
    held = dataset(rig)
    assert (held.status, held.retrievable, held.integrity_check) == (LifecycleWord.RETRIEVED, True, checked)
    assert held.return_message == {}


@pytest.mark.parametrize(
    ("failure", "word"),
    [
        (MISMATCH, "datasetRetrievalFailed"),
        (UNKNOWN, "datasetRetrievalFailed"),
        (STALLED, "scheduleRetrieveJobFailed"),
    ],
    ids=["data", "user", "system"],
)
def test_the_cause_of_a_failure_decides_the_word_that_the_catalogue_is_told(
    failure: Failure, word: str
) -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, ())
    report.dataset_failed(PID, [failure], rig.tools)
    held = dataset(rig)
    assert (held.status, held.integrity_check) == (word, False)
    assert held.return_message == {
        "status": "retrievalFailed",
        "code": failure.code,
        "message": failure.message,
    }


def test_of_several_failures_the_first_is_told_and_the_others_are_counted() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, ())
    report.dataset_failed(PID, [MISMATCH, STALLED, STALLED], rig.tools)
    assert dataset(rig).return_message == {
        "status": "retrievalFailed",
        "code": "checksum_mismatch",
        "message": "'a' differs (and 2 more)",
    }


def test_a_new_start_takes_the_old_error_back() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, ())
    report.dataset_failed(PID, [MISMATCH], rig.tools)
    report.dataset_started(PID, rig.tools)
    assert (dataset(rig).status, dataset(rig).return_message) == (LifecycleWord.STARTED, {})


def test_a_job_with_a_failed_dataset_has_its_errors_and_the_others_results() -> None:
    rig = Rig()
    finished(rig, others=(Q,))
    rig.ledger.jobs.move_dataset(JOB, Q, DatasetState.FAILED, (MISMATCH, UNKNOWN))
    held = told(rig)
    assert held.state is JobState.WITH_DATASET_ERRORS
    assert held.message == (
        "1 of 2 datasets are ready for download until 2026-03-08T12:00:00.000Z; "
        f"{Q} failed: 'a' differs (and 1 more). What is there: {rig.links.retrieval(JOB, 0)}"
    )
    result = result_of(held)
    assert [entry["datasetId"] for entry in result["result"]] == [PID]
    assert result["errors"] == [
        {
            "datasetId": Q,
            "archiveId": "p-0.tar",
            "code": "checksum_mismatch",
            "who": "operator",
            "message": "'a' differs",
        },
        {"datasetId": Q, "code": "dataset_unknown", "who": "user", "message": "there is no such dataset"},
    ]


def test_a_job_of_which_nothing_came_back_names_no_expiry() -> None:
    rig = Rig()
    finished(rig, failed=(STALLED,))
    held = told(rig)
    assert held.state is JobState.WITH_DATASET_ERRORS
    assert held.message == f"0 of 1 datasets are ready for download; {PID} failed: no byte came"
    assert result_of(held)["result"] == []


def test_a_job_that_failed_as_a_whole_is_unsuccessful_and_still_gives_what_is_there() -> None:
    rig = Rig()
    finished(rig, others=(Q,))
    held = told(rig, errors.JobDeadlinePassed("30 days are over").failure())
    assert held.state is JobState.UNSUCCESSFUL
    assert held.message == f"The job failed: 30 days are over. What is there: {rig.links.retrieval(JOB, 0)}"
    result = result_of(held)
    assert [entry["datasetId"] for entry in result["result"]] == [PID]
    assert result["errors"] == [
        {"code": "job_deadline_passed", "who": "operator", "message": "30 days are over"}
    ]


def test_a_job_whose_files_were_released_in_the_meantime_is_not_successful() -> None:
    rig = Rig()
    finished(rig, rig.archive(0), rig.archive(1))
    (first, _) = rig.ledger.datablocks.of(PID)
    rig.ledger.datablocks.move(first.key, DatablockState.RELEASED)
    held = told(rig)
    assert held.state is JobState.WITH_DATASET_ERRORS
    result = result_of(held)
    assert result["result"] == []
    assert [error["code"] for error in result["errors"]] == ["staged_file_missing"]
    assert held.message.startswith("0 of 1 datasets are ready for download; ")


@settings(max_examples=examples(25))
@given(st.lists(st.sampled_from(DatasetState), min_size=1, max_size=4), st.booleans())
def test_a_job_is_successful_only_if_every_dataset_was_retrieved(
    states: list[DatasetState], failed: bool
) -> None:
    rig = Rig()
    pids = [DatasetPid(f"20.500.12345/d{number}") for number in range(len(states))]
    for pid in pids:
        rig.staged_dataset(pid=pid)
    rig.job(*pids)
    for pid, state in zip(pids, states, strict=True):
        rig.ledger.jobs.move_dataset(JOB, pid, state, (MISMATCH,) if state is DatasetState.FAILED else ())
    kept = rig.ledger.pins.keep_for_job(JOB, START + RETENTION)
    result = report.job_result(JOB, STALLED if failed else None, kept, rig.tools)
    whole = set(states) == {DatasetState.RETRIEVED}
    expected = JobState.SUCCESSFUL if whole else JobState.WITH_DATASET_ERRORS
    assert result.state is (JobState.UNSUCCESSFUL if failed else expected)
    with_results = {entry["datasetId"] for entry in result.body["result"]}
    assert with_results == {p for p, s in zip(pids, states, strict=True) if s is DatasetState.RETRIEVED}


def test_a_job_is_closed_while_the_catalogue_is_away_and_told_later() -> None:
    rig = Rig()
    finished(rig)
    rig.catalogue.fail(errors.CatalogueUnavailable("away"), "update_job")
    with pytest.raises(errors.CatalogueUnavailable):
        told(rig)
    record = rig.ledger.jobs.get(JOB)
    assert record is not None
    assert record.state is JobState.SUCCESSFUL
    assert told(rig).state is JobState.SUCCESSFUL


def test_a_closed_job_stays_as_it_was_closed() -> None:
    rig = Rig()
    finished(rig)
    first = told(rig)
    why = errors.JobDeadlinePassed("too late").failure()
    assert report.close_job(JOB, why, rig.tools) is JobState.SUCCESSFUL
    assert told(rig) == first


def test_a_belated_start_of_a_job_that_has_ended_tells_nothing() -> None:
    rig = Rig()
    finished(rig)
    told(rig)
    report.job_started(JOB, rig.tools)
    assert rig.ledger.reports.find() == []


@settings(max_examples=examples(25))
@given(st.integers(0, 2000), st.integers(1, 12), st.booleans())
def test_no_message_is_longer_than_the_limit(length: int, failures: int, whole: bool) -> None:
    rig = Rig()
    failure = Failure("internal_error", "x" * length, errors.Actor.SYSTEM, Cause.SYSTEM)
    finished(rig, failed=(failure,) * failures)
    report.dataset_failed(PID, [failure] * failures, rig.tools)
    held = told(rig, failure if whole else None)
    texts = [held.message, told_message(rig)]
    texts += [error["message"] for error in result_of(held)["errors"]]
    assert all(len(text) <= report.MESSAGE_LIMIT for text in texts)
    if failures > 1 and not whole:
        assert all(text.endswith(f" (and {failures - 1} more)") for text in texts[:2])


def test_a_shortened_message_says_that_it_is() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, ())
    report.dataset_failed(PID, [Failure("c", "x" * 501, errors.Actor.USER, Cause.USER)], rig.tools)
    assert told_message(rig) == "x" * 499 + "…"


def test_a_time_is_written_with_milliseconds() -> None:
    assert timestamp(datetime(2026, 1, 2, 3, 4, 5, 67_999, UTC)) == "2026-01-02T03:04:05.067Z"


@given(st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_written_time_is_the_time_cut_to_milliseconds(moment: datetime) -> None:
    text = timestamp(moment)
    assert len(text) == len("2026-01-02T03:04:05.067Z")
    assert datetime.fromisoformat(text) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def test_a_message_that_is_long_still_ends_with_the_page() -> None:
    rig = Rig()
    finished(rig)
    held = told(rig, errors.JobDeadlinePassed("x" * 600).failure())
    assert held.message.endswith(f"… What is there: {rig.links.retrieval(JOB, 0)}".replace("… ", "…. "))
    assert len(held.message) == report.MESSAGE_LIMIT


def test_a_page_whose_links_were_revoked_is_told_anew() -> None:
    rig = Rig()
    finished(rig)
    rig.ledger.links.revoke(JOB)
    assert result_of(told(rig))["url"] == rig.links.retrieval(JOB, 1)
