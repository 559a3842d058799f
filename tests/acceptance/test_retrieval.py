"""The flow as SciCat sees it: what it is told, in which order, in each branch of the diagram."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from stand_ins import local_http
from stand_ins.retrieval_page import datablocks
from stand_ins.running import TOKEN
from tests.acceptance.facility import Facility, download, some_datablocks, some_files, tar_of

RETRIEVED = {
    "retrieveStatusMessage": "datasetRetrieved",
    "retrievable": True,
    "retrieveIntegrityCheck": True,
}


def _subset(body: dict[str, object], wanted: dict[str, object]) -> bool:
    return all(body.get(key) == value for key, value in wanted.items())


def test_two_datasets_of_four_datablocks_are_reported_in_the_order_of_the_diagram(facility: Facility) -> None:
    pids = [facility.new_pid(), facility.new_pid()]
    contents = {pid: some_datablocks(pid, 4) for pid in pids}
    archives = {pid: facility.archive(pid, contents[pid]) for pid in pids}
    before = facility.scicat.dataset(pids[0])["updatedAt"]

    job_id = facility.ask_for(*pids)
    job = facility.wait_for(job_id)

    told = facility.told(job_id, *pids)
    assert told[0] == (
        job_id,
        {"statusCode": "inProgress", "statusMessage": "The datasets are being retrieved."},
    )
    assert told[-1][0] == job_id
    assert told[-1][1]["statusCode"] == "finishedSuccessful"
    assert len(told) == 6
    for pid in pids:
        of_dataset = [body for subject, body in told if subject == pid]
        assert of_dataset[0] == {"retrieveStatusMessage": "started"}
        assert _subset(of_dataset[1], RETRIEVED)
        assert len(of_dataset) == 2
        assert facility.lifecycle(pid)["retrieveStatusMessage"] == "datasetRetrieved"

    result = job["jobResultObject"]
    assert result["errors"] == []
    assert [(entry["datasetId"], entry["datablocks"], entry["files"]) for entry in result["result"]] == [
        (pid, len(archives[pid]), 3 * len(archives[pid])) for pid in pids
    ]
    blocks = datablocks(job)
    assert {(entry["datasetId"], entry["archiveId"]) for entry in blocks} == {
        (pid, archive_id) for pid in pids for archive_id in archives[pid]
    }
    for entry in blocks:
        original = (facility.folder.lts / entry["archiveId"]).read_bytes()
        assert download(entry["url"]) == original
        assert entry["size"] == len(original)
        assert entry["files"] == 3
        assert entry["integrity"] == "verified"
        assert entry["checksum"].startswith("xxh3-128:")
        assert datetime.fromisoformat(entry["expires"]) > datetime.now(UTC) + timedelta(days=6)
    after = facility.scicat.dataset(pids[0])
    assert (after["updatedBy"], after["updatedAt"] > before) == ("archiveManager", True)
    assert (job["updatedBy"], job["updatedAt"] > job["createdAt"]) == ("archiveManager", True)


def test_a_corrupt_dataset_fails_and_the_other_one_is_delivered(facility: Facility) -> None:
    good, bad = facility.new_pid(), facility.new_pid()
    facility.archive(good, some_datablocks(good, 2))
    archives = facility.archive(bad, some_datablocks(bad, 3))
    damaged = facility.folder.lts / archives[1]
    content = bytearray(damaged.read_bytes())
    content[600] ^= 1
    damaged.write_bytes(content)

    job_id = facility.ask_for(good, bad)
    job = facility.wait_for(job_id)

    assert job["statusCode"] == "finishedWithDatasetErrors"
    result = job["jobResultObject"]
    assert {entry["datasetId"] for entry in result["result"]} == {good}
    (error,) = result["errors"]
    assert (error["datasetId"], error["archiveId"]) == (bad, archives[1])
    assert (error["code"], error["who"]) == ("checksum_mismatch", "operator")
    lifecycle = facility.lifecycle(bad)
    assert lifecycle["retrieveStatusMessage"] == "datasetRetrievalFailed"
    assert lifecycle["retrieveReturnMessage"]["status"] == "retrievalFailed"
    assert lifecycle["retrieveReturnMessage"]["code"] == "checksum_mismatch"
    assert lifecycle["archiveStatusMessage"] == "datasetOnArchiveDisk"
    assert facility.lifecycle(good)["retrieveStatusMessage"] == "datasetRetrieved"
    assert facility.datablocks_in_staging(bad) == [0, 2], (
        "what is right is kept for a retry, and nothing else"
    )
    for entry in datablocks(job):
        assert download(entry["url"]) == (facility.folder.lts / entry["archiveId"]).read_bytes()


def test_the_next_success_clears_an_old_error(facility: Facility) -> None:
    pid = facility.new_pid()
    (archive_id,) = facility.archive(pid, [some_files("a")])
    path = facility.folder.lts / archive_id
    whole = path.read_bytes()
    path.write_bytes(whole[:-3000])
    assert facility.wait_for(facility.ask_for(pid))["statusCode"] == "finishedWithDatasetErrors"
    assert facility.lifecycle(pid)["retrieveReturnMessage"]["code"] == "archive_incomplete"

    path.write_bytes(whole)
    assert facility.wait_for(facility.ask_for(pid))["statusCode"] == "finishedSuccessful"
    lifecycle = facility.lifecycle(pid)
    assert lifecycle["retrieveStatusMessage"] == "datasetRetrieved"
    assert not lifecycle.get("retrieveReturnMessage")


def test_a_missing_datablock_is_told_with_its_name_and_only_what_is_right_is_left_in_staging(
    facility: Facility,
) -> None:
    pid = facility.new_pid()
    archives = facility.archive(pid, some_datablocks(pid, 4))
    (facility.folder.lts / archives[2]).unlink()

    job_id = facility.ask_for(pid)
    job = facility.wait_for(job_id)

    assert job["statusCode"] == "finishedWithDatasetErrors"
    assert job["jobResultObject"]["result"] == []
    (error,) = job["jobResultObject"]["errors"]
    assert (error["code"], error["archiveId"], error["who"]) == ("datablock_missing", archives[2], "operator")
    assert archives[2] in error["message"]
    assert facility.lifecycle(pid)["retrieveStatusMessage"] == "datasetRetrievalFailed"
    assert [
        body["retrieveStatusMessage"] for subject, body in facility.told(job_id, pid) if subject == pid
    ] == [
        "started",
        "datasetRetrievalFailed",
    ]
    assert facility.datablocks_in_staging(pid) == [0, 1, 3]


def test_an_archive_that_appears_late_is_waited_for(patient: Facility) -> None:
    pid = patient.new_pid()
    (archive_id,) = patient.archive(pid, [some_files("late")])
    bring_back = patient.put_aside(archive_id)

    job_id = patient.ask_for(pid)
    waiting = _wait_for_reason(patient, job_id)
    bring_back()
    job = patient.wait_for(job_id)

    assert archive_id in waiting
    assert job["statusCode"] == "finishedSuccessful"


def _wait_for_reason(facility: Facility, job_id: str) -> str:
    assert facility.service is not None
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for dataset in facility.service.job(job_id)["datasets"]:
            for block in dataset["datablocks"]:
                if block.get("waitingFor"):
                    return str(block["waitingFor"])
        time.sleep(0.02)
    raise TimeoutError("no datablock says that it waits")


def test_all_of_250_datablocks_are_delivered(facility: Facility) -> None:
    pid = facility.new_pid()
    archives = facility.archive(pid, some_datablocks("many", 250))

    job = facility.wait_for(facility.ask_for(pid), 120)

    assert job["statusCode"] == "finishedSuccessful"
    assert sorted(entry["archiveId"] for entry in datablocks(job)) == archives


def test_the_same_job_posted_twenty_times_at_once_runs_once_and_answers_the_same(facility: Facility) -> None:
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 2))
    job_id = facility.ask_for(pid)
    body = {"id": job_id, "type": "retrieve", "jobParams": {"datasetList": [{"pid": pid, "files": []}]}}
    start = threading.Barrier(20)

    def post(_: int) -> tuple[int, str]:
        start.wait()
        answer = local_http.post(
            f"{facility.folder.url}/api/v1/jobs",
            json=body,
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=30,
        )
        return answer.status_code, answer.text

    with ThreadPoolExecutor(20) as threads:
        answers = set(threads.map(post, range(20)))
    job = facility.wait_for(job_id)

    assert len(answers) == 1
    assert next(iter(answers))[0] == 201
    assert job["statusCode"] == "finishedSuccessful"
    assert len(facility.told(job_id, pid)) == 4


def test_a_v3_job_is_retrieved(facility: Facility) -> None:
    pid = facility.new_pid()
    facility.archive(pid, [some_files("v3")])
    job = facility.wait_for(facility.ask_for(pid, version="v3"))
    assert job["statusCode"] == "finishedSuccessful"


def test_a_dataset_without_datablocks_is_an_error(facility: Facility) -> None:
    pid = facility.new_pid()
    facility.archive(pid, [])
    job = facility.wait_for(facility.ask_for(pid))
    assert job["statusCode"] == "finishedWithDatasetErrors"
    (error,) = job["jobResultObject"]["errors"]
    assert error["code"] == "datablocks_missing"


def test_a_dataset_that_declares_more_files_than_all_its_datablocks_hold_is_retrieved_and_the_result_says_so(
    facility: Facility,
) -> None:
    pid = facility.new_pid()
    facility.archive(pid, [some_files("few")])
    facility.scicat.store.datasets[pid]["numberOfFilesArchived"] = 99
    job = facility.wait_for(facility.ask_for(pid))
    assert job["statusCode"] == "finishedSuccessful"
    result = job["jobResultObject"]
    assert len(result["result"]) == 1
    (remark,) = result["remarks"]
    assert (remark["datasetId"], remark["code"]) == (pid, "sums_differ")
    assert "declares 99 archived files, its 1 datablocks hold 3" in remark["message"]


def test_an_extra_file_in_the_archive_is_refused(facility: Facility) -> None:
    pid = facility.new_pid()
    content = some_files("extra")
    facility.scicat.add_dataset(pid)
    entry = facility.datablock(pid, 0, content)
    path = facility.folder.lts / str(entry["archiveId"])
    path.write_bytes(tar_of({**content, "extra/stranger.dat": b"who put this here"}))
    facility.scicat.add_datablocks(pid, [{**entry, "packedSize": path.stat().st_size}])
    job = facility.wait_for(facility.ask_for(pid))
    assert [error["code"] for error in job["jobResultObject"]["errors"]] == ["member_unexpected"]
