"""Jobs that can never be carried out: whoever hears of them first, SciCat is told so at once, in the same words."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from stand_ins.running import RunningService
from stand_ins.scicat import PROFILES, log_in, submit_retrieve_job
from tests.acceptance.facility import Facility, quick, wait_until

WORDS = "datasetList[0].pid must have at most 512 bytes"


def _submit(facility: Facility, pid: str) -> tuple[str, str]:
    """Ask for a dataset while the answer of the service, if any, is an error; gives the job's id, and the answer."""
    before = {job["id"] for job in facility.scicat.jobs()}
    token = log_in(facility.scicat_url, "scientist")
    answer = submit_retrieve_job(facility.scicat_url, [pid], token=token)
    assert answer.status_code >= 400
    (job_id,) = {job["id"] for job in facility.scicat.jobs()} - before
    return str(job_id), answer.text


def _is_told(facility: Facility, job_id: str) -> bool:
    return facility.told(job_id) != []


def test_a_job_that_can_never_be_carried_out_is_refused_by_whichever_way_it_comes(tmp_path: Path) -> None:
    settings = quick(flow={"reconcile_interval": 1.0})
    with Facility.open(tmp_path, settings, groups=PROFILES["job_privileged"]) as facility:
        pid = "20.500.12345/" + "x" * 500
        facility.scicat.add_dataset(pid)
        found, _ = _submit(facility, pid)
        with RunningService(facility.folder):
            posted, answer = _submit(facility, pid)
            assert WORDS in answer
            for job_id in (found, posted):
                wait_until(partial(_is_told, facility, job_id))
    for job_id in (found, posted):
        (told,) = facility.told(job_id)
        assert (told[1]["statusCode"], told[1]["statusMessage"]) == (
            "finishedUnsuccessful",
            f"The job failed: {WORDS}",
        )
        assert [(each["code"], each["who"]) for each in told[1]["jobResultObject"]["errors"]] == [
            ("job_malformed", "user")
        ]
