"""The service as processes: killed, stopped, started apart."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import psutil
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

from scicat_retriever.workflow.engine.connection import RETENTION, EngineAccess, connect_when_up
from stand_ins.retrieval_page import datablocks
from stand_ins.running import RunningService
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


@dataclass(frozen=True)
class Killed:
    """What came of a job in whose middle the service was killed.

    Attributes:
        alive: Parts that outlived their supervisor.
        job: As SciCat has it, after another start.
    """

    alive: list[psutil.Process]
    job: dict[str, Any]


@pytest.fixture(scope="module")
def killed(standing_patient: Facility) -> Killed:
    standing_patient.put_right()
    pid = standing_patient.new_pid()
    archives = standing_patient.archive(pid, some_datablocks(pid, 3))
    bring_back = standing_patient.put_aside(archives[2])
    service = running(standing_patient)
    job_id = standing_patient.ask_for(pid)
    wait_until(lambda: block_states(service, job_id).count("copied") == 2)
    parts = psutil.Process(service.process.pid).children(recursive=True)
    assert len(parts) >= 3
    service.kill()
    _gone, alive = psutil.wait_procs(parts, timeout=10)
    bring_back()
    service.start()
    return Killed(alive, standing_patient.wait_for(job_id))


def test_when_the_supervisor_is_killed_its_parts_die_with_it(killed: Killed) -> None:
    assert killed.alive == []


def test_a_job_goes_on_after_everything_was_killed(killed: Killed) -> None:
    assert killed.job["statusCode"] == "finishedSuccessful"
    assert [each["datablocks"] for each in killed.job["jobResultObject"]["result"]] == [3]


def test_a_part_that_is_killed_is_started_again(patient: Facility) -> None:
    pid = patient.new_pid()
    patient.archive(pid, some_datablocks(pid, 2))
    service = running(patient)
    for part in psutil.Process(service.process.pid).children():
        part.kill()
        part.wait(10)
    wait_until(patient.api_answers)
    job = patient.wait_for(patient.ask_for(pid))
    assert job["statusCode"] == "finishedSuccessful"


def test_the_own_engine_remembers_what_has_ended_for_months(patient: Facility) -> None:
    wait_until(patient.is_ready)
    command = patient.part("temporal").cmdline()
    address = f"127.0.0.1:{command[command.index('--port') + 1]}"

    async def kept() -> timedelta:
        client = await connect_when_up(EngineAccess(address, "default", ()), patience=60)
        asked = DescribeNamespaceRequest(namespace="default")
        found = await client.workflow_service.describe_namespace(asked)
        return found.config.workflow_execution_retention_ttl.ToTimedelta()

    assert asyncio.run(kept()) == RETENTION


def test_sigterm_drains_and_leaves_nothing_running(patient: Facility) -> None:
    service = running(patient)
    parts = psutil.Process(service.process.pid).children(recursive=True)
    assert service.stop() == 0
    assert len(parts) >= 3
    assert not any(part.is_running() for part in parts)


def test_what_was_downloaded_until_the_service_was_stopped_is_listed(patient: Facility) -> None:
    size = 32 * 2**20
    job = patient.wait_for(patient.ask_for(patient.large_dataset(size)))
    service, (block,) = running(patient), datablocks(job)
    with httpx2.stream("GET", block["url"]) as stuck:  # nobody reads it
        assert stuck.status_code == 200
        whole = download(f"{job['jobResultObject']['url']}/all.zip")
        assert service.stop() == 0
    service.start()
    listed = retriever(patient.folder.root / "retriever.toml", "downloads", "ls", "--json")
    assert listed.returncode == 0, listed.stderr
    last, first = json.loads(listed.stdout)["downloads"][:2]
    assert (last["what"], last["sent"], last["end"]) == ("all.zip", len(whole), "whole")
    assert (first["last"], first["end"]) == (size - 1, "broken off")
    assert first["sent"] < size


def test_a_job_that_comes_while_the_engine_is_down_is_started_when_it_is_up(patient: Facility) -> None:
    pid = patient.new_pid()
    patient.archive(pid, some_datablocks(pid, 1))
    service = running(patient)
    engine = next(
        part for part in psutil.Process(service.process.pid).children() if "temporal" in part.name()
    )
    engine.suspend()
    try:
        job_id = patient.ask_for(pid)
        assert service.job(job_id)["state"] == "jobSubmitted"
    finally:
        engine.kill()
    job = patient.wait_for(job_id)
    assert job["statusCode"] == "finishedSuccessful"


def test_a_second_service_on_the_same_data_folder_is_refused(patient: Facility) -> None:
    second = retriever(patient.folder.write_settings(), "serve")
    assert second.returncode == 2
    assert "another `retriever serve`" in second.stderr


def test_a_job_that_is_not_done_by_its_deadline_ends_unsuccessful(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick(flow={"job_timeout": 12.0, "appear_timeout": 600.0}))
    pid = facility.new_pid()
    (archive_id,) = facility.archive(pid, some_datablocks(pid, 1))
    (facility.folder.lts / archive_id).unlink()
    with RunningService(facility.folder) as service:
        facility.service = service
        job = facility.wait_for(facility.ask_for(pid))
        wait_until(lambda: facility.lifecycle(pid)["retrieveStatusMessage"] not in {"", "started"})
    assert job["statusCode"] == "finishedUnsuccessful"
    assert [error["code"] for error in job["jobResultObject"]["errors"]] == ["job_deadline_passed"]
    assert facility.lifecycle(pid)["retrieveReturnMessage"]["code"] == "job_cancelled"


@pytest.mark.parametrize("missing", ["api", "catalogue", "lts", "staging"])
def test_a_missing_section_stops_the_start_with_its_name(make_facility: MakeFacility, missing: str) -> None:
    facility = make_facility()
    config = facility.folder.write_settings()
    kept: list[str] = []
    skipping = False
    for line in config.read_text().splitlines():
        skipping = line == f"[{missing}]" if line.startswith("[") else skipping
        if not skipping:
            kept.append(line)
    config.write_text("\n".join(kept))
    started = retriever(config, "serve")
    assert started.returncode == 2
    assert f"the section [{missing}] is missing" in started.stderr


def test_a_port_that_another_has_is_told_on_ipv6_too(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick(api={"host": "::1"}))
    with socket.create_server(("::1", facility.folder.port), family=socket.AF_INET6):
        refused = retriever(facility.folder.write_settings(), "serve")
    assert refused.returncode == 2
    said = refused.stderr.splitlines()[-1]
    assert said.endswith(f"api.port: cannot listen on ::1:{facility.folder.port}: Address already in use")
