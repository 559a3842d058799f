"""Datasets in several long-term stores, on tape behind an HTTP interface, and in two copies."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from stand_ins.running import TOKEN, RunningService
from stand_ins.tape.library import TapeLibrary
from stand_ins.tape.rest_server import TapeRestServer
from stand_ins.tape.serving import served
from stand_ins.tape.shape import LibraryShape, sped_up
from tests.acceptance.conftest import MakeFacility
from tests.acceptance.facility import Facility, ask_for_files, quick, some_datablocks, wait_until

TAPE_TOKEN = "a-token-for-the-tape-system"
SPEED = 60.0
"""How much faster the tape library is than a real one."""


def with_vault(root: Path, **lts: object) -> dict[str, dict[str, object]]:
    """Give settings of two stores."""
    sections = quick(lts=lts)
    return {**sections, "stores.vault": {"root": str(root), "locations": ["vault"]}}


def damage(path: Path) -> None:
    """Change a byte in the middle of an archive's first member."""
    content = bytearray(path.read_bytes())
    content[1100] ^= 0xFF
    path.write_bytes(content)


def test_a_dataset_is_read_from_the_store_that_its_location_names(
    make_facility: MakeFacility, tmp_path: Path
) -> None:
    vault = tmp_path / "vault"
    facility = make_facility(**with_vault(vault))
    here, there = facility.new_pid(), facility.new_pid()
    facility.archive(here, some_datablocks(here, 2))
    moved = facility.archive(there, some_datablocks(there, 2), lifecycle={"storageLocation": "vault"})
    for archive_id in moved:
        (vault / archive_id).parent.mkdir(parents=True, exist_ok=True)
        (facility.folder.lts / archive_id).rename(vault / archive_id)
    with RunningService(facility.folder) as service:
        facility.service = service
        job = facility.wait_for(facility.ask_for(here, there))
    assert job["statusCode"] == "finishedSuccessful"
    assert len(job["jobResultObject"]["result"]) == 4


def test_a_location_that_no_store_names_is_an_error_that_the_operator_can_mend(
    make_facility: MakeFacility, tmp_path: Path
) -> None:
    facility = make_facility(**with_vault(tmp_path / "vault", locations=["tape-1"]))
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 1), lifecycle={"storageLocation": "elsewhere"})
    with RunningService(facility.folder) as service:
        facility.service = service
        job = facility.wait_for(facility.ask_for(pid))
    (error,) = job["jobResultObject"]["errors"]
    assert (error["code"], error["who"]) == ("store_not_configured", "operator")
    assert "elsewhere" in error["message"]


@pytest.mark.parametrize("harm", ["damaged", "lost"])
def test_a_second_copy_is_read_where_the_first_is_no_good(
    make_facility: MakeFacility, tmp_path: Path, harm: str
) -> None:
    vault = tmp_path / "vault"
    facility = make_facility(**with_vault(vault, other_copy="vault"))
    pid = facility.new_pid()
    archives = facility.archive(pid, some_datablocks(pid, 3))
    originals = [(facility.folder.lts / archive_id).read_bytes() for archive_id in archives]
    (vault / archives[1]).parent.mkdir(parents=True)
    (vault / archives[1]).write_bytes(originals[1])
    if harm == "damaged":
        damage(facility.folder.lts / archives[1])
    else:
        (facility.folder.lts / archives[1]).unlink()
    with RunningService(facility.folder) as service:
        facility.service = service
        job = facility.wait_for(facility.ask_for(pid))
        assert job["statusCode"] == "finishedSuccessful", job["jobResultObject"]
        urls = [entry["url"] for entry in job["jobResultObject"]["result"]]
        assert [httpx2.get(url, trust_env=False).content for url in urls] == originals


def test_an_archive_that_is_damaged_in_both_copies_fails_its_dataset(
    make_facility: MakeFacility, tmp_path: Path
) -> None:
    vault = tmp_path / "vault"
    facility = make_facility(**with_vault(vault, other_copy="vault"))
    pid = facility.new_pid()
    (archive_id,) = facility.archive(pid, some_datablocks(pid, 1))
    damage(facility.folder.lts / archive_id)
    (vault / archive_id).parent.mkdir(parents=True)
    (vault / archive_id).write_bytes((facility.folder.lts / archive_id).read_bytes())
    with RunningService(facility.folder) as service:
        facility.service = service
        job = facility.wait_for(facility.ask_for(pid))
    assert [error["code"] for error in job["jobResultObject"]["errors"]] == ["checksum_mismatch"]


@contextmanager
def on_tapes(
    make_facility: MakeFacility, policy: Mapping[str, object] | None = None, **shape: Any
) -> Iterator[tuple[Facility, TapeLibrary, TapeRestServer]]:
    """Give a facility whose archives lie on the tapes of a library that speaks Tape REST."""
    library = TapeLibrary(LibraryShape(**shape), clock=sped_up(SPEED))
    server = TapeRestServer(library, tokens=(TAPE_TOKEN,))
    with served(server.app) as url:
        recalls = {"mount_age": 0.0, "collect_time": 0.0, **(policy or {})}
        lts = {
            "kind": "wlcg_tape",
            "url": url,
            "root_path": "/",
            "token": TAPE_TOKEN,
            "recalls": recalls,
            "tape_places": {"kind": "pattern", "pattern": r"^(?P<tape>[^/]+)/(?P<position>\d+)"},
        }
        yield make_facility(**{**quick(), "lts": lts}), library, server


def to_tape(facility: Facility, library: TapeLibrary, archives: list[str]) -> None:
    """Move archives from the folder of the facility onto the tapes that their names begin with."""
    for archive_id in archives:
        file = facility.folder.lts / archive_id
        library.store(archive_id, file.read_bytes(), tape=archive_id.partition("/")[0])
        file.unlink()


def test_datasets_on_tape_are_recalled_read_and_released(make_facility: MakeFacility) -> None:
    with on_tapes(make_facility) as (facility, library, server):
        pids = [facility.new_pid() for _ in range(2)]
        archives = [facility.archive(pid, some_datablocks(pid, 4)) for pid in pids]
        to_tape(facility, library, list(itertools.chain(*archives)))
        with RunningService(facility.folder) as service:
            facility.service = service
            job_id = facility.ask_for(*pids)
            wait_until(lambda: "tape" in waiting_words(service, job_id))
            job = facility.wait_for(job_id, 120)
            assert job["statusCode"] == "finishedSuccessful", job["jobResultObject"]
            assert len(job["jobResultObject"]["result"]) == 8
            assert library.counts().mounts == 2
            assert library.counts().reads == 8
            wait_until(lambda: open_recalls(service) == 0)
        assert released(server)


def waiting_words(service: RunningService, job_id: str) -> str:
    """What the datablocks of a job wait for."""
    blocks = [block for dataset in service.job(job_id)["datasets"] for block in dataset["datablocks"]]
    return " ".join(block["waitingFor"] or "" for block in blocks)


def open_recalls(service: RunningService) -> int:
    """How many recalls are open."""
    return len(service.recalls()["recalls"])


def released(server: TapeRestServer) -> bool:
    """Whether the tape system was told that nothing is needed any more."""
    return any("/release/" in request.path for request in server.received)


def test_jobs_that_ask_for_the_same_have_each_archive_read_from_tape_once(
    make_facility: MakeFacility,
) -> None:
    with on_tapes(make_facility) as (facility, library, _):
        pid = facility.new_pid()
        archives = facility.archive(pid, some_datablocks(pid, 5))
        to_tape(facility, library, archives)
        with RunningService(facility.folder) as service:
            facility.service = service
            jobs = [facility.ask_for(pid) for _ in range(4)]
            ended = {facility.wait_for(job_id, 120)["statusCode"] for job_id in jobs}
    assert ended == {"finishedSuccessful"}
    assert library.counts().reads == 5


def test_recalls_outlive_a_killed_worker(make_facility: MakeFacility) -> None:
    with on_tapes(make_facility, mount_seconds=300.0) as (facility, library, _):
        pid = facility.new_pid()
        archives = facility.archive(pid, some_datablocks(pid, 5))
        to_tape(facility, library, archives)
        with RunningService(facility.folder) as service:
            facility.service = service
            job_id = facility.ask_for(pid)
            wait_until(lambda: library.counts().mounts == 1)
            facility.part("worker").kill()
            job = facility.wait_for(job_id, 120)
    assert job["statusCode"] == "finishedSuccessful", job["jobResultObject"]
    assert library.counts().reads == 5
    assert library.counts().mounts == 1


def test_an_archive_that_the_tape_library_lost_is_the_operators_affair(make_facility: MakeFacility) -> None:
    with on_tapes(make_facility) as (facility, library, _):
        pid = facility.new_pid()
        archives = facility.archive(pid, some_datablocks(pid, 2))
        to_tape(facility, library, archives)
        library.lose(archives[1])
        with RunningService(facility.folder) as service:
            facility.service = service
            job = facility.wait_for(facility.ask_for(pid), 120)
    (error,) = job["jobResultObject"]["errors"]
    assert (error["code"], error["who"], error["archiveId"]) == ("archive_lost", "operator", archives[1])


def test_a_read_that_fails_on_tape_is_tried_again(make_facility: MakeFacility) -> None:
    with on_tapes(make_facility) as (facility, library, _):
        pid = facility.new_pid()
        (archive_id,) = facility.archive(pid, some_datablocks(pid, 1))
        to_tape(facility, library, [archive_id])
        library.fail(archive_id, times=1, error="medium error")
        with RunningService(facility.folder) as service:
            facility.service = service
            job = facility.wait_for(facility.ask_for(pid), 120)
    assert job["statusCode"] == "finishedSuccessful", job["jobResultObject"]


def test_a_job_with_priority_goes_first_to_tape(make_facility: MakeFacility) -> None:
    slow = {"mount_seconds": 240.0, "drives": 1}
    with on_tapes(make_facility, {"drives": 1}, **slow) as (facility, library, _):
        pids = [facility.new_pid() for _ in range(4)]
        for pid in pids:
            to_tape(facility, library, facility.archive(pid, some_datablocks(pid, 1)))
        with RunningService(facility.folder) as service:
            facility.service = service
            first = facility.ask_for(*pids[:3])
            wait_until(lambda: library.counts().mounts == 1)
            urgent = facility.ask_for(pids[3])
            wait_until(lambda: "tape" in waiting_words(service, urgent))
            answer = httpx2.put(
                f"{service.folder.url}/api/v1/jobs/{urgent}/priority",
                json={"priority": 10},
                headers={"Authorization": f"Bearer {TOKEN}"},
                timeout=30,
                trust_env=False,
            )
            assert answer.status_code == 200, answer.text
            facility.wait_for(urgent, 120)
            assert service.job(first)["state"] == "inProgress"
            assert facility.wait_for(first, 120)["statusCode"] == "finishedSuccessful"


def test_of_chosen_files_only_the_datablocks_that_hold_them_are_read_from_tape(
    make_facility: MakeFacility,
) -> None:
    with on_tapes(make_facility) as (facility, library, _):
        pid = facility.new_pid()
        contents = some_datablocks(pid, 5)
        archives = facility.archive(pid, contents)
        to_tape(facility, library, archives)
        chosen = [next(iter(contents[1])), next(iter(contents[3]))]
        with RunningService(facility.folder) as service:
            facility.service = service
            job = facility.wait_for(ask_for_files(facility, {pid: chosen}), 120)
            assert job["statusCode"] == "finishedSuccessful", job["jobResultObject"]
            entries = job["jobResultObject"]["result"]
            assert [entry["archiveId"] for entry in entries] == [archives[1], archives[3]]
            assert library.counts().reads == 2
            whole = facility.wait_for(facility.ask_for(pid), 120)
    assert whole["statusCode"] == "finishedSuccessful", whole["jobResultObject"]
    assert len(whole["jobResultObject"]["result"]) == 5
    assert library.counts().reads == 5


def test_a_job_that_needs_more_of_a_dataset_than_is_on_its_way_gets_it(make_facility: MakeFacility) -> None:
    with on_tapes(make_facility, mount_seconds=240.0) as (facility, library, _):
        pid = facility.new_pid()
        contents = some_datablocks(pid, 4)
        to_tape(facility, library, facility.archive(pid, contents))
        with RunningService(facility.folder) as service:
            facility.service = service
            some = ask_for_files(facility, {pid: [next(iter(contents[0]))]})
            wait_until(lambda: "tape" in waiting_words(service, some))
            other = ask_for_files(facility, {pid: [next(iter(contents[2]))]})
            whole = facility.ask_for(pid)
            ended = [facility.wait_for(job_id, 120) for job_id in (some, other, whole)]
    assert {job["statusCode"] for job in ended} == {"finishedSuccessful"}, ended
    assert [len(job["jobResultObject"]["result"]) for job in ended] == [1, 1, 4]
    assert library.counts().reads == 4


def test_a_file_that_a_dataset_does_not_have_is_named_and_the_others_are_delivered(
    make_facility: MakeFacility,
) -> None:
    facility = make_facility(**quick())
    pid = facility.new_pid()
    contents = some_datablocks(pid, 2)
    archives = facility.archive(pid, contents)
    with RunningService(facility.folder) as service:
        facility.service = service
        chosen = [next(iter(contents[1])), "no/such/file.h5"]
        job = facility.wait_for(ask_for_files(facility, {pid: chosen}))
    assert job["statusCode"] == "finishedWithDatasetErrors"
    assert [entry["archiveId"] for entry in job["jobResultObject"]["result"]] == [archives[1]]
    (error,) = job["jobResultObject"]["errors"]
    assert (error["code"], error["who"]) == ("files_unknown", "operator")
    assert "no/such/file.h5" in error["message"]
