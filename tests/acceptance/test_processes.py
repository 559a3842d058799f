"""The service as processes: killed, stopped, started apart."""

from __future__ import annotations

import socket
import subprocess
import sys

import httpx2
import psutil
import pytest

from stand_ins.running import TOKEN, RunningService
from stand_ins.scicat import JobType
from tests.acceptance.conftest import MakeFacility
from tests.acceptance.facility import block_states, quick, some_datablocks, wait_until


def test_a_job_goes_on_after_everything_was_killed(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick(flow={"appear_timeout": 60.0}))
    pid = facility.new_pid()
    archives = facility.archive(pid, some_datablocks(pid, 3))
    late = facility.folder.lts / archives[2]
    aside = late.with_suffix(".aside")
    late.rename(aside)
    with RunningService(facility.folder) as service:
        facility.service = service
        job_id = facility.ask_for(pid)
        wait_until(lambda: block_states(service, job_id).count("copied") == 2)
        service.kill()
        aside.rename(late)
        service.start()
        job = facility.wait_for(job_id)
    assert job["statusCode"] == "finishedSuccessful"
    assert len(job["jobResultObject"]["result"]) == 3


def test_a_part_that_is_killed_is_started_again(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick())
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 2))
    with RunningService(facility.folder) as service:
        facility.service = service
        for part in psutil.Process(service.process.pid).children():
            part.kill()
            part.wait(10)
        wait_until(facility.api_answers)
        job = facility.wait_for(facility.ask_for(pid))
    assert job["statusCode"] == "finishedSuccessful"


def test_sigterm_drains_and_leaves_nothing_running(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick())
    service = RunningService(facility.folder)
    service.start()
    parts = psutil.Process(service.process.pid).children(recursive=True)
    assert service.stop() == 0
    assert len(parts) >= 3
    assert not any(part.is_running() for part in parts)


def test_when_the_supervisor_is_killed_its_parts_die_with_it(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick())
    service = RunningService(facility.folder)
    service.start()
    parts = psutil.Process(service.process.pid).children(recursive=True)
    service.kill()
    _gone, alive = psutil.wait_procs(parts, timeout=10)
    assert alive == []


def test_a_job_that_comes_while_the_engine_is_down_is_started_when_it_is_up(
    make_facility: MakeFacility,
) -> None:
    facility = make_facility(**quick())
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 1))
    with RunningService(facility.folder) as service:
        facility.service = service
        engine = next(
            part for part in psutil.Process(service.process.pid).children() if "temporal" in part.name()
        )
        engine.suspend()
        try:
            job_id = facility.ask_for(pid)
            assert service.job(job_id)["state"] == "jobSubmitted"
        finally:
            engine.kill()
        job = facility.wait_for(job_id)
    assert job["statusCode"] == "finishedSuccessful"


def test_a_second_service_on_the_same_data_folder_is_refused(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick())
    with RunningService(facility.folder):
        config = facility.folder.write_settings()
        second = subprocess.run(
            [sys.executable, "-m", "scicat_retriever", "serve", "--config", str(config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert second.returncode == 2
    assert "another `retriever serve`" in second.stderr


def test_a_wait_for_space_ends_at_its_deadline(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick(flow={"space_timeout": 8.0}, staging={"capacity_bytes": 150_000}))
    first, second = facility.new_pid(), facility.new_pid()
    for pid in (first, second):
        facility.archive(pid, some_datablocks(pid, 5))
    with RunningService(facility.folder) as service:
        facility.service = service
        assert facility.wait_for(facility.ask_for(first))["statusCode"] == "finishedSuccessful"
        job = facility.wait_for(facility.ask_for(second))
    assert job["statusCode"] == "finishedUnsuccessful"
    (error,) = job["jobResultObject"]["errors"]
    assert error["code"] == "space_timed_out"
    assert "of staging space, 1st in line" in error["message"]
    assert facility.files_in_staging(second) == []


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


def test_sizes_alone_are_compared_where_the_operator_allows_it_and_never_called_verified(
    make_facility: MakeFacility,
) -> None:
    facility = make_facility(**quick(flow={"missing_checksum": "size_only"}))
    pid = facility.new_pid()
    facility.scicat.add_dataset(pid)
    entry = facility.datablock(pid, 0, {"a.dat": b"no checksum here"})
    files = [{"path": "a.dat", "size": 16}]
    facility.scicat.add_datablocks(pid, [{**entry, "dataFileList": files}])
    with RunningService(facility.folder) as service:
        facility.service = service
        job = facility.wait_for(facility.ask_for(pid))
    (result,) = job["jobResultObject"]["result"]
    assert result["integrity"] == "size_only"
    assert facility.lifecycle(pid)["retrieveIntegrityCheck"] is False


def test_the_short_form_reads_the_dataset_list_from_scicat(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick(catalogue={"username": "admin", "password": "admin-pw"}))
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 1))
    with RunningService(facility.folder) as service:
        facility.service = service
        facility.scicat.set_job_type(_job_type_that_posts_nothing())
        job_id = facility.ask_for(pid)
        answer = httpx2.post(
            f"{facility.folder.url}/api/v1/jobs",
            json={"id": job_id, "type": "retrieve"},
            headers={"Authorization": f"Bearer {TOKEN}"},
            trust_env=False,
        )
        job = facility.wait_for(job_id)
    assert answer.status_code == 201
    assert job["statusCode"] == "finishedSuccessful"
    assert len(job["jobResultObject"]["result"]) == 1


def _job_type_that_posts_nothing() -> JobType:
    return JobType()


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
    started = subprocess.run(
        [sys.executable, "-m", "scicat_retriever", "serve", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert started.returncode == 2
    assert f"the section [{missing}] is missing" in started.stderr


def test_the_service_listens_on_ipv6_and_its_links_lead_there(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick(api={"host": "::1"}))
    pid = facility.new_pid()
    (archive,) = facility.archive(pid, some_datablocks(pid, 1))
    with RunningService(facility.folder) as service:
        facility.service = service
        [entry] = facility.wait_for(facility.ask_for(pid))["jobResultObject"]["result"]
        assert entry["url"].startswith(f"http://[::1]:{facility.folder.port}/api/v1/downloads/")
        got = httpx2.get(entry["url"], trust_env=False, timeout=30).content
        assert got == (facility.folder.lts / archive).read_bytes()
        shown = subprocess.run(  # the commands reach it, too
            [
                sys.executable,
                "-m",
                "scicat_retriever",
                "staging",
                "ls",
                "--config",
                str(facility.folder.write_settings()),
            ],
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert (shown.returncode, pid in shown.stdout.decode()) == (0, True)


def test_a_port_that_another_has_is_told_on_ipv6_too(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick(api={"host": "::1"}))
    with socket.create_server(("::1", facility.folder.port), family=socket.AF_INET6):
        refused = subprocess.run(
            [
                sys.executable,
                "-m",
                "scicat_retriever",
                "serve",
                "--config",
                str(facility.folder.write_settings()),
            ],
            capture_output=True,
            check=False,
            timeout=120,
        )
    assert refused.returncode == 2
    said = refused.stderr.decode().splitlines()[-1]
    assert said.endswith(f"api.port: cannot listen on ::1:{facility.folder.port}: Address already in use")


def test_a_file_that_is_not_to_be_kept_longer_is_removed_and_its_link_says_what_to_do(
    make_facility: MakeFacility,
) -> None:
    facility = make_facility(
        **quick(
            links={"lifetime": 5.0, "retention": 5.0},
            cache={"sweep_interval": 1.0, "spared": 0.5, "keep_unpinned": 0.5},
        )
    )
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 2))
    with RunningService(facility.folder) as service:
        facility.service = service
        job = facility.wait_for(facility.ask_for(pid))
        assert len(facility.files_in_staging(pid)) == 2
        wait_until(lambda: facility.files_in_staging(pid) == [])
        answer = httpx2.get(job["jobResultObject"]["result"][0]["url"], trust_env=False)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "ask for the dataset again" in answer.json()["detail"]
