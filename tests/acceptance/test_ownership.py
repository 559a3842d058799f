"""Whose the storage is: what is another service's, not mounted or gone is told, and nothing of it is touched."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scicat_retriever.storage.staging import marker
from stand_ins import local_http
from stand_ins.retrieval_page import datablocks
from stand_ins.running import TOKEN, ServiceFolder
from tests.acceptance.facility import (
    Facility,
    adopt_staging,
    download,
    quick,
    retriever,
    running,
    some_datablocks,
    wait_until,
)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    settings = quick(cache={"sweep_interval": 1.0, "check_interval": 1.0})
    with Facility.standing(tmp_path_factory.mktemp("owning"), settings) as made:
        yield made


@pytest.fixture
def owning(standing: Facility) -> Iterator[Facility]:
    """A facility whose service looks after its staging area every second; the area is its own again after the test."""
    standing.put_right()
    file = standing.folder.staging / marker.NAME
    mark = file.read_bytes()
    yield standing
    file.write_bytes(mark)


def refused(folder: ServiceFolder) -> str:
    """Start a service that must not start; gives what it says."""
    ended = retriever(folder.write_settings(), "serve")
    assert ended.returncode == 2, ended.stderr
    return ended.stderr


def post(facility: Facility, pid: str, name: str) -> int:
    job = {"id": name, "type": "retrieve", "jobParams": {"datasetList": [{"pid": pid, "files": []}]}}
    answer = local_http.post(
        f"{facility.folder.url}/api/v1/jobs",
        json=job,
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=60,
    )
    return answer.status_code


def retrieved(facility: Facility, pid: str) -> str:
    """Retrieve a dataset; gives a link."""
    job = facility.wait_for(facility.ask_for(pid))
    assert job["statusCode"] == "finishedSuccessful"
    return str(datablocks(job)[0]["url"])


def test_a_second_service_on_the_same_staging_area_does_not_start_and_removes_nothing(
    owning: Facility, tmp_path: Path
) -> None:
    pid = owning.new_pid()
    owning.archive(pid, some_datablocks(pid, 2))
    other = ServiceFolder(tmp_path / "other", owning.scicat_url, settings=owning.folder.settings)
    other.settings = {
        **other.settings,
        "staging": {"root": str(owning.folder.staging), "keep_free_bytes": 0},
    }
    other.root.mkdir()
    service = running(owning)
    link = retrieved(owning, pid)
    assert "belongs to another ledger" in refused(other)
    assert download(link)
    assert len(owning.files_in_staging(pid)) == 2
    # An operator may hand it over all the same: then the first one stops, with what to do.
    assert "it is this ledger's now" in adopt_staging(other)
    assert local_http.get(link, timeout=60).status_code == 200  # the file is there
    late = owning.new_pid()
    owning.archive(late, some_datablocks(late, 1))
    job_id = owning.ask_for(late)
    wait_until(lambda: "belongs to another ledger" in str(service.job(job_id)))
    assert len(owning.files_in_staging(pid)) == 2
    adopt_staging(owning.folder)
    assert owning.wait_for(job_id)["statusCode"] == "finishedSuccessful"


def test_while_the_staging_area_is_not_mounted_jobs_wait_and_nothing_counts_as_lost(owning: Facility) -> None:
    pid, late = owning.new_pid(), owning.new_pid()
    for each in (pid, late):
        owning.archive(each, some_datablocks(each, 2))
    mounted, service = owning.folder.staging, running(owning)
    link = retrieved(owning, pid)
    logged = len(owning.folder.log.read_text())
    mounted.rename(mounted.with_name("unmounted"))
    mounted.mkdir()  # the mount point below
    try:
        job_id = owning.ask_for(late)
        wait_until(lambda: "lost its marker" in str(service.job(job_id)))
        answer = local_http.get(link, timeout=60)
        assert (answer.status_code, answer.json()["title"]) == (503, "staging not ours"), answer.text
        wait_until(lambda: _is_said(owning, logged, "staging_not_ours", "check_staging"))
        service.stop()
        assert "lost its marker: mount it" in refused(owning.folder)
        assert list(mounted.iterdir()) == []
    finally:
        shutil.rmtree(mounted)
        mounted.with_name("unmounted").rename(mounted)
    service.start()
    assert owning.wait_for(job_id)["statusCode"] == "finishedSuccessful"
    assert download(link)


def _is_said(facility: Facility, since: int, *words: str) -> bool:
    """Whether the log has these words, after its first characters."""
    log = facility.folder.log.read_text()[since:]
    return all(word in log for word in words)


def test_a_job_is_refused_while_the_ledger_s_file_is_gone(owning: Facility) -> None:
    pid = owning.new_pid()
    owning.archive(pid, some_datablocks(pid, 1))
    file = owning.folder.root / "data" / "ledger.sqlite"
    service = running(owning)
    file.rename(file.with_name("aside"))
    try:
        assert post(owning, pid, "while-gone") == 503
        assert not file.exists()
    finally:
        file.with_name("aside").rename(file)
    assert post(owning, pid, "afterwards") == 201
    wait_until(lambda: "engine" in str(service._ask("/overview")))  # the worker has looked at its engine
    service.stop()
    engine = file.with_name("engine.sqlite")
    # Another ledger in the place of this one neither takes its staging area nor goes on with its flows.
    for part in file.parent.glob("ledger.sqlite*"):
        part.rename(part.with_name(f"former-{part.name}"))
    settings = owning.folder.settings
    try:
        assert "belongs to another ledger" in refused(owning.folder)
        owning.folder.settings = {**settings, "staging": {"root": str(owning.folder.root / "new")}}
        assert engine.exists()
        assert "works for another ledger" in refused(owning.folder)
    finally:
        owning.folder.settings = settings
        for part in file.parent.glob("ledger.sqlite*"):
            part.unlink()
        for part in file.parent.glob("former-*"):
            part.rename(part.with_name(part.name.removeprefix("former-")))
