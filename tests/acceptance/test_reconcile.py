"""Jobs that the service was never told of, ends that SciCat missed, and flows that the engine lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.pipeline.jobs.intake import dataset_flow
from scicat_retriever.workflow.engine.connection import EngineAccess, connect
from stand_ins.running import TOKEN, RunningService, free_port
from stand_ins.scicat import PROFILES, log_in, submit_retrieve_job
from tests.acceptance.facility import Facility, block_states, quick, some_datablocks, wait_until

INTERVAL = 1.0


@contextmanager
def _facility(root: Path, *, lists_jobs: bool = True, engine_port: int | None = None) -> Iterator[Facility]:
    groups = PROFILES["job_privileged" if lists_jobs else "lab_default"]
    settings = quick(flow={"reconcile_interval": INTERVAL, "appear_timeout": 60.0})
    if engine_port is not None:
        settings = {**settings, "engine": {"port": engine_port}}
    with Facility.open(root, settings, groups=groups) as facility:
        yield facility


def _unheard(facility: Facility, *pids: str) -> str:
    """Ask for datasets while the service does not hear it: SciCat answers with an error and keeps the job."""
    before = {job["id"] for job in facility.scicat.jobs()}
    token = log_in(facility.scicat_url, "scientist")
    assert submit_retrieve_job(facility.scicat_url, pids, token=token, version="v4").status_code >= 400
    (job_id,) = {job["id"] for job in facility.scicat.jobs()} - before
    return str(job_id)


def _overview(service: RunningService) -> dict[str, Any]:
    answer = httpx2.get(
        f"{service.folder.url}/api/v1/overview",
        headers={"Authorization": f"Bearer {TOKEN}"},
        trust_env=False,
        timeout=30,
    )
    overview: dict[str, Any] = answer.raise_for_status().json()
    return overview


def _ended(facility: Facility, job_id: str) -> bool:
    return str(facility.scicat.job(job_id)["statusCode"]).startswith("finished")


def test_a_job_posted_while_the_service_was_down_is_found_and_retrieved(tmp_path: Path) -> None:
    with _facility(tmp_path) as facility:
        pid = facility.new_pid()
        facility.archive(pid, some_datablocks(pid, 1))
        job_id = _unheard(facility, pid)
        with RunningService(facility.folder):
            wait_until(lambda: _ended(facility, job_id))
    assert facility.scicat.job(job_id)["statusCode"] == "finishedSuccessful"


def test_a_job_whose_message_was_lost_while_the_service_runs_is_found(tmp_path: Path) -> None:
    with _facility(tmp_path) as facility:
        pid = facility.new_pid()
        facility.archive(pid, some_datablocks(pid, 1))
        with RunningService(facility.folder) as service:
            facility.service = service
            facility.part("api").kill()
            job_id = _unheard(facility, pid)
            wait_until(lambda: _ended(facility, job_id))
            wait_until(facility.api_answers)
            wait_until(lambda: _overview(service)["looks"]["catalogue"]["found"]["open"] == 0)
    assert facility.scicat.job(job_id)["statusCode"] == "finishedSuccessful"


def test_an_end_that_scicat_forgot_is_told_again(tmp_path: Path) -> None:
    with _facility(tmp_path) as facility:
        pid = facility.new_pid()
        facility.archive(pid, some_datablocks(pid, 1))
        with RunningService(facility.folder) as service:
            facility.service = service
            job_id = facility.ask_for(pid)
            facility.wait_for(job_id)
            stored = facility.scicat.store.jobs[job_id]
            stored["statusCode"], stored["jobResultObject"] = "inProgress", {}
            wait_until(lambda: _ended(facility, job_id))
    assert facility.scicat.job(job_id)["jobResultObject"]["result"]


def test_an_empty_list_for_lack_of_rights_is_told_apart_from_no_work(tmp_path: Path) -> None:
    with _facility(tmp_path, lists_jobs=False) as facility:
        pid = facility.new_pid()
        facility.archive(pid, some_datablocks(pid, 1))
        with RunningService(facility.folder) as service:
            facility.service = service
            facility.wait_for(facility.ask_for(pid))
            wait_until(
                lambda: _overview(service)["looks"]["catalogue"]["found"].get("visibility") == "hidden"
            )


def test_jobs_go_on_although_the_engines_database_was_lost(tmp_path: Path) -> None:
    with _facility(tmp_path) as facility:
        pid, bring_back = facility.late_dataset()
        service = RunningService(facility.folder)
        facility.service = service
        with service:
            job_id = facility.ask_for(pid)
            wait_until(lambda: service.job(job_id)["datasets"][0]["state"] == "started")
            service.kill()
        for path in (facility.folder.root / "data").glob("engine.sqlite*"):
            path.unlink()
        bring_back()
        with service:
            job = facility.wait_for(job_id)
    assert job["statusCode"] == "finishedSuccessful"


def _terminate(port: int, *flows: str) -> None:
    async def terminate() -> None:
        client = await connect(EngineAccess(f"127.0.0.1:{port}", "default", ()))
        for flow in flows:
            await client.get_workflow_handle(flow).terminate()

    asyncio.run(terminate())


def test_what_a_lost_flow_left_is_cleaned_up_where_nobody_asks_for_it_any_more(tmp_path: Path) -> None:
    with _facility(tmp_path, engine_port=(port := free_port())) as facility:
        pid, _ = facility.late_dataset()
        with RunningService(facility.folder) as service:
            facility.service = service
            job_id = facility.ask_for(pid)
            wait_until(lambda: service.recalls()["recalls"] != [])
            url = f"{service.folder.url}/api/v1/jobs/{job_id}"
            _terminate(port, f"retrieve-job-{job_id}", dataset_flow(DatasetPid(pid)))
            httpx2.delete(
                url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False
            ).raise_for_status()
            facility.wait_for(job_id)
            wait_until(lambda: service.recalls()["recalls"] == [])
            assert block_states(service, job_id) == ["failed"]
            wait_until(lambda: facility.lifecycle(pid)["retrieveStatusMessage"] == "datasetRetrievalFailed")
