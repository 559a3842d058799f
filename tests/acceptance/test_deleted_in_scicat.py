"""A dataset of a job is deleted in SciCat, which then refuses every update of the job: the others are delivered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stand_ins.running import RunningService
from stand_ins.scicat import PROFILES, log_in, submit_retrieve_job
from tests.acceptance.facility import Facility, download, quick, some_datablocks, wait_until


def _delete(facility: Facility, pid: str) -> None:
    assert facility.scicat.store.remove_dataset(pid, with_datablocks=True) is not None


def _links(facility: Facility, pid: str) -> list[dict[str, Any]]:
    """The links that a dataset itself was told."""
    message = facility.lifecycle(pid).get("retrieveReturnMessage") or {}
    return list(message.get("result", []))


def _seen_to_its_end(
    facility: Facility, service: RunningService, job_id: str, pid: str, deleted: str
) -> None:
    """Wait for a job to end that SciCat does not let be closed, and see what users and operators are told."""
    wait_until(lambda: _links(facility, pid) != [])
    report = service.job(job_id)["report"]
    assert (report["state"], report["error"]["code"]) == ("undeliverable", "catalogue_job_unclosable")
    assert deleted in report["error"]["message"]
    (entry,) = _links(facility, pid)
    (archive,) = (facility.folder.lts / pid.rpartition("/")[2]).glob("*.tar")
    assert download(entry["url"]) == archive.read_bytes()
    lifecycle = facility.lifecycle(pid)
    assert lifecycle["retrieveStatusMessage"] == "datasetRetrieved"
    assert job_id in lifecycle["retrieveReturnMessage"]["message"]


def test_a_job_of_which_a_dataset_is_deleted_brings_the_others_whenever_that_is(tmp_path: Path) -> None:
    settings = quick(flow={"reconcile_interval": 1.0, "appear_timeout": 60.0})
    with Facility.open(tmp_path, settings, groups=PROFILES["job_privileged"]) as facility:
        before, late = facility.new_pid(), facility.new_pid()
        doomed, (pid, bring_back) = facility.new_pid(), facility.late_dataset()
        for each in (before, late, doomed):
            facility.archive(each, some_datablocks(each, 1))
        token = log_in(facility.scicat_url, "scientist")
        # Nobody listens yet.
        assert submit_retrieve_job(facility.scicat_url, [before, late], token=token).status_code >= 400
        (first,) = (str(job["id"]) for job in facility.scicat.jobs())
        _delete(facility, late)
        with RunningService(facility.folder) as service:
            facility.service = service
            _seen_to_its_end(facility, service, first, before, late)
            second = facility.ask_for(pid, doomed)
            wait_until(lambda: facility.told(second) != [])
            _delete(facility, doomed)
            bring_back()
            _seen_to_its_end(facility, service, second, pid, doomed)
