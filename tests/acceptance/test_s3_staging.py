"""The whole service with its staging area on a real S3 (SeaweedFS)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from stand_ins import local_http
from stand_ins.retrieval_page import datablocks
from stand_ins.running import TOKEN
from tests.acceptance.facility import Facility, quick, some_datablocks, wait_until
from tests.integration.seaweedfs import Seaweed, SeaweedUnavailable, running_seaweed

MB = 1_000_000


@pytest.fixture(scope="module")
def seaweed() -> Iterator[Seaweed]:
    try:
        with running_seaweed() as server:
            yield server
    except SeaweedUnavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def standing(seaweed: Seaweed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Facility, str]]:
    with seaweed.bucket() as bucket:
        settings = quick(
            staging=seaweed.settings(bucket, capacity_bytes=400 * MB, url_lifetime=60), cache={"spared": 60.0}
        )
        with Facility.standing(tmp_path_factory.mktemp("on-s3"), settings) as made:
            yield made, bucket


@pytest.fixture
def on_s3(standing: tuple[Facility, str]) -> tuple[Facility, str]:
    """A facility that stages to a bucket of its own, its service running; and the bucket's name."""
    standing[0].put_right()
    return standing


def keys(seaweed: Seaweed, bucket: str, pid: str) -> list[str]:
    """What of a dataset is in the bucket, which has its marker whatever is staged."""
    found = [entry["Key"] for entry in seaweed.client.list_objects_v2(Bucket=bucket).get("Contents", [])]
    assert "owner" in found
    return [key for key in found if pid.rpartition("/")[2] in key]


def uploads(seaweed: Seaweed, bucket: str) -> int:
    """How many uploads are not finished."""
    return len(seaweed.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []))


def test_a_dataset_is_staged_on_s3_and_downloaded_from_there(
    seaweed: Seaweed, on_s3: tuple[Facility, str]
) -> None:
    facility, bucket = on_s3
    pid = facility.new_pid()
    archives = facility.archive(pid, some_datablocks(pid, 3))
    job = facility.wait_for(facility.ask_for(pid))
    assert job["statusCode"] == "finishedSuccessful"
    for entry, archive in zip(datablocks(job), archives, strict=True):
        redirected = local_http.get(entry["url"])
        assert redirected.status_code == 307
        assert urlsplit(redirected.headers["location"]).port == seaweed.port
        answer = local_http.get(entry["url"], follow_redirects=True)
        assert answer.content == (facility.folder.lts / archive).read_bytes()
        assert archive.rpartition("/")[2] in answer.headers["content-disposition"]
    assert (len(keys(seaweed, bucket, pid)), uploads(seaweed, bucket)) == (3, 0)


def test_a_corrupt_archive_leaves_nothing_on_s3(seaweed: Seaweed, on_s3: tuple[Facility, str]) -> None:
    facility, bucket = on_s3
    pid = facility.new_pid()
    (archive,) = facility.archive(pid, some_datablocks(pid, 1))
    file = facility.folder.lts / archive
    content = bytearray(file.read_bytes())
    content[600] ^= 1
    file.write_bytes(content)
    job = facility.wait_for(facility.ask_for(pid))
    assert [error["code"] for error in job["jobResultObject"]["errors"]] == ["checksum_mismatch"]
    wait_until(lambda: keys(seaweed, bucket, pid) == [] and uploads(seaweed, bucket) == 0)


def test_a_worker_killed_in_the_middle_of_an_upload_leaves_one_object_in_the_end(
    seaweed: Seaweed, on_s3: tuple[Facility, str]
) -> None:
    facility, bucket = on_s3
    pid = facility.large_dataset(300 * MB)
    job_id = facility.ask_for(pid)
    wait_until(lambda: uploads(seaweed, bucket) == 1)
    facility.part("worker").send_signal(signal.SIGKILL)
    assert facility.wait_for(job_id, 120)["statusCode"] == "finishedSuccessful"
    assert (len(keys(seaweed, bucket, pid)), uploads(seaweed, bucket)) == (1, 0)


def test_what_was_given_back_and_evicted_is_gone_from_s3_and_its_link_says_so(
    seaweed: Seaweed, on_s3: tuple[Facility, str]
) -> None:
    facility, bucket = on_s3
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 2))
    job_id = facility.ask_for(pid)
    entries = datablocks(facility.wait_for(job_id))
    staging = f"{facility.folder.url}/api/v1/staging"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for path, body in (("release", {"job": job_id}), ("evict", {"dataset": pid})):
        answer = local_http.post(f"{staging}/{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
    wait_until(lambda: keys(seaweed, bucket, pid) == [])
    assert local_http.get(entries[0]["url"]).status_code == 410
    assert facility.wait_for(facility.ask_for(pid))["statusCode"] == "finishedSuccessful"
