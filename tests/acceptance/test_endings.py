"""How datasets and jobs end when something goes wrong at an awkward moment: truthfully, and in time."""

from __future__ import annotations

import asyncio
import os

from scicat_retriever.workflow.engine.connection import EngineAccess, connect
from stand_ins.running import RunningService
from tests.acceptance.conftest import MakeFacility
from tests.acceptance.facility import Facility, block_states, quick, running, some_datablocks, wait_until


def _cancel_flow(port: int, name: str) -> None:
    async def cancel() -> None:
        client = await connect(EngineAccess(f"127.0.0.1:{port}", "default", ()))
        await client.get_workflow_handle(name).cancel()

    asyncio.run(cancel())


def test_a_copy_that_takes_longer_than_allowed_ends_with_that_reason(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick(flow={"transfer_timeout": 0.5}, lts={"offline_by_blocks": False}))
    pid = facility.large_dataset(3 * 2**30)  # takes a few seconds to copy
    with RunningService(facility.folder) as service:
        facility.service = service
        job = facility.wait_for(facility.ask_for(pid))
    assert [error["code"] for error in job["jobResultObject"]["errors"]] == ["transfer_timed_out"]
    assert facility.lifecycle(pid)["retrieveStatusMessage"] == "scheduleRetrieveJobFailed"


def test_a_job_cancelled_while_success_is_told_leaves_scicat_and_staging_in_agreement(
    patient: Facility,
) -> None:
    pid, bring_back = patient.late_dataset()
    job_id = patient.ask_for(pid)
    told = f"{pid}/datasetlifecycle"
    patient.scicat.log.wait_for(1, method="PATCH", path_contains=told, status=200, deadline_seconds=60)
    patient.scicat.faults.delay(3.0, method="PATCH", path_contains=told, times=1)
    bring_back()
    patient.scicat.log.wait_for(2, method="PATCH", path_contains=told, deadline_seconds=60)
    _cancel_flow(patient.engine_port, f"retrieve-job-{job_id}")
    job = patient.wait_for(job_id)
    wait_until(lambda: patient.lifecycle(pid)["retrieveStatusMessage"] != "started")
    lifecycle = patient.lifecycle(pid)
    told_retrieved = lifecycle["retrieveStatusMessage"] == "datasetRetrieved"
    # The job's own end may have been decided before the wish to cancel came.
    assert job["statusCode"] == ("finishedSuccessful" if told_retrieved else "finishedUnsuccessful")
    assert told_retrieved == bool(patient.files_in_staging(pid))
    assert told_retrieved == (not lifecycle.get("retrieveReturnMessage"))


def test_a_job_that_asks_for_a_dataset_just_abandoned_gets_it(patient: Facility) -> None:
    pid, bring_back = patient.late_dataset()
    service = running(patient)
    first = patient.ask_for(pid)
    wait_until(lambda: block_states(service, first) == ["recalling"])
    patient.scicat.faults.fail(503, times=6, path_contains=f"/datasets/{pid}")
    _cancel_flow(patient.engine_port, f"retrieve-job-{first}")
    patient.scicat.log.wait_for(1, status=503, path_contains=f"/datasets/{pid}", deadline_seconds=60)
    second = patient.ask_for(pid)
    bring_back()
    job = patient.wait_for(second)
    assert job["statusCode"] == "finishedSuccessful"


def test_staged_files_lost_before_success_was_told_fail_the_dataset(patient: Facility) -> None:
    pid, bring_back = patient.late_dataset()
    service = running(patient)
    job_id = patient.ask_for(pid)
    wait_until(lambda: block_states(service, job_id) == ["recalling"])
    patient.scicat.faults.fail(503, times=None, path_contains="/datasets/")
    bring_back()
    wait_until(lambda: block_states(service, job_id) == ["staged"])
    for path in patient.files_in_staging(pid):
        path.unlink()
    patient.scicat.faults.clear()
    job = patient.wait_for(job_id)
    assert [error["code"] for error in job["jobResultObject"]["errors"]] == ["staged_file_missing"]


def test_an_archive_that_never_comes_back_from_tape_ends_with_that_reason(facility: Facility) -> None:
    pid = facility.new_pid()
    (archive_id,) = facility.archive(pid, some_datablocks(pid, 1))
    stub = facility.folder.lts / archive_id
    size = stub.stat().st_size
    stub.unlink()
    stub.touch()
    os.truncate(stub, size)  # as an HSM leaves a file: its size, and no blocks
    job = facility.wait_for(facility.ask_for(pid))
    assert [error["code"] for error in job["jobResultObject"]["errors"]] == ["recall_timed_out"]


def test_the_status_says_that_a_job_waits_for_scicat(patient: Facility) -> None:
    pid = patient.new_pid()
    patient.archive(pid, some_datablocks(pid, 1))
    service = running(patient)
    patient.scicat.faults.fail(503, times=None, method="PATCH")
    job_id = patient.ask_for(pid)
    wait_until(lambda: "waiting for SciCat" in str(service.job(job_id)["message"]))
    patient.scicat.faults.clear()
    job = patient.wait_for(job_id)
    assert job["statusCode"] == "finishedSuccessful"


def test_a_dataset_with_an_odd_entry_fails_alone_and_at_once(patient: Facility) -> None:
    odd, sound = patient.new_pid(), patient.new_pid()
    for pid in (odd, sound):
        patient.archive(pid, some_datablocks(pid, 1))
    patient.scicat.store.datasets[odd]["numberOfFilesArchived"] = -2
    job = patient.wait_for(patient.ask_for(odd, sound))
    assert job["statusCode"] == "finishedWithDatasetErrors"
    result = job["jobResultObject"]
    assert [(each["datasetId"], each["code"]) for each in result["errors"]] == [
        (odd, "catalogue_entry_invalid")
    ]
    assert [each["datasetId"] for each in result["result"]] == [sound]
    assert patient.lifecycle(odd)["retrieveStatusMessage"] == "datasetRetrievalFailed"
