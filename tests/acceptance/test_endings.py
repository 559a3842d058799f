"""How datasets and jobs end when something goes wrong at an awkward moment: truthfully, and in time."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from scicat_retriever.workflow.engine.connection import EngineAccess, connect
from stand_ins.running import RunningService, free_port
from stand_ins.scicat import RELEASES
from tests.acceptance.conftest import MakeFacility
from tests.acceptance.facility import (
    Facility,
    adopt_staging,
    block_states,
    quick,
    some_datablocks,
    wait_until,
)


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
    make_facility: MakeFacility,
) -> None:
    port = free_port()
    facility = make_facility(**quick(flow={"appear_timeout": 60.0}, engine={"port": port}))
    pid, bring_back = facility.late_dataset()
    with RunningService(facility.folder) as service:
        facility.service = service
        job_id = facility.ask_for(pid)
        facility.scicat.log.wait_for(1, method="PATCH", path_contains="datasetlifecycle", status=200)
        facility.scicat.faults.delay(3.0, method="PATCH", path_contains="datasetlifecycle", times=1)
        bring_back()
        facility.scicat.log.wait_for(2, method="PATCH", path_contains="datasetlifecycle", deadline_seconds=30)
        _cancel_flow(port, f"retrieve-job-{job_id}")
        job = facility.wait_for(job_id)
        wait_until(lambda: facility.lifecycle(pid)["retrieveStatusMessage"] != "started")
    lifecycle = facility.lifecycle(pid)
    told_retrieved = lifecycle["retrieveStatusMessage"] == "datasetRetrieved"
    # The job's own end may have been decided before the wish to cancel came.
    assert job["statusCode"] == ("finishedSuccessful" if told_retrieved else "finishedUnsuccessful")
    assert told_retrieved == bool(facility.files_in_staging(pid))
    assert told_retrieved == (not lifecycle.get("retrieveReturnMessage"))


def test_a_job_that_asks_for_a_dataset_just_abandoned_gets_it(make_facility: MakeFacility) -> None:
    port = free_port()
    facility = make_facility(**quick(flow={"appear_timeout": 60.0}, engine={"port": port}))
    pid, bring_back = facility.late_dataset()
    with RunningService(facility.folder) as service:
        facility.service = service
        first = facility.ask_for(pid)
        wait_until(lambda: block_states(service, first) == ["recalling"])
        facility.scicat.faults.fail(503, times=6, path_contains="/datasets/")
        _cancel_flow(port, f"retrieve-job-{first}")
        facility.scicat.log.wait_for(1, status=503, path_contains="/datasets/", deadline_seconds=30)
        second = facility.ask_for(pid)
        bring_back()
        job = facility.wait_for(second)
    assert job["statusCode"] == "finishedSuccessful"


def test_a_dataset_whose_staging_is_gone_waits_for_it_and_says_so(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick(flow={"transfer_attempts": 2, "appear_timeout": 60.0}))
    pid, bring_back = facility.late_dataset()
    with RunningService(facility.folder) as service:
        facility.service = service
        job_id = facility.ask_for(pid)
        wait_until(lambda: block_states(service, job_id) == ["recalling"])
        shutil.rmtree(facility.folder.staging)
        bring_back()
        wait_until(lambda: "has lost its marker" in str(service.job(job_id)))
        assert facility.lifecycle(pid)["retrieveStatusMessage"] == "started"
        adopt_staging(facility.folder)
        assert facility.wait_for(job_id)["statusCode"] == "finishedSuccessful"


def test_a_job_that_comes_while_staging_is_gone_fails_and_says_who_has_to_act(
    make_facility: MakeFacility,
) -> None:
    facility = make_facility(**quick(flow={"space_timeout": 8.0, "catalogue_timeout": 8.0}))
    pid, other = facility.new_pid(), facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 1))
    facility.archive(other, some_datablocks(other, 1))
    with RunningService(facility.folder) as service:
        facility.service = service
        assert facility.wait_for(facility.ask_for(other))["statusCode"] == "finishedSuccessful"
        shutil.rmtree(facility.folder.staging)
        job = facility.wait_for(facility.ask_for(pid))
    assert job["statusCode"] == "finishedUnsuccessful"
    (error,) = job["jobResultObject"]["errors"]
    assert (error["code"], error["who"]) == ("staging_not_ours", "operator")


def test_staged_files_lost_before_success_was_told_fail_the_dataset(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick(flow={"appear_timeout": 60.0}))
    pid, bring_back = facility.late_dataset()
    with RunningService(facility.folder) as service:
        facility.service = service
        job_id = facility.ask_for(pid)
        wait_until(lambda: block_states(service, job_id) == ["recalling"])
        facility.scicat.faults.fail(503, times=None, path_contains="/datasets/")
        bring_back()
        wait_until(lambda: block_states(service, job_id) == ["staged"])
        for path in facility.files_in_staging(pid):
            path.unlink()
        facility.scicat.faults.clear()
        job = facility.wait_for(job_id)
    assert [error["code"] for error in job["jobResultObject"]["errors"]] == ["staged_file_missing"]


def test_space_is_claimed_for_archives_whose_size_the_catalogue_does_not_know(
    make_facility: MakeFacility,
) -> None:
    facility = make_facility(**quick(staging={"capacity_bytes": 3_000_000}))
    pid = facility.new_pid()
    facility.scicat.add_dataset(pid)
    blocks = [facility.datablock(pid, number, {"x.dat": os.urandom(1_000_000)}) for number in range(6)]
    facility.scicat.add_datablocks(pid, [{**block, "packedSize": 0} for block in blocks])
    with RunningService(facility.folder) as service:
        facility.service = service
        job = facility.wait_for(facility.ask_for(pid))
    assert {error["code"] for error in job["jobResultObject"]["errors"]} == {"larger_than_staging"}


def test_an_archive_that_never_comes_back_from_tape_ends_with_that_reason(
    make_facility: MakeFacility,
) -> None:
    facility = make_facility(**quick(flow={"recall_timeout": 1.0}))
    pid = facility.new_pid()
    (archive_id,) = facility.archive(pid, some_datablocks(pid, 1))
    stub = facility.folder.lts / archive_id
    size = stub.stat().st_size
    stub.unlink()
    stub.touch()
    os.truncate(stub, size)  # as an HSM leaves a file: its size, and no blocks
    with RunningService(facility.folder) as service:
        facility.service = service
        job = facility.wait_for(facility.ask_for(pid))
    assert [error["code"] for error in job["jobResultObject"]["errors"]] == ["recall_timed_out"]


def test_the_status_says_that_a_job_waits_for_scicat(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick())
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 1))
    with RunningService(facility.folder) as service:
        facility.service = service
        facility.scicat.faults.fail(503, times=None, method="PATCH")
        job_id = facility.ask_for(pid)
        wait_until(lambda: "waiting for SciCat" in str(service.job(job_id)["message"]))
        facility.scicat.faults.clear()
        job = facility.wait_for(job_id)
    assert job["statusCode"] == "finishedSuccessful"


def test_a_dataset_with_an_odd_entry_fails_alone_and_at_once(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick())
    odd, sound = facility.new_pid(), facility.new_pid()
    for pid in (odd, sound):
        facility.archive(pid, some_datablocks(pid, 1))
    facility.scicat.store.datasets[odd]["numberOfFilesArchived"] = -2
    with RunningService(facility.folder) as service:
        facility.service = service
        job = facility.wait_for(facility.ask_for(odd, sound))
    assert job["statusCode"] == "finishedWithDatasetErrors"
    result = job["jobResultObject"]
    assert [(each["datasetId"], each["code"]) for each in result["errors"]] == [
        (odd, "catalogue_entry_invalid")
    ]
    assert [each["datasetId"] for each in result["result"]] == [sound]
    assert facility.lifecycle(odd)["retrieveStatusMessage"] == "datasetRetrievalFailed"


def test_a_dataset_that_declares_more_than_its_datablocks_hold_fails_where_that_is_asked_for(
    make_facility: MakeFacility,
) -> None:
    facility = make_facility(**quick(flow={"check_declared_sums": True}))
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 1))
    facility.scicat.store.datasets[pid]["numberOfFilesArchived"] = 99
    with RunningService(facility.folder) as service:
        facility.service = service
        job = facility.wait_for(facility.ask_for(pid))
    assert [error["code"] for error in job["jobResultObject"]["errors"]] == ["datablocks_missing"]


def test_a_dataset_is_retrieved_where_the_list_shows_the_account_no_datablocks(tmp_path: Path) -> None:
    with Facility.open(tmp_path, quick(), release=RELEASES["master"]) as facility:
        pid = facility.new_pid()
        facility.archive(pid, some_datablocks(pid, 3))
        with RunningService(facility.folder) as service:
            facility.service = service
            job = facility.wait_for(facility.ask_for(pid))
    assert job["statusCode"] == "finishedSuccessful"
    assert len(job["jobResultObject"]["result"]) == 3
