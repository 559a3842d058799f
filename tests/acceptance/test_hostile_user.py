"""Another user of the machine, who reaches the engine's port, can neither speak to SciCat through the service nor remove data."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.pipeline.jobs.intake import dataset_flow
from stand_ins.running import RunningService, free_port
from tests.acceptance.facility import Facility, block_states, quick, some_datablocks, wait_until
from tests.acceptance.hostile_user import WORDS

PORT = free_port()


@pytest.fixture(scope="module")
def facility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    settings = quick(
        flow={"appear_timeout": 600.0, "reconcile_interval": 1.0},
        engine={"port": PORT},
        cache={"sweep_interval": 1.0},
    )
    with (
        Facility.open(tmp_path_factory.mktemp("facility"), settings) as opened,
        RunningService(opened.folder) as service,
    ):
        opened.service = service
        yield opened


def attack(name: str, flow: str, pid: str = "-") -> None:
    command = [sys.executable, "-m", "tests.acceptance.hostile_user", str(PORT), name, flow, pid]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr


def retrieved(facility: Facility) -> str:
    """Have a dataset retrieved, which its job pins; gives its pid."""
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 2))
    assert facility.wait_for(facility.ask_for(pid))["statusCode"] == "finishedSuccessful"
    return pid


def flow_of(pid: str) -> str:
    return dataset_flow(DatasetPid(pid))


def is_untouched(facility: Facility, pid: str) -> bool:
    """Say of a retrieved dataset whether SciCat and staging still hold it so, and whether SciCat heard any word of his."""
    told = [str(request.body) for request in facility.scicat.log.requests()]
    assert [body for body in told if WORDS in body] == []
    assert facility.datablocks_in_staging(pid) == [0, 1]
    return bool(facility.lifecycle(pid)["retrieveStatusMessage"] == "datasetRetrieved")


def next_job_goes_well(facility: Facility) -> bool:
    """Have one more job carried out: what he started has had its turn by then, too."""
    return is_untouched(facility, retrieved(facility))


def test_flows_that_he_starts_end_without_a_step(facility: Facility) -> None:
    pid = retrieved(facility)
    before = len(facility.scicat.log.requests(path_contains="datasets"))
    attack("start_flows", flow_of(pid), pid)
    attack("all_of_his_have_failed", "-")
    assert len(facility.scicat.log.requests(path_contains="datasets")) == before
    assert is_untouched(facility, pid)
    assert next_job_goes_well(facility)


def test_what_he_signals_is_dropped_and_the_flows_go_on(facility: Facility) -> None:
    pid, bring_back = facility.late_dataset()
    job_id = facility.ask_for(pid)
    service = facility.service
    assert service is not None
    wait_until(lambda: block_states(service, job_id) == ["recalling"])
    for flow in (flow_of(pid), f"retrieve-job-{job_id}"):
        attack("signal", flow, pid)
    bring_back()
    job = facility.wait_for(job_id)
    assert job["statusCode"] == "finishedSuccessful"
    assert WORDS not in str(job)


def test_steps_whose_end_he_forges_are_taken_again(facility: Facility) -> None:
    pid, bring_back = facility.late_dataset()
    for method, path in (("PATCH", "/jobs/"), ("GET", "datablocks")):  # so that there are steps to be ended
        facility.scicat.faults.delay(8.0, method=method, path_contains=path, times=3)
    job_id = facility.ask_for(pid)
    attack("end_steps", f"retrieve-job-{job_id}", pid)
    attack("end_steps", flow_of(pid), pid)
    facility.scicat.faults.clear()
    bring_back()
    job = facility.wait_for(job_id)
    assert job["statusCode"] == "finishedSuccessful"
    assert WORDS not in str(job)


def test_what_the_service_sealed_for_one_flow_does_nothing_in_another(facility: Facility) -> None:
    pid = retrieved(facility)
    before = len(facility.scicat.log.requests(path_contains="datasets"))
    attack("replay", flow_of(pid), pid)
    attack("all_of_his_have_failed", "-")
    assert len(facility.scicat.log.requests(path_contains="datasets")) == before
    assert is_untouched(facility, pid)


def test_a_pinned_dataset_stays_where_he_takes_its_flow_back_and_cancels_it(facility: Facility) -> None:
    pid = retrieved(facility)
    attack("reset_and_cancel", flow_of(pid), pid)
    attack("all_have_ended", "-")
    assert facility.datablocks_in_staging(pid) == [0, 1]
    assert next_job_goes_well(facility)


def test_a_flow_whose_name_he_took_is_started_all_the_same(facility: Facility) -> None:
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 2))
    attack("impostor", flow_of(pid), pid)
    assert facility.wait_for(facility.ask_for(pid))["statusCode"] == "finishedSuccessful"
    assert is_untouched(facility, pid)
