"""One link for everything: the page that SciCat is told of, and the archives below it, from a whole service."""

from __future__ import annotations

import io
import signal
import zipfile
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

import httpx2
import pytest

from stand_ins import local_http
from stand_ins.retrieval_page import datablocks, page
from stand_ins.running import TOKEN
from tests.acceptance.facility import Facility, quick, some_datablocks, tar_of, wait_until
from tests.integration.seaweedfs import SeaweedUnavailable, running_seaweed


@pytest.fixture(scope="module", params=["directory", "s3"])
def staged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    """A facility with each kind of staging area."""
    if request.param == "directory":
        with Facility.standing(tmp_path_factory.mktemp("one-link"), quick()) as made:
            yield made
        return
    try:
        with running_seaweed() as server, server.bucket() as bucket:
            settings = quick(staging=server.settings(bucket, capacity_bytes=400_000_000, url_lifetime=60))
            with Facility.standing(tmp_path_factory.mktemp("one-link-s3"), settings) as made:
                yield made
    except SeaweedUnavailable as missing:
        pytest.skip(str(missing))


def archived(
    facility: Facility, datasets: int, datablocks: int
) -> tuple[list[str], dict[str, dict[str, bytes]]]:
    """Archive datasets; gives their pids, and the files of each."""
    files: dict[str, dict[str, bytes]] = {}
    for _ in range(datasets):
        pid = facility.new_pid()
        blocks = some_datablocks(pid.rpartition("/")[2], datablocks)
        facility.archive(pid, blocks)
        files[pid] = {name: content for block in blocks for name, content in block.items()}
    return list(files), files


def inside(shown: Mapping[str, Any], files: Mapping[str, Mapping[str, bytes]]) -> dict[str, bytes]:
    """What a zip of all datasets of a page must hold."""
    names = {each["pid"]: each["name"] for each in shown["datasets"]}
    return {f"{names[pid]}/{name}": content for pid, its in files.items() for name, content in its.items()}


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as made:
        return {info.filename: made.read(info) for info in made.infolist()}


def test_scicat_has_one_link_by_which_all_comes_in_one_archive(staged: Facility) -> None:
    staged.put_right()
    pids, files = archived(staged, datasets=2, datablocks=3)
    job = staged.wait_for(staged.ask_for(*pids))
    url = job["jobResultObject"]["url"]
    assert job["statusMessage"].endswith(url)
    shown = page(url)
    assert [each["state"] for each in shown["datasets"]] == ["ready", "ready"]
    assert unzipped(local_http.get(shown["zip"]).content) == inside(shown, files)
    one = shown["datasets"][1]
    assert len(unzipped(local_http.get(one["zip"]).content)) == len(files[pids[1]])


def test_archives_that_are_compressed_come_as_tars_and_in_the_one_archive(staged: Facility) -> None:
    staged.put_right()
    pid = staged.new_pid()
    contents = some_datablocks(pid.rpartition("/")[2], 2)
    staged.scicat.add_dataset(pid)
    staged.scicat.add_datablocks(
        pid,
        [
            staged.datablock(pid, number, content, compressed=number == 1)
            for number, content in enumerate(contents)
        ],
    )
    job = staged.wait_for(staged.ask_for(pid))
    shown = page(job["jobResultObject"]["url"])
    files = {name: content for each in contents for name, content in each.items()}
    assert unzipped(local_http.get(shown["zip"]).content) == inside(shown, {pid: files})
    for entry, content in zip(datablocks(job), contents, strict=True):
        answer = local_http.get(entry["url"], follow_redirects=True)
        assert answer.content == tar_of(content)
        assert entry["size"] == len(answer.content)
        assert entry["name"].endswith(".tar")


def test_a_download_goes_on_where_it_was_also_in_a_service_that_was_killed_meanwhile(
    staged: Facility,
) -> None:
    staged.put_right()
    pids, files = archived(staged, datasets=2, datablocks=2)
    shown = page(staged.wait_for(staged.ask_for(*pids))["jobResultObject"]["url"])
    whole = local_http.get(shown["zip"])
    size, tag = len(whole.content), whole.headers["etag"]
    got, random, killed = b"", Random(1), False
    while len(got) < size:
        headers = {"Range": f"bytes={len(got)}-", "If-Range": tag}
        with httpx2.stream("GET", shown["zip"], headers=headers, trust_env=False, timeout=60) as answer:
            assert (answer.status_code, answer.headers["etag"]) == (206, tag)
            piece = b""
            for data in answer.iter_raw(1 << 10):
                piece += data
                if len(piece) > random.randrange(size // 6):
                    break
        got += piece
        if len(got) > size // 2 and not killed:
            killed = True
            staged.part("api").send_signal(signal.SIGKILL)
            wait_until(staged.is_ready)
    assert got == whole.content
    assert unzipped(got) == inside(shown, files)


def test_a_revoked_link_gives_nothing_any_more(staged: Facility) -> None:
    staged.put_right()
    pids, _ = archived(staged, datasets=1, datablocks=1)
    job_id = staged.ask_for(*pids)
    shown = page(staged.wait_for(job_id)["jobResultObject"]["url"])
    url = f"{staged.folder.url}/api/v1/jobs/{job_id}/link/revoke"
    answer = local_http.post(url, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert local_http.get(shown["zip"]).status_code == 410
    assert page(answer.json()["url"])["ready"] == 1
