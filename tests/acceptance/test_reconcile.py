"""Jobs that the service was never told of, ends that SciCat missed, and flows that the engine lost.

One service looks every second. Before its first start, SciCat has jobs already that nobody listened to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.pipeline.jobs.intake import dataset_flow
from scicat_retriever.processes.engine_database import ENGINE_DATABASE
from scicat_retriever.workflow.engine.connection import EngineAccess, connect
from stand_ins import local_http
from stand_ins.running import TOKEN, RunningService, free_port
from stand_ins.scicat import PROFILES, log_in, submit_retrieve_job
from tests.acceptance.facility import (
    Facility,
    block_states,
    download,
    quick,
    running,
    some_datablocks,
    wait_until,
)

SETTINGS = quick(flow={"reconcile_interval": 1.0, "appear_timeout": 600.0})
WORDS = "datasetList[0].pid must have at most 512 bytes"
ENDLESS = "20.500.12345/" + "x" * 500


@dataclass(frozen=True)
class Unheard:
    """Jobs that SciCat had before the service was started for the first time.

    Attributes:
        job: Of one dataset.
        refused: Of a dataset whose name no job may have.
        doomed: Of two datasets, `kept` and `deleted`, one of which is deleted in SciCat meanwhile.
    """

    job: str
    refused: str
    doomed: str
    kept: str
    deleted: str


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    settings: dict[str, dict[str, object]] = {**SETTINGS, "engine": {"port": free_port()}}
    root = tmp_path_factory.mktemp("watchful")
    with Facility.standing(root, settings, groups=PROFILES["job_privileged"]) as made:
        yield made


@pytest.fixture(scope="module")
def unheard(standing: Facility) -> Unheard:
    pid, kept, deleted = (standing.new_pid() for _ in range(3))
    for each in (pid, kept, deleted):
        standing.archive(each, some_datablocks(each, 1))
    standing.scicat.add_dataset(ENDLESS)
    job, _ = _submit(standing, pid)
    refused, _ = _submit(standing, ENDLESS)
    doomed, _ = _submit(standing, kept, deleted)
    _delete(standing, deleted)
    return Unheard(job, refused, doomed, kept, deleted)


@pytest.fixture
def watchful(standing: Facility, unheard: Unheard) -> Facility:
    """The facility whose service looks every second; it runs, and was down when the jobs came that it did not hear of."""
    standing.put_right()
    return standing


def _submit(facility: Facility, *pids: str) -> tuple[str, str]:
    """Ask for datasets while the answer of the service, if any, is an error; gives the job's id, and the answer."""
    before = {job["id"] for job in facility.scicat.jobs()}
    token = log_in(facility.scicat_url, "scientist")
    answer = submit_retrieve_job(facility.scicat_url, pids, token=token)
    assert answer.status_code >= 400
    (job_id,) = {job["id"] for job in facility.scicat.jobs()} - before
    return str(job_id), answer.text


def _delete(facility: Facility, pid: str) -> None:
    assert facility.scicat.store.remove_dataset(pid, with_datablocks=True) is not None


def _is_told(facility: Facility, job_id: str) -> bool:
    return facility.told(job_id) != []


def _overview(service: RunningService) -> dict[str, Any]:
    answer = local_http.get(
        f"{service.folder.url}/api/v1/overview",
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=30,
    )
    overview: dict[str, Any] = answer.raise_for_status().json()
    return overview


def _ended(facility: Facility, job_id: str) -> bool:
    return str(facility.scicat.job(job_id)["statusCode"]).startswith("finished")


def test_a_job_posted_while_the_service_was_down_is_found_and_retrieved(
    watchful: Facility, unheard: Unheard
) -> None:
    wait_until(lambda: _ended(watchful, unheard.job))
    assert watchful.scicat.job(unheard.job)["statusCode"] == "finishedSuccessful"


def test_a_job_that_can_never_be_carried_out_is_refused_by_whichever_way_it_comes(
    watchful: Facility, unheard: Unheard
) -> None:
    posted, answer = _submit(watchful, ENDLESS)
    assert WORDS in answer
    for job_id in (unheard.refused, posted):
        wait_until(partial(_is_told, watchful, job_id))
        (told,) = watchful.told(job_id)
        assert (told[1]["statusCode"], told[1]["statusMessage"]) == (
            "finishedUnsuccessful",
            f"The job failed: {WORDS}",
        )
        assert [(each["code"], each["who"]) for each in told[1]["jobResultObject"]["errors"]] == [
            ("job_malformed", "user")
        ]


def test_a_job_of_which_a_dataset_was_deleted_before_it_was_heard_of_brings_the_others(
    watchful: Facility, unheard: Unheard
) -> None:
    _seen_to_its_end(watchful, unheard.doomed, unheard.kept, unheard.deleted)


def test_a_job_of_which_a_dataset_is_deleted_while_it_runs_brings_the_others(watchful: Facility) -> None:
    doomed, (pid, bring_back) = watchful.new_pid(), watchful.late_dataset()
    watchful.archive(doomed, some_datablocks(doomed, 1))
    job_id = watchful.ask_for(pid, doomed)
    wait_until(lambda: watchful.told(job_id) != [])
    _delete(watchful, doomed)
    bring_back()
    _seen_to_its_end(watchful, job_id, pid, doomed)


def _links(facility: Facility, pid: str) -> list[dict[str, Any]]:
    """The links that a dataset itself was told."""
    message = facility.lifecycle(pid).get("retrieveReturnMessage") or {}
    return list(message.get("result", []))


def _seen_to_its_end(facility: Facility, job_id: str, pid: str, deleted: str) -> None:
    """Wait for a job to end that SciCat does not let be closed, and see what users and operators are told."""
    wait_until(lambda: _links(facility, pid) != [])
    report = running(facility).job(job_id)["report"]
    assert (report["state"], report["error"]["code"]) == ("undeliverable", "catalogue_job_unclosable")
    assert deleted in report["error"]["message"]
    (entry,) = _links(facility, pid)
    (archive,) = (facility.folder.lts / pid.rpartition("/")[2]).glob("*.tar")
    assert download(entry["url"]) == archive.read_bytes()
    lifecycle = facility.lifecycle(pid)
    assert lifecycle["retrieveStatusMessage"] == "datasetRetrieved"
    assert job_id in lifecycle["retrieveReturnMessage"]["message"]
    facility.scicat.store.jobs.pop(job_id)  # it would be open for ever


def test_a_job_whose_message_was_lost_while_the_service_runs_is_found(watchful: Facility) -> None:
    pid = watchful.new_pid()
    watchful.archive(pid, some_datablocks(pid, 1))
    watchful.part("api").kill()
    job_id, _ = _submit(watchful, pid)
    wait_until(lambda: _ended(watchful, job_id))
    wait_until(watchful.api_answers)
    wait_until(lambda: _overview(running(watchful))["looks"]["catalogue"]["found"]["open"] == 0)
    assert watchful.scicat.job(job_id)["statusCode"] == "finishedSuccessful"


def test_an_end_that_scicat_forgot_is_told_again(watchful: Facility) -> None:
    pid = watchful.new_pid()
    watchful.archive(pid, some_datablocks(pid, 1))
    job_id = watchful.ask_for(pid)
    watchful.wait_for(job_id)
    stored = watchful.scicat.store.jobs[job_id]
    stored["statusCode"], stored["jobResultObject"] = "inProgress", {}
    wait_until(lambda: _ended(watchful, job_id))
    assert watchful.scicat.job(job_id)["jobResultObject"]["result"]


def _visibility(facility: Facility) -> object:
    return _overview(running(facility))["looks"]["catalogue"]["found"].get("visibility")


def test_an_empty_list_for_lack_of_rights_is_told_apart_from_no_work(watchful: Facility) -> None:
    pid = watchful.new_pid()
    watchful.archive(pid, some_datablocks(pid, 1))
    watchful.wait_for(watchful.ask_for(pid))
    wait_until(lambda: _visibility(watchful) == "visible")
    watchful.scicat.set_groups(PROFILES["lab_default"])
    try:
        wait_until(lambda: _visibility(watchful) == "hidden")
    finally:
        watchful.scicat.set_groups(PROFILES["job_privileged"])


def test_jobs_go_on_although_the_engines_database_was_lost(watchful: Facility) -> None:
    pid, bring_back = watchful.late_dataset()
    service = running(watchful)
    job_id = watchful.ask_for(pid)
    wait_until(lambda: service.job(job_id)["datasets"][0]["state"] == "started")
    service.kill()
    for path in (watchful.folder.root / "data").glob("engine.sqlite*"):
        path.unlink()
    bring_back()
    service.start()
    assert watchful.wait_for(job_id)["statusCode"] == "finishedSuccessful"


def _damage(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(b"\xa5" * 8192)


def test_a_damaged_engine_database_is_set_aside_and_jobs_go_on(watchful: Facility) -> None:
    pid, bring_back = watchful.late_dataset()
    data, service = watchful.folder.root / "data", running(watchful)
    job_id = watchful.ask_for(pid)
    wait_until(lambda: block_states(service, job_id) == ["recalling"])
    service.stop()
    for beside in data.glob(f"{ENGINE_DATABASE}-*"):
        beside.unlink()
    _damage(data / ENGINE_DATABASE)
    bring_back()
    service.start()
    assert watchful.wait_for(job_id)["statusCode"] == "finishedSuccessful"
    assert len(list(data.glob(f"{ENGINE_DATABASE}.damaged-*"))) == 1
    assert "the engine's database was damaged" in watchful.folder.log.read_text()


def _terminate(port: int, *flows: str) -> None:
    async def terminate() -> None:
        client = await connect(EngineAccess(f"127.0.0.1:{port}", "default", ()))
        for flow in flows:
            await client.get_workflow_handle(flow).terminate()

    asyncio.run(terminate())


def _open_recalls(service: RunningService, pid: str) -> int:
    """How many archives of a dataset are wanted from the store."""
    wanted = [str(recall["archiveId"]) for recall in service.recalls()["recalls"]]
    return sum(archive.startswith(f"{pid.rpartition('/')[2]}/") for archive in wanted)


def test_what_a_lost_flow_left_is_cleaned_up_where_nobody_asks_for_it_any_more(watchful: Facility) -> None:
    pid, _ = watchful.late_dataset()
    service = running(watchful)
    job_id = watchful.ask_for(pid)
    wait_until(lambda: _open_recalls(service, pid) == 1)
    url = f"{service.folder.url}/api/v1/jobs/{job_id}"
    _terminate(watchful.engine_port, f"retrieve-job-{job_id}", dataset_flow(DatasetPid(pid)))
    local_http.delete(url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30).raise_for_status()
    watchful.wait_for(job_id)
    wait_until(lambda: _open_recalls(service, pid) == 0)
    assert block_states(service, job_id) == ["failed"]
    wait_until(lambda: watchful.lifecycle(pid)["retrieveStatusMessage"] == "datasetRetrievalFailed")
