"""Whose the storage is: what is another service's, not mounted or gone is told, and nothing of it is touched."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import httpx2

from stand_ins.running import TOKEN, RunningService, ServiceFolder
from tests.acceptance.conftest import MakeFacility
from tests.acceptance.facility import Facility, adopt_staging, download, quick, some_datablocks, wait_until


def refused(folder: ServiceFolder) -> str:
    """Start a service that must not start; gives what it says."""
    command = [sys.executable, "-m", "scicat_retriever", "serve", "--config", str(folder.write_settings())]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2, ended.stderr
    return ended.stderr


def post(facility: Facility, pid: str, name: str) -> int:
    job = {"id": name, "type": "retrieve", "jobParams": {"datasetList": [{"pid": pid, "files": []}]}}
    answer = httpx2.post(
        f"{facility.folder.url}/api/v1/jobs",
        json=job,
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=60,
        trust_env=False,
    )
    return answer.status_code


def retrieved(facility: Facility, pid: str) -> str:
    """Retrieve a dataset; gives a link."""
    job = facility.wait_for(facility.ask_for(pid))
    assert job["statusCode"] == "finishedSuccessful"
    return str(job["jobResultObject"]["result"][0]["url"])


def test_a_second_service_on_the_same_staging_area_does_not_start_and_removes_nothing(
    make_facility: MakeFacility, tmp_path: Path
) -> None:
    facility = make_facility(**quick())
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 2))
    other = ServiceFolder(tmp_path / "other", facility.scicat_url, settings=facility.folder.settings)
    other.settings = {
        **other.settings,
        "staging": {"root": str(facility.folder.staging), "keep_free_bytes": 0},
    }
    other.root.mkdir()
    with RunningService(facility.folder) as service:
        facility.service = service
        link = retrieved(facility, pid)
        assert "belongs to another ledger" in refused(other)
        assert download(link)
        assert len(facility.files_in_staging(pid)) == 2
        # An operator may hand it over all the same: then the first one stops, with what to do.
        assert "it is this ledger's now" in adopt_staging(other)
        assert httpx2.get(link, timeout=60, trust_env=False).status_code == 200  # the file is there
        late = facility.new_pid()
        facility.archive(late, some_datablocks(late, 1))
        job_id = facility.ask_for(late)
        wait_until(lambda: "belongs to another ledger" in str(service.job(job_id)))
        assert len(facility.files_in_staging(pid)) == 2
        adopt_staging(facility.folder)
        assert facility.wait_for(job_id)["statusCode"] == "finishedSuccessful"


def test_while_the_staging_area_is_not_mounted_jobs_wait_and_nothing_counts_as_lost(
    make_facility: MakeFacility,
) -> None:
    facility = make_facility(**quick(cache={"sweep_interval": 1.0, "check_interval": 1.0}))
    pid, late = facility.new_pid(), facility.new_pid()
    for each in (pid, late):
        facility.archive(each, some_datablocks(each, 2))
    mounted = facility.folder.staging
    with RunningService(facility.folder) as service:
        facility.service = service
        link = retrieved(facility, pid)
        mounted.rename(mounted.with_name("unmounted"))
        mounted.mkdir()  # the mount point below
        job_id = facility.ask_for(late)
        wait_until(lambda: "lost its marker" in str(service.job(job_id)))
        answer = httpx2.get(link, timeout=60, trust_env=False)
        assert (answer.status_code, answer.json()["title"]) == (503, "staging not ours"), answer.text
        log = facility.folder.log
        wait_until(lambda: "staging_not_ours" in log.read_text() and "check_staging" in log.read_text())
    assert "lost its marker: mount it" in refused(facility.folder)
    assert list(mounted.iterdir()) == []
    shutil.rmtree(mounted)
    mounted.with_name("unmounted").rename(mounted)
    with RunningService(facility.folder) as service:
        facility.service = service
        assert facility.wait_for(job_id)["statusCode"] == "finishedSuccessful"
        assert download(link)


def test_a_job_is_refused_while_the_ledger_s_file_is_gone(make_facility: MakeFacility) -> None:
    facility = make_facility(**quick())
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 1))
    file = facility.folder.root / "data" / "ledger.sqlite"
    with RunningService(facility.folder) as service:
        facility.service = service
        file.rename(file.with_name("aside"))
        assert post(facility, pid, "while-gone") == 503
        assert not file.exists()
        file.with_name("aside").rename(file)
        assert post(facility, pid, "afterwards") == 201
        wait_until(lambda: "engine" in str(service._ask("/overview")))  # the worker has looked at its engine
    engine = file.with_name("engine.sqlite")
    # Another ledger in the place of this one neither takes its staging area nor goes on with its flows.
    shutil.move(file, file.with_name("former"))
    for left in file.parent.glob("ledger.sqlite-*"):
        left.unlink()
    assert "belongs to another ledger" in refused(facility.folder)
    facility.folder.settings = {
        **facility.folder.settings,
        "staging": {"root": str(facility.folder.root / "new")},
    }
    assert engine.exists()
    assert "works for another ledger" in refused(facility.folder)
