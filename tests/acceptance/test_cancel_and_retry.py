"""Jobs are cancelled and retried; two jobs share a dataset."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import httpx2

from stand_ins import local_http
from stand_ins.retrieval_page import datablocks
from stand_ins.running import TOKEN
from tests.acceptance.conftest import MakeFacility
from tests.acceptance.facility import (
    Facility,
    block_states,
    download,
    quick,
    retriever,
    running,
    some_datablocks,
    wait_until,
)

LARGE = 3 * 2**30
"""Bytes of an archive whose copy takes some seconds: zeros, so it takes no disk."""


def _ask(facility: Facility, method: str, path: str, **params: str) -> httpx2.Response:
    return local_http.request(
        method,
        f"{facility.folder.url}/api/v1/jobs/{path}",
        params=params,
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=30,
    )


def _retriever(facility: Facility, *arguments: str) -> subprocess.CompletedProcess[str]:
    return retriever(facility.folder.write_settings(), *arguments)


def _codes(job: dict[str, Any]) -> set[str]:
    return {error["code"] for error in job["jobResultObject"]["errors"]}


def test_cancelling_stops_a_transfer_within_seconds_and_leaves_nothing(patient: Facility) -> None:
    pid = patient.large_dataset(LARGE)
    service = running(patient)
    job_id = patient.ask_for(pid)
    wait_until(lambda: block_states(service, job_id) == ["copying"])
    begun = time.monotonic()
    answer = _ask(patient, "DELETE", job_id, by="Ada Lovelace")
    job = patient.wait_for(job_id)
    took = time.monotonic() - begun
    wait_until(lambda: patient.files_in_staging(pid) == [])
    assert answer.status_code == 202
    assert answer.json()["cancelledBy"] == "Ada Lovelace"
    assert job["statusCode"] == "finishedUnsuccessful"
    assert "cancelled by Ada Lovelace" in job["statusMessage"]
    assert _codes(job) == {"job_cancelled"}
    assert took < 20.0


def test_cancelling_one_of_two_jobs_leaves_the_other(patient: Facility) -> None:
    pid = patient.new_pid()
    (archive_id,) = patient.archive(pid, some_datablocks(pid, 1))
    bring_back = patient.put_aside(archive_id)
    service = running(patient)
    first, second = patient.ask_for(pid), patient.ask_for(pid)
    wait_until(lambda: block_states(service, first) == ["recalling"] == block_states(service, second))
    assert _ask(patient, "DELETE", first).status_code == 202
    cancelled = patient.wait_for(first)
    bring_back()
    delivered = patient.wait_for(second)
    assert cancelled["statusCode"] == "finishedUnsuccessful"
    assert delivered["statusCode"] == "finishedSuccessful"
    (entry,) = datablocks(delivered)
    assert entry["archiveId"] == archive_id


def test_an_ended_job_cannot_be_cancelled_and_a_whole_one_not_retried(patient: Facility) -> None:
    pid = patient.new_pid()
    patient.archive(pid, some_datablocks(pid, 1))
    job_id = patient.ask_for(pid)
    patient.wait_for(job_id)
    answers = [_ask(patient, "DELETE", job_id), _ask(patient, "POST", f"{job_id}/retry")]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert [answer.json()["type"].rpartition(":")[2] for answer in answers] == [
        "job_ended",
        "nothing_to_retry",
    ]


def test_a_retry_goes_on_from_what_is_verified(facility: Facility) -> None:
    pid = facility.new_pid()
    archives = facility.archive(pid, some_datablocks(pid, 4))
    bring_back = facility.put_aside(archives[2])
    job_id = facility.ask_for(pid)
    assert facility.wait_for(job_id)["statusCode"] == "finishedWithDatasetErrors"
    bring_back()
    for number in (0, 1, 3):  # what is verified is not read again
        (facility.folder.lts / archives[number]).unlink()
    retried = _retriever(facility, "jobs", "retry", job_id)
    wait_until(lambda: facility.scicat.job(job_id)["statusCode"] == "finishedSuccessful")
    result = datablocks(facility.scicat.job(job_id))
    contents = [download(entry["url"]) for entry in result]
    assert retried.returncode == 0, retried.stderr
    assert [entry["archiveId"] for entry in result] == archives
    assert all(contents)
    assert facility.lifecycle(pid)["retrieveStatusMessage"] == "datasetRetrieved"


def test_a_job_cancelled_while_the_engine_is_down_is_cancelled_when_it_is_up(patient: Facility) -> None:
    pid, _ = patient.late_dataset()
    service = running(patient)
    job_id = patient.ask_for(pid)
    wait_until(lambda: block_states(service, job_id) == ["recalling"])
    engine = patient.part("temporal")
    engine.suspend()
    cancelled = _retriever(patient, "jobs", "cancel", job_id, "--by", "Grace Hopper")
    engine.kill()
    job = patient.wait_for(job_id)
    assert cancelled.returncode == 0, cancelled.stderr
    assert "cancelled by Grace Hopper" in job["statusMessage"]


def test_a_report_that_could_not_be_told_is_told_when_asked_for(patient: Facility) -> None:
    kept, deleted = patient.new_pid(), patient.new_pid()
    patient.archive(kept, some_datablocks(kept, 1))
    (archive_id,) = patient.archive(deleted, some_datablocks(deleted, 1))
    bring_back = patient.put_aside(archive_id)
    service = running(patient)
    job_id = patient.ask_for(kept, deleted)
    wait_until(lambda: "recalling" in block_states(service, job_id))
    dataset = patient.scicat.store.datasets.pop(deleted)
    bring_back()
    status = service.wait_for_job(job_id)
    listed = _retriever(patient, "reports", "list", "--json")
    patient.scicat.store.datasets[deleted] = dataset
    retried = _retriever(patient, "reports", "retry", "--job", job_id)
    wait_until(lambda: str(patient.scicat.job(job_id)["statusCode"]).startswith("finished"))
    assert status["report"]["error"]["code"] == "catalogue_job_unclosable"
    reports = json.loads(listed.stdout)["reports"]
    assert job_id in {each["name"] for each in reports if each["state"] == "undeliverable"}
    assert retried.returncode == 0, retried.stderr


def test_a_second_job_for_a_staged_dataset_leaves_the_store_alone_and_extends_its_time(
    patient: Facility,
) -> None:
    pid = patient.new_pid()
    archives = patient.archive(pid, some_datablocks(pid, 2))
    first = patient.wait_for(patient.ask_for(pid))
    for archive_id in archives:
        (patient.folder.lts / archive_id).unlink()
    ended = time.time()
    wait_until(lambda: time.time() > ended + 1.0)  # links expire on whole seconds
    second = patient.wait_for(patient.ask_for(pid))
    contents = [download(entry["url"]) for entry in datablocks(second)]
    assert second["statusCode"] == "finishedSuccessful"
    assert all(contents)
    expiries = [min(e["expires"] for e in job["jobResultObject"]["result"]) for job in (first, second)]
    assert expiries[0] < expiries[1]


def test_a_command_says_when_the_api_is_not_there(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick())
    answer = _retriever(facility, "jobs", "show", "unknown")
    assert answer.returncode == 1
    assert "does not answer" in answer.stderr
