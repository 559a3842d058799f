"""SciCat away, slow, forgetful: every update still arrives, and no state is told that is not so."""

from __future__ import annotations

from stand_ins.retrieval_page import datablocks
from tests.acceptance.facility import Facility, block_states, running, some_datablocks, wait_until


def test_updates_arrive_although_scicat_answers_503_for_a_while(patient: Facility) -> None:
    pid = patient.new_pid()
    patient.archive(pid, some_datablocks(pid, 2))
    before = len(patient.scicat.log.requests(status=503))
    patient.scicat.faults.fail(503, times=6, method="PATCH")

    job_id = patient.ask_for(pid)
    job = patient.wait_for(job_id)

    assert len(patient.scicat.log.requests(status=503)) == before + 6
    assert job["statusCode"] == "finishedSuccessful"
    assert [
        body["retrieveStatusMessage"] for subject, body in patient.told(job_id, pid) if subject == pid
    ] == [
        "started",
        "datasetRetrieved",
    ]


def test_updates_arrive_although_scicat_drops_connections_before_and_after_the_write(
    patient: Facility,
) -> None:
    pid = patient.new_pid()
    patient.archive(pid, some_datablocks(pid, 2))
    patient.scicat.faults.drop(times=2, method="PATCH", when="before")
    patient.scicat.faults.drop(times=2, method="PATCH", when="after")

    job = patient.wait_for(patient.ask_for(pid))

    assert job["statusCode"] == "finishedSuccessful"
    assert len(datablocks(job)) == 2
    assert patient.lifecycle(pid)["retrieveStatusMessage"] == "datasetRetrieved"


def test_a_500_after_the_write_is_not_taken_for_a_failure(patient: Facility) -> None:
    pid = patient.new_pid()
    patient.archive(pid, some_datablocks(pid, 1))
    patient.scicat.faults.fail(500, times=2, method="PATCH", path_contains="datasetlifecycle", when="after")

    job = patient.wait_for(patient.ask_for(pid))

    assert job["statusCode"] == "finishedSuccessful"
    assert patient.lifecycle(pid)["retrieveIntegrityCheck"] is True


def test_a_login_that_expires_in_mid_flow_is_renewed(patient: Facility) -> None:
    pid = patient.new_pid()
    (archive_id,) = patient.archive(pid, some_datablocks(pid, 1))
    path = patient.folder.lts / archive_id
    aside = path.with_suffix(".aside")
    path.rename(aside)
    job_id = patient.ask_for(pid)
    patient.scicat.log.wait_for(1, method="PATCH", path_contains=job_id)
    logins = len(patient.scicat.log.requests(method="POST", path_contains="/auth/login"))

    patient.scicat.expire_tokens()
    aside.rename(path)
    job = patient.wait_for(job_id)

    assert job["statusCode"] == "finishedSuccessful"
    renewed = patient.scicat.log.requests(method="POST", path_contains="/auth/login")[logins:]
    assert any(request.username != "scientist" for request in renewed)


def test_a_dataset_deleted_in_mid_flow_ends_the_job_with_a_reason_and_without_a_hot_loop(
    patient: Facility,
) -> None:
    pid = patient.new_pid()
    (archive_id,) = patient.archive(pid, some_datablocks(pid, 1))
    bring_back = patient.put_aside(archive_id)
    # Its flow has begun, and has not read yet what there is to copy.
    patient.scicat.faults.fail(503, times=None, path_contains=f"/datasets/{pid}")
    job_id = patient.ask_for(pid)
    patient.scicat.log.wait_for(1, status=503, path_contains=f"/datasets/{pid}")
    patient.scicat.log.wait_for(1, method="PATCH", path_contains=job_id)
    assert patient.service is not None

    del patient.scicat.store.datasets[pid]
    patient.scicat.faults.clear()
    bring_back()
    status = patient.service.wait_for_job(job_id)

    assert status["report"]["state"] == "undeliverable"
    assert status["report"]["error"]["code"] == "catalogue_job_unclosable"
    assert status["report"]["error"]["who"] == "operator"
    assert len(patient.scicat.log.requests(method="PATCH", path_contains=job_id)) < 10
    wait_until(lambda: patient.files_in_staging(pid) == [])


def test_a_dataset_deleted_after_it_was_planned_ends_the_job_with_a_reason_and_keeps_its_files(
    patient: Facility,
) -> None:
    pid, bring_back = patient.late_dataset()
    service = running(patient)
    job_id = patient.ask_for(pid)
    wait_until(lambda: block_states(service, job_id) == ["recalling"])

    del patient.scicat.store.datasets[pid]
    bring_back()
    status = service.wait_for_job(job_id)

    assert status["state"] == "finishedSuccessful"
    assert status["report"]["state"] == "undeliverable"
    assert status["report"]["error"]["code"] == "catalogue_job_unclosable"
    assert status["report"]["error"]["who"] == "operator"
    assert pid in status["report"]["error"]["message"]
    assert [block["state"] for block in status["datasets"][0]["datablocks"]] == ["staged"]
    assert len(patient.files_in_staging(pid)) == 1
    assert len(patient.scicat.log.requests(method="PATCH", path_contains=job_id)) < 10
    assert len(patient.scicat.log.requests(method="PATCH", path_contains=f"{pid}/datasetlifecycle")) < 10
