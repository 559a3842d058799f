import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scicat_retriever.domain import errors
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.reports.result import RESULT_LIMIT, dataset_entry, fitted, timestamp
from scicat_retriever.ports.catalogue import JobUpdate
from tests.examples import examples
from tests.unit.pipeline.rig import FILES, JOB, LIFETIME, PID, RETENTION, START, Rig
from tests.unit.pipeline.shown import page_of

Q = DatasetPid("20.500.12345/q")
LATER = timedelta(days=3)
MISMATCH = errors.ChecksumMismatch("'a' differs").failure("q-0.tar")


def closed(rig: Rig, *failed: DatasetPid) -> JobState:
    """A job for PID, which was retrieved, and others that failed."""
    rig.staged_dataset()
    rig.job(PID, *failed)
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.RETRIEVED)
    for pid in failed:
        rig.ledger.jobs.move_dataset(JOB, pid, DatasetState.FAILED, [MISMATCH])
    return report.close_job(JOB, None, rig.tools)


def update(rig: Rig, state: JobState = JobState.SUCCESSFUL) -> JobUpdate:
    return report.job_update(JOB, state, rig.tools)


def body(told: JobUpdate) -> dict[str, Any]:
    assert told.result is not None
    return dict(told.result)


def test_the_links_of_a_result_are_made_when_it_is_told() -> None:
    rig = Rig()
    closed(rig)
    rig.clock.advance(LATER)
    (entry,) = body(update(rig))["result"]
    assert entry["expires"] == timestamp(START + LATER + LIFETIME)


def test_what_is_told_late_is_pinned_for_the_full_retention_from_then_on() -> None:
    rig = Rig()
    closed(rig)
    rig.clock.advance(LATER)
    update(rig)
    ((_, pin),) = rig.ledger.pins.find(PID)
    assert pin.until == START + LATER + RETENTION


def test_a_job_in_progress_has_no_result() -> None:
    rig = Rig()
    rig.job(PID)
    expected = JobUpdate(JobState.IN_PROGRESS, "The datasets are being retrieved.")
    assert update(rig, JobState.IN_PROGRESS) == expected


def test_that_a_job_waits_for_the_catalogue_is_not_told_to_the_catalogue() -> None:
    rig = Rig()
    rig.job(PID)
    rig.ledger.jobs.move(JOB, JobState.IN_PROGRESS, "waiting for SciCat: it answers 503")
    assert update(rig, JobState.IN_PROGRESS).message == "The datasets are being retrieved."


def test_a_job_that_the_ledger_does_not_know_cannot_be_told_of() -> None:
    with pytest.raises(errors.JobNotFound):
        report.job_update(JobId("nobody"), JobState.SUCCESSFUL, Rig().tools)


def test_why_a_job_failed_as_a_whole_is_told_also_when_it_is_told_later() -> None:
    rig = Rig()
    rig.job(PID)
    why = errors.JobDeadlinePassed("30 days are over").failure()
    report.close_job(JOB, why, rig.tools)
    told = update(rig, JobState.UNSUCCESSFUL)
    assert (told.state, told.message) == (JobState.UNSUCCESSFUL, "The job failed: 30 days are over")
    assert [error["code"] for error in body(told)["errors"]] == ["job_deadline_passed"]


def test_a_job_whose_files_were_released_since_is_told_with_that_error_and_no_links() -> None:
    rig = Rig()
    closed(rig)
    rig.ledger.datablocks.move(rig.ledger.datablocks.of(PID)[0].key, DatablockState.RELEASED)
    after = update(rig)
    assert after.state is JobState.WITH_DATASET_ERRORS
    assert body(after)["result"] == []
    assert [error["code"] for error in body(after)["errors"]] == ["staged_file_missing"]


def test_a_dataset_whose_file_was_lost_before_it_was_told_is_not_claimed() -> None:
    rig = Rig()
    assert closed(rig) is JobState.SUCCESSFUL
    rig.staging.delete(rig.ledger.datablocks.of(PID)[0].key)
    told = update(rig)
    assert told.state is JobState.WITH_DATASET_ERRORS
    assert body(told)["result"] == []
    assert [error["code"] for error in body(told)["errors"]] == ["staged_file_missing"]


def test_a_lost_dataset_is_failed_in_the_ledger_too() -> None:
    rig = Rig()
    closed(rig)
    rig.staging.delete(rig.ledger.datablocks.of(PID)[0].key)
    update(rig)
    record = rig.ledger.jobs.get(JOB)
    assert record is not None
    assert record.state is JobState.WITH_DATASET_ERRORS
    assert [each.state for each in rig.ledger.jobs.datasets(JOB)] == [DatasetState.FAILED]


def test_a_loss_that_was_noted_by_an_attempt_that_died_is_told_by_the_next() -> None:
    rig = Rig()
    closed(rig)
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.FAILED, [MISMATCH])
    assert update(rig).state is JobState.WITH_DATASET_ERRORS


def test_the_end_of_a_job_that_is_retried_is_not_told_any_more() -> None:
    rig = Rig()
    assert closed(rig, Q) is JobState.WITH_DATASET_ERRORS
    intake.retry(JOB, rig.ledger.jobs)
    told = update(rig, JobState.WITH_DATASET_ERRORS)
    assert (told.state, told.result) == (JobState.SUBMITTED, None)


def entries_of(datasets: int) -> list[dict[str, Any]]:
    return [
        {
            "datasetId": f"d{number}",
            "size": number,
            "files": 2,
            "url": f"https://link/{number}",
            "expires": "x",
        }
        for number in range(datasets)
    ]


@settings(max_examples=examples(25))
@given(
    st.integers(0, 6000),
    st.integers(0, 6000),
    st.one_of(st.none(), st.integers(0, 6000)),
    st.integers(0, 500),
)
def test_a_result_of_any_job_fits_and_says_what_does_not_fit_in(
    datasets: int, errors_told: int, remarks: int | None, length: int
) -> None:
    error = {"datasetId": PID, "code": "c" * 30, "message": "\u6f22" * length}
    whole: dict[str, Any] = {"result": entries_of(datasets), "errors": [error] * errors_told}
    whole |= {} if remarks is None else {"remarks": [error] * remarks}
    kept = fitted(whole)
    assert len(json.dumps(kept)) < RESULT_LIMIT
    left_out = kept.pop("left_out", "")
    assert list(kept) == list(whole)
    for part, every in whole.items():
        assert kept[part] == every[: len(kept[part])]
    assert bool(left_out) == (kept != whole)
    missing = datasets - len(kept["result"])
    assert (f"{missing:,} of {datasets:,} datasets" in left_out) == bool(missing)


@pytest.mark.parametrize(("letter", "count"), [("m", 80), ("\u6f22", 499)])
def test_a_result_that_is_too_long_has_some_of_everything(letter: str, count: int) -> None:
    pid, message = "20.500.12345/" + letter * count, letter * report.MESSAGE_LIMIT
    error = {"datasetId": pid, "code": "c" * 30, "message": message}
    entries = [{**each, "datasetId": f"{each['datasetId']}{pid}"} for each in entries_of(20_000)]
    many = fitted({"result": entries, "errors": [error] * 20_000, "remarks": [error] * 20_000})
    assert len(json.dumps(many)) < RESULT_LIMIT
    assert all(len(many[part]) >= 20 for part in ("result", "errors", "remarks"))
    assert " of 20,000 datasets, " in many["left_out"]
    assert many["left_out"].endswith(" of 20,000 remarks do not fit in here: the page has them")


def test_a_result_does_not_grow_with_the_datablocks_of_a_dataset() -> None:
    sizes = set()
    for count in (11, 99):
        rig = Rig()
        rig.staged_dataset(*[rig.archive(number, archive_id=f"{number:02d}.tar") for number in range(count)])
        rig.job(PID)
        rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.RETRIEVED)
        told = update(rig, report.close_job(JOB, None, rig.tools))
        (entry,) = body(told)["result"]
        assert (entry["datablocks"], entry["files"]) == (count, count * len(FILES))
        sizes.add(len(json.dumps(body(told) | {"result": [entry | {"size": 0, "files": 0}]})))
    assert len(sizes) == 1


def test_of_more_datasets_than_scicat_can_carry_the_first_are_told_and_the_page_has_all() -> None:
    rig = Rig()
    pids = [DatasetPid(f"20.500.12345/{number}-" + "x" * 200_000) for number in range(6)]
    for pid in pids:
        rig.staged_dataset(rig.archive(pid=pid, archive_id=f"{pid[:14]}.tar"), pid=pid)
    rig.job(*pids)
    for pid in pids:
        rig.ledger.jobs.move_dataset(JOB, pid, DatasetState.RETRIEVED)
    state = report.close_job(JOB, None, rig.tools)
    told = update(rig, state)
    assert state is JobState.SUCCESSFUL
    assert len(json.dumps(body(told))) < RESULT_LIMIT
    page = rig.links.retrieval(JOB, 0)
    assert next(iter(body(told).items())) == ("url", page)
    assert [each["url"] for each in body(told)["result"]] == [f"{page}/datasets/{n}" for n in range(1, 5)]
    assert body(told)["left_out"] == "2 of 6 datasets do not fit in here: the page has them"
    assert told.message.startswith("6 of 6 datasets are ready for download until ")
    assert [page_of(rig, pid)["state"] for pid in pids] == ["ready"] * 6


def long_result(datasets: int, blocks: int) -> dict[str, Any]:
    """A result as facilities have them: pids of 36 digits, names of 60 letters."""
    rig = Rig()
    (record,) = rig.staged_dataset()
    page = f"{rig.links.retrieval(JOB, 0)}/datasets/"
    told = [
        dataset_entry(
            DatasetPid(f"20.500.12345/{UUID(int=number)}"),
            "n" * 60,
            f"{page}{number}",
            [record] * blocks,
            START,
        )
        for number in range(1, datasets + 1)
    ]
    return {"url": rig.links.retrieval(JOB, 0), **fitted({"result": told, "errors": []})}


def test_a_job_of_100_000_datablocks_has_all_its_datasets_in_the_result() -> None:
    result = long_result(100, 1000)
    assert sum(entry["datablocks"] for entry in result["result"]) == 100_000
    assert "left_out" not in result
    assert len(json.dumps(result)) < 60_000


def test_a_job_of_10_000_datasets_has_the_first_two_thousand_in_the_result() -> None:
    result = long_result(10_000, 1)
    assert len(json.dumps(result)) < RESULT_LIMIT
    assert len(result["result"]) > 2000
    assert "of 10,000 datasets do not fit in here" in result["left_out"]
