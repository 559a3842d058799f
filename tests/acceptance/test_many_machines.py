"""API and workers apart, against a Temporal and a PostgreSQL that were there before: as on many machines."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from scicat_retriever.workflow.engine.own_engine import own_engine_command
from stand_ins import local_http
from stand_ins.retrieval_page import datablocks
from stand_ins.running import RunningService, free_port
from tests.acceptance.facility import QUICK, Facility, download, retriever, some_datablocks
from tests.integration.postgres import PostgresUnavailable, running_postgres

SECRET = "a secret that all processes share, long enough"


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    try:
        with running_postgres() as server:
            yield server.make_database("retriever")
    except PostgresUnavailable as error:
        pytest.skip(str(error))


@contextmanager
def _process(command: list[str], log: Path, folder: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ, cwd=folder
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(60)


def _wait_for_api(facility: Facility) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if local_http.get(f"{facility.folder.url}/api/v1/health").is_success:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise TimeoutError(f"the API does not answer:\n{facility.folder.log.read_text()[-2000:]}")


def test_apart_on_postgresql_a_lost_worker_is_made_up_for_by_another(
    tmp_path: Path, postgres_url: str
) -> None:
    engine_port = free_port()
    settings: dict[str, dict[str, object]] = {
        **QUICK,
        "engine": {"address": f"127.0.0.1:{engine_port}", "keys": [SECRET]},
        "ledger": {"url": postgres_url},
        "links": {"secret": SECRET},
    }
    (tmp_path / "engine").mkdir()
    with ExitStack() as stack:
        facility = stack.enter_context(Facility.open(tmp_path, settings))
        config = str(facility.folder.write_settings())
        facility.service = RunningService(facility.folder)
        program = [sys.executable, "-m", "scicat_retriever"]
        engine = own_engine_command(engine_port, None)
        stack.enter_context(_process(engine, tmp_path / "engine.log", tmp_path / "engine"))
        stack.enter_context(_process([*program, "api", "--config", config], facility.folder.log))
        _wait_for_api(facility)
        lost = stack.enter_context(_process([*program, "worker", "--config", config], facility.folder.log))
        pids = [facility.new_pid(), facility.new_pid()]
        for pid in pids:
            facility.archive(pid, some_datablocks(pid, 10))

        job_id = facility.ask_for(*pids)
        facility.scicat.log.wait_for(1, method="PATCH", path_contains="datasetlifecycle", deadline_seconds=60)
        lost.kill()
        stack.enter_context(_process([*program, "worker", "--config", config], facility.folder.log))
        job = facility.wait_for(job_id, 150)

        assert job["statusCode"] == "finishedSuccessful"
        entries = datablocks(job)
        assert len(entries) == 20
        assert download(entries[0]["url"]) == (facility.folder.lts / entries[0]["archiveId"]).read_bytes()


@pytest.mark.parametrize("command", ["api", "worker"])
@pytest.mark.parametrize("missing", ["links.secret", "engine.keys"])
def test_apart_without_a_shared_secret_the_start_is_refused(
    tmp_path: Path, command: str, missing: str
) -> None:
    shared: dict[str, object] = {} if missing == "links.secret" else {"secret": SECRET}
    keys: dict[str, object] = {} if missing == "engine.keys" else {"keys": [SECRET]}
    settings: dict[str, dict[str, object]] = {"engine": {"address": "127.0.0.1:9", **keys}, "links": shared}
    with Facility.open(tmp_path, settings) as facility:
        started = retriever(facility.folder.write_settings(), command)
    assert started.returncode == 2
    assert f"{missing} is missing" in started.stderr
