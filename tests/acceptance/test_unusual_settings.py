"""What only some settings bring about, all in one service: short deadlines, little space, an admin's account, IPv6."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from scicat_retriever.storage.staging import marker
from stand_ins import local_http
from stand_ins.retrieval_page import datablocks
from stand_ins.running import TOKEN
from stand_ins.scicat import JobType
from tests.acceptance.facility import (
    Facility,
    adopt_staging,
    block_states,
    give_back_all,
    quick,
    retriever,
    running,
    some_datablocks,
    wait_until,
)

CAPACITY = 150_000
"""Room for one dataset of five datablocks, and not for two."""
SETTINGS = quick(
    flow={
        "appear_timeout": 600.0,
        "space_timeout": 12.0,
        "catalogue_timeout": 12.0,
        "transfer_attempts": 2,
        "missing_checksum": "size_only",
        "check_declared_sums": True,
    },
    staging={"capacity_bytes": CAPACITY},
    cache={"spared": 0.1},
    catalogue={"username": "admin", "password": "admin-pw"},
    api={"host": "::1"},
)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    with Facility.standing(tmp_path_factory.mktemp("unusual"), SETTINGS) as made:
        yield made


@pytest.fixture
def unusual(standing: Facility) -> Iterator[Facility]:
    """The facility, with all its space free and its staging area its own before and after each test."""
    standing.put_right()
    yield standing
    if not (standing.folder.staging / marker.NAME).exists():
        adopt_staging(standing.folder)
    give_back_all(standing)


def test_a_wait_for_space_ends_at_its_deadline(unusual: Facility) -> None:
    first, second = unusual.new_pid(), unusual.new_pid()
    for pid in (first, second):
        unusual.archive(pid, some_datablocks(pid, 5))
    assert unusual.wait_for(unusual.ask_for(first))["statusCode"] == "finishedSuccessful"
    job = unusual.wait_for(unusual.ask_for(second))
    assert job["statusCode"] == "finishedUnsuccessful"
    (error,) = job["jobResultObject"]["errors"]
    assert error["code"] == "space_timed_out"
    assert "of staging space, 1st in line" in error["message"]
    assert unusual.files_in_staging(second) == []


def test_space_is_claimed_for_archives_whose_size_the_catalogue_does_not_know(unusual: Facility) -> None:
    pid = unusual.new_pid()
    unusual.scicat.add_dataset(pid)
    size = CAPACITY // 3
    blocks = [unusual.datablock(pid, number, {"x.dat": os.urandom(size)}) for number in range(6)]
    unusual.scicat.add_datablocks(pid, [{**block, "packedSize": 0} for block in blocks])
    job = unusual.wait_for(unusual.ask_for(pid))
    assert {error["code"] for error in job["jobResultObject"]["errors"]} == {"larger_than_staging"}


def test_a_dataset_whose_staging_is_gone_waits_for_it_and_says_so(unusual: Facility) -> None:
    pid, bring_back = unusual.late_dataset()
    service = running(unusual)
    job_id = unusual.ask_for(pid)
    wait_until(lambda: block_states(service, job_id) == ["recalling"])
    shutil.rmtree(unusual.folder.staging)
    bring_back()
    wait_until(lambda: "has lost its marker" in str(service.job(job_id)))
    assert unusual.lifecycle(pid)["retrieveStatusMessage"] == "started"
    adopt_staging(unusual.folder)
    assert unusual.wait_for(job_id)["statusCode"] == "finishedSuccessful"


def test_a_job_that_comes_while_staging_is_gone_fails_and_says_who_has_to_act(unusual: Facility) -> None:
    pid, other = unusual.new_pid(), unusual.new_pid()
    unusual.archive(pid, some_datablocks(pid, 1))
    unusual.archive(other, some_datablocks(other, 1))
    assert unusual.wait_for(unusual.ask_for(other))["statusCode"] == "finishedSuccessful"
    shutil.rmtree(unusual.folder.staging)
    job = unusual.wait_for(unusual.ask_for(pid))
    assert job["statusCode"] == "finishedUnsuccessful"
    (error,) = job["jobResultObject"]["errors"]
    assert (error["code"], error["who"]) == ("staging_not_ours", "operator")


def test_sizes_alone_are_compared_where_the_operator_allows_it_and_never_called_verified(
    unusual: Facility,
) -> None:
    pid = unusual.new_pid()
    unusual.scicat.add_dataset(pid)
    entry = unusual.datablock(pid, 0, {"a.dat": b"no checksum here"})
    files = [{"path": "a.dat", "size": 16}]
    unusual.scicat.add_datablocks(pid, [{**entry, "dataFileList": files}])
    job = unusual.wait_for(unusual.ask_for(pid))
    (result,) = job["jobResultObject"]["result"]
    (block,) = datablocks(job)
    assert (result["integrity"], block["integrity"]) == ("size_only", "size_only")
    assert unusual.lifecycle(pid)["retrieveIntegrityCheck"] is False


def test_a_dataset_that_declares_more_than_its_datablocks_hold_fails_where_that_is_asked_for(
    unusual: Facility,
) -> None:
    pid = unusual.new_pid()
    unusual.archive(pid, some_datablocks(pid, 1))
    unusual.scicat.store.datasets[pid]["numberOfFilesArchived"] = 99
    job = unusual.wait_for(unusual.ask_for(pid))
    assert [error["code"] for error in job["jobResultObject"]["errors"]] == ["datablocks_missing"]


def test_the_short_form_reads_the_dataset_list_from_scicat(unusual: Facility) -> None:
    pid = unusual.new_pid()
    unusual.archive(pid, some_datablocks(pid, 1))
    unusual.scicat.set_job_type(_job_type_that_posts_nothing())
    job_id = unusual.ask_for(pid)
    answer = local_http.post(
        f"{unusual.folder.url}/api/v1/jobs",
        json={"id": job_id, "type": "retrieve"},
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=30,
    )
    job = unusual.wait_for(job_id)
    assert answer.status_code == 201
    assert job["statusCode"] == "finishedSuccessful"
    assert len(job["jobResultObject"]["result"]) == 1


def _job_type_that_posts_nothing() -> JobType:
    return JobType()


def test_the_service_listens_on_ipv6_and_its_links_lead_there(unusual: Facility) -> None:
    pid = unusual.new_pid()
    (archive,) = unusual.archive(pid, some_datablocks(pid, 1))
    [entry] = datablocks(unusual.wait_for(unusual.ask_for(pid)))
    assert entry["url"].startswith(f"http://[::1]:{unusual.folder.port}/api/v1/downloads/")
    got = local_http.get(entry["url"], timeout=30).content
    assert got == (unusual.folder.lts / archive).read_bytes()
    shown = retriever(unusual.folder.write_settings(), "staging", "ls")  # the commands reach it, too
    assert (shown.returncode, pid in shown.stdout) == (0, True)
