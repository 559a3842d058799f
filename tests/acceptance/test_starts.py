"""Processes that cannot start say why, and end; those that wait say what for."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import Any

import psutil
import pytest

from stand_ins import local_http
from stand_ins.running import free_port
from tests.acceptance.conftest import MakeFacility
from tests.acceptance.facility import Facility, running, some_datablocks, wait_until

PROGRAM = [sys.executable, "-m", "scicat_retriever"]
SECRET = "a secret that all processes share, long enough"


def started(facility: Facility, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    config = str(facility.folder.write_settings())
    return subprocess.run(
        [*PROGRAM, command, "--config", config],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | environment,
    )


def test_a_data_folder_that_is_open_to_everybody_is_refused_by_each_process_in_the_same_words(
    make_facility: MakeFacility,
) -> None:
    facility = make_facility()
    data = facility.folder.root / "data"
    data.mkdir(mode=0o755)
    data.chmod(0o755)
    said = {command: started(facility, command) for command in ("serve", "api", "worker", "consume")}
    assert {(each.returncode, each.stderr) for each in said.values()} == {
        (2, f"retriever: data: {data} is open to everybody: chmod 700 it, or take another folder\n")
    }


def test_what_is_kept_free_must_leave_something(make_facility: MakeFacility) -> None:
    facility = make_facility(staging={"keep_free_bytes": 2**62})
    refused = started(facility, "serve")
    assert refused.returncode == 2
    assert "staging.keep_free_bytes: what is to be kept free is all that the file system" in refused.stderr


@pytest.mark.parametrize("key", ["api.port", "engine.port", "engine.ui_port"])
def test_a_port_that_another_listens_on_is_named(make_facility: MakeFacility, key: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        section, name = key.split(".")
        refused = started(make_facility(**{section: {name: port}}), "serve")
    assert refused.returncode == 2
    assert f"{key}: cannot listen on 127.0.0.1:{port}" in refused.stderr


def test_what_of_the_environment_keeps_a_part_from_running_ends_the_start_with_its_name(
    make_facility: MakeFacility,
) -> None:
    facility = make_facility(catalogue={"url": "https://scicat.invalid"})
    refused = started(facility, "serve", SSL_CERT_FILE="/nowhere/ca.pem")
    assert refused.returncode == 2
    assert "SSL_CERT_FILE" in refused.stderr
    assert "the worker cannot be run" in refused.stderr.splitlines()[-1]
    assert "ready" not in refused.stdout


def test_a_worker_says_within_seconds_which_engine_it_waits_for(make_facility: MakeFacility) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    facility = make_facility(engine={"address": address, "keys": [SECRET]}, links={"secret": SECRET})
    config = str(facility.folder.write_settings())
    worker = subprocess.Popen(
        [*PROGRAM, "worker", "--config", config], stderr=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        assert worker.stderr is not None
        for line in worker.stderr:
            if "waiting for the workflow engine" in line:
                assert f"the workflow engine at {address} does not answer" in line
                break
        else:
            pytest.fail("it ended without a word")
    finally:
        worker.kill()
        worker.wait(30)


def test_a_terminals_interrupt_reaches_the_supervisor_alone(patient: Facility) -> None:
    service = running(patient)
    parts = psutil.Process(service.process.pid).children()
    assert len(parts) >= 3
    groups = {os.getpgid(part.pid) for part in parts}
    assert os.getpgid(service.process.pid) not in groups
    assert len(groups) == len(parts)
    service.process.send_signal(signal.SIGINT)
    assert service.process.wait(60) == 0


def test_while_the_engine_hangs_the_service_is_not_ready_and_jobs_say_what_they_wait_for(
    patient: Facility,
) -> None:
    pid = patient.new_pid()
    patient.archive(pid, some_datablocks(pid, 1))
    service = running(patient)
    wait_until(lambda: bool(_ready(patient)["ready"]))
    engine = patient.part("temporal")
    engine.suspend()
    try:
        wait_until(lambda: not _ready(patient)["engine"]["ready"])
        assert _ready(patient)["engine"]["why"] == "the workflow engine does not answer"
        assert _ready(patient)["ledger"] == {"ready": True, "why": None}
        job_id = patient.ask_for(pid)
        assert "does not answer" in service.job(job_id)["waitingFor"]
    finally:
        engine.resume()
    assert patient.wait_for(job_id)["statusCode"] == "finishedSuccessful"
    assert service.job(job_id)["waitingFor"] is None
    wait_until(lambda: bool(_ready(patient)["ready"]))


def _ready(facility: Facility) -> dict[str, Any]:
    answer = local_http.get(f"{facility.folder.url}/api/v1/ready", timeout=30)
    found: dict[str, Any] = answer.json()
    assert (answer.status_code == 200) == found["ready"]
    return found
