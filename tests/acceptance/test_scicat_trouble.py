"""SciCat away, slow, forgetful: every update still arrives, and no state is told that is not so."""

from __future__ import annotations

from tests.acceptance.facility import Facility, some_datablocks


def test_updates_arrive_although_scicat_answers_503_for_a_while(facility: Facility) -> None:
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 2))
    facility.scicat.faults.fail(503, times=6, method="PATCH")

    job_id = facility.ask_for(pid)
    job = facility.wait_for(job_id)

    assert len(facility.scicat.log.requests(status=503)) == 6
    assert job["statusCode"] == "finishedSuccessful"
    assert [
        body["retrieveStatusMessage"] for subject, body in facility.told(job_id, pid) if subject == pid
    ] == [
        "started",
        "datasetRetrieved",
    ]


def test_updates_arrive_although_scicat_drops_connections_before_and_after_the_write(
    facility: Facility,
) -> None:
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 2))
    facility.scicat.faults.drop(times=2, method="PATCH", when="before")
    facility.scicat.faults.drop(times=2, method="PATCH", when="after")

    job = facility.wait_for(facility.ask_for(pid))

    assert job["statusCode"] == "finishedSuccessful"
    assert len(job["jobResultObject"]["result"]) == 2
    assert facility.lifecycle(pid)["retrieveStatusMessage"] == "datasetRetrieved"


def test_a_500_after_the_write_is_not_taken_for_a_failure(facility: Facility) -> None:
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 1))
    facility.scicat.faults.fail(500, times=2, method="PATCH", path_contains="datasetlifecycle", when="after")

    job = facility.wait_for(facility.ask_for(pid))

    assert job["statusCode"] == "finishedSuccessful"
    assert facility.lifecycle(pid)["retrieveIntegrityCheck"] is True


def test_a_login_that_expires_in_mid_flow_is_renewed(facility: Facility) -> None:
    pid = facility.new_pid()
    (archive_id,) = facility.archive(pid, some_datablocks(pid, 1))
    path = facility.folder.lts / archive_id
    aside = path.with_suffix(".aside")
    path.rename(aside)
    job_id = facility.ask_for(pid)
    facility.scicat.log.wait_for(1, method="PATCH", path_contains=job_id)
    logins = len(facility.scicat.log.requests(method="POST", path_contains="/auth/login"))

    facility.scicat.expire_tokens()
    aside.rename(path)
    job = facility.wait_for(job_id)

    assert job["statusCode"] == "finishedSuccessful"
    renewed = facility.scicat.log.requests(method="POST", path_contains="/auth/login")[logins:]
    assert any(request.username != "scientist" for request in renewed)


def test_a_dataset_deleted_in_mid_flow_ends_the_job_with_a_reason_and_without_a_hot_loop(
    facility: Facility,
) -> None:
    pid = facility.new_pid()
    (archive_id,) = facility.archive(pid, some_datablocks(pid, 1))
    path = facility.folder.lts / archive_id
    aside = path.with_suffix(".aside")
    path.rename(aside)
    job_id = facility.ask_for(pid)
    facility.scicat.log.wait_for(1, method="PATCH", path_contains="datasetlifecycle")
    facility.scicat.log.wait_for(1, method="PATCH", path_contains=job_id)
    assert facility.service is not None

    del facility.scicat.store.datasets[pid]
    aside.rename(path)
    status = facility.service.wait_for_job(job_id)

    assert status["report"]["state"] == "undeliverable"
    assert status["report"]["error"]["code"] == "catalogue_job_unclosable"
    assert status["report"]["error"]["who"] == "operator"
    assert len(facility.scicat.log.requests(method="PATCH", path_contains=job_id)) < 10
    assert facility.files_in_staging(pid) == []
