"""Staging as a cache: what is there is not read again, what is needed finds room, what is promised stays."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stand_ins import local_http
from stand_ins.retrieval_page import datablocks, page
from stand_ins.running import RunningService
from tests.acceptance.conftest import MakeFacility
from tests.acceptance.facility import (
    Facility,
    ask_staging,
    block_states,
    download,
    give_back_all,
    quick,
    retriever,
    running,
    some_datablocks,
    wait_until,
)

KB = 1000
SHORT_LIVED = quick(
    flow={"poll_maximum": 2.0},  # two dozen jobs in line that ask twice a second keep a processor busy
    links={"lifetime": 1.0, "retention": 1.5},
    cache={"sweep_interval": 1.0, "spared": 0.2},
)
"""Settings under which pins are over soon, and datablocks may go soon after."""


def dataset_of(facility: Facility, size: int) -> str:
    """Archive a dataset of one file of about so many bytes; gives its pid."""
    pid = facility.new_pid()
    facility.archive(pid, [{f"{pid}.dat": os.urandom(size)}])
    return pid


def files(facility: Facility) -> int:
    """How many archives are in staging, partial or staged."""
    folders = (facility.folder.staging / name for name in ("partial", "staged"))
    return sum(len(names) for folder in folders for _, _, names in os.walk(folder))


def fewer_files(facility: Facility, than: int) -> bool:
    return files(facility) < than


def message(facility: Facility, job_id: str) -> str:
    assert facility.service is not None
    return str(facility.service.job(job_id)["message"])


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    settings = quick(
        staging={"capacity_bytes": 120 * KB},
        cache={"spared": 0.1, "sweep_interval": 1.0, "fixity_interval": 0.5},
    )
    with Facility.standing(tmp_path_factory.mktemp("small"), settings) as made:
        yield made


@pytest.fixture
def small(standing: Facility) -> Iterator[Facility]:
    """A facility whose staging area has room for one dataset of 80 kB and not for two; nobody has any of it yet."""
    standing.put_right()
    yield standing
    give_back_all(standing)


def test_what_is_staged_is_not_read_from_the_store_again(facility: Facility) -> None:
    pid = facility.new_pid()
    archives = facility.archive(pid, some_datablocks(pid, 3))
    originals = [(facility.folder.lts / archive).read_bytes() for archive in archives]
    facility.wait_for(facility.ask_for(pid))
    for archive in archives:
        facility.put_aside(archive)
    job = facility.wait_for(facility.ask_for(pid))
    assert job["statusCode"] == "finishedSuccessful"
    assert [download(entry["url"]) for entry in datablocks(job)] == originals


def test_a_job_larger_than_staging_is_refused_at_once_and_its_owner_told_what_to_do(small: Facility) -> None:
    job = small.wait_for(small.ask_for(dataset_of(small, 80 * KB), dataset_of(small, 80 * KB)))
    assert job["statusCode"] == "finishedUnsuccessful"
    (error,) = job["jobResultObject"]["errors"]
    assert (error["code"], error["who"]) == ("job_larger_than_staging", "user")
    assert "ask for fewer datasets at once" in job["statusMessage"]


def test_a_job_that_waits_for_space_says_so_and_goes_on_when_another_gives_its_space_back(
    small: Facility,
) -> None:
    first, second, third = (dataset_of(small, 80 * KB) for _ in range(3))
    before = small.ask_for(first)
    (entry,) = datablocks(small.wait_for(before))
    waiting = small.ask_for(second)
    wait_until(lambda: "1st in line" in message(small, waiting))
    last = small.ask_for(third)
    wait_until(lambda: "2nd in line" in message(small, last))
    assert message(small, waiting).startswith("waiting for 82 kB of staging space, 1st in line; 44 kB more")
    assert [each["job"] for each in ask_staging(small, "GET", "/usage")["waiting"]["first"]] == [
        waiting,
        last,
    ]

    ask_staging(small, "POST", "/release", {"job": before})
    assert small.wait_for(waiting)["statusCode"] == "finishedSuccessful"
    answer = local_http.get(entry["url"])
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (410, "link_released")
    wait_until(lambda: small.scicat.job(before)["jobResultObject"]["result"][0]["expires"] is None)
    assert page(small.scicat.job(before)["jobResultObject"]["result"][0]["url"])["state"] == "gone"
    ask_staging(small, "POST", "/release", {"job": waiting})
    assert small.wait_for(last)["statusCode"] == "finishedSuccessful"


def test_an_extended_job_is_told_to_scicat_with_links_that_live_longer(facility: Facility) -> None:
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 1))
    job_id = facility.ask_for(pid)
    (before,) = facility.wait_for(job_id)["jobResultObject"]["result"]
    (old,) = datablocks(facility.scicat.job(job_id))
    ask_staging(facility, "POST", "/pins", {"job": job_id, "seconds": 30 * 86400})

    def told() -> str:
        (entry,) = facility.scicat.job(job_id)["jobResultObject"]["result"]
        return str(entry["expires"])

    wait_until(lambda: told() > before["expires"])
    (new,) = datablocks(facility.scicat.job(job_id))
    assert new["expires"] > old["expires"]
    assert download(new["url"]) == download(old["url"])


def test_a_flipped_bit_in_staging_is_found_and_the_dataset_recalled_again(small: Facility) -> None:
    pid = dataset_of(small, 80 * KB)
    service, job_id = running(small), small.ask_for(pid)
    small.wait_for(job_id)
    (staged,) = small.files_in_staging(pid)
    original = staged.read_bytes()
    staged.write_bytes(original[:50_000] + bytes([original[50_000] ^ 1]) + original[50_001:])
    wait_until(lambda: service.job(job_id)["attempt"] == 2)
    (entry,) = datablocks(small.wait_for(job_id))
    assert download(entry["url"]) == original


def test_a_file_that_somebody_removed_is_found_by_a_check_and_recalled_again(facility: Facility) -> None:
    assert facility.service is not None
    pid = dataset_of(facility, 80 * KB)
    job_id = facility.ask_for(pid)
    facility.wait_for(job_id)
    (staged,) = facility.files_in_staging(pid)
    original = staged.read_bytes()
    staged.unlink()
    checked = retriever(facility.folder.root / "retriever.toml", "staging", "check")
    assert (checked.returncode, "missing" in checked.stdout) == (0, True), checked.stderr
    service = facility.service
    wait_until(lambda: service.job(job_id)["attempt"] == 2)
    (entry,) = datablocks(facility.wait_for(job_id))
    assert download(entry["url"]) == original


@pytest.fixture(scope="module")
def standing_short_lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    settings = quick(
        links={"lifetime": 5.0, "retention": 5.0},
        cache={"sweep_interval": 1.0, "spared": 0.1, "keep_unpinned": 0.1},
    )
    with Facility.standing(tmp_path_factory.mktemp("short-lived"), settings) as made:
        yield made


@pytest.fixture
def short_lived(standing_short_lived: Facility) -> Facility:
    """A facility in whose staging area nothing stays longer than it has to; nothing is there yet."""
    standing_short_lived.put_right()
    wait_until(lambda: files(standing_short_lived) == 0)
    return standing_short_lived


def test_a_file_that_is_not_to_be_kept_longer_is_removed_and_its_link_says_what_to_do(
    short_lived: Facility,
) -> None:
    pid = short_lived.new_pid()
    short_lived.archive(pid, some_datablocks(pid, 2))
    job = short_lived.wait_for(short_lived.ask_for(pid))
    link = datablocks(job)[0]["url"]
    assert len(short_lived.files_in_staging(pid)) == 2
    wait_until(lambda: short_lived.files_in_staging(pid) == [])
    answer = local_http.get(link, timeout=30)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "ask for the dataset again" in answer.json()["detail"]


def test_a_worker_killed_in_the_middle_of_evicting_leaves_nothing_behind(short_lived: Facility) -> None:
    pids = [short_lived.new_pid() for _ in range(4)]
    for pid in pids:
        short_lived.archive(pid, some_datablocks(pid, 25))
    job_id = short_lived.ask_for(*pids)
    short_lived.wait_for(job_id)

    left, kills = 100, 0
    while left and kills < 4:
        wait_until(partial(fewer_files, short_lived, left))
        worker = short_lived.part("worker")
        worker.kill()
        worker.wait(30)
        left, kills = files(short_lived), kills + 1
    wait_until(lambda: files(short_lived) == 0)
    wait_until(lambda: ask_staging(short_lived, "GET", "/usage")["staged"] == 0)
    assert short_lived.wait_for(short_lived.ask_for(*pids))["statusCode"] == "finishedSuccessful"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """8 MiB of a file system of its own, where it can be had."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_others_fill_for_a_while_delays_a_copy_and_fails_nothing(
    make_facility: MakeFacility, disk: Path
) -> None:
    facility = make_facility(
        **quick(
            flow={"transfer_attempts": 1, "appear_timeout": 60.0},
            staging={"root": str(disk / "staging"), "keep_free_bytes": 0},
        )
    )
    pid, bring_back = facility.late_dataset()
    with RunningService(facility.folder) as facility.service:
        service = facility.service
        job_id = facility.ask_for(pid)
        wait_until(lambda: block_states(service, job_id) == ["recalling"])
        ballast = disk / "others"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize)
        bring_back()
        wait_until(
            lambda: "has no room" in str(service.job(job_id)["datasets"][0]["datablocks"][0]["waitingFor"])
        )
        ballast.unlink()
        assert facility.wait_for(job_id)["statusCode"] == "finishedSuccessful"


@pytest.mark.timeout(1200)
def test_ten_times_more_than_fits_is_brought_without_ever_filling_the_disk(
    make_facility: MakeFacility, disk: Path
) -> None:
    dice = random.Random(20261123)
    facility = make_facility(
        **SHORT_LIVED | {"staging": {"root": str(disk / "staging"), "keep_free_bytes": 0}}
    )
    with RunningService(facility.folder) as facility.service:
        sizes = {
            dataset_of(facility, size): size for size in (dice.randrange(10**5, 2 * 10**6) for _ in range(24))
        }
        jobs = []
        asked_for = 0
        while asked_for < 10 * 8 * 2**20:
            wanted = dice.sample(sorted(sizes), dice.randint(1, 3))
            asked_for += sum(sizes[pid] for pid in wanted)
            jobs.append(facility.ask_for(*wanted))
        ended = [facility.wait_for(job_id, 1000.0) for job_id in jobs]
        assert [job["statusCode"] for job in ended] == ["finishedSuccessful"] * len(jobs)
    log = facility.folder.log.read_text()
    assert "staging_write_failed" not in log
    assert "No space left" not in log
