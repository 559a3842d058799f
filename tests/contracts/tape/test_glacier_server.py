"""The Glacier-like server, asked by boto3 as the store asks it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from stand_ins.tape.glacier import GlacierServer
from stand_ins.tape.library import TapeLibrary
from stand_ins.tape.shape import LibraryShape

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import TierType

CONTENT = os.urandom(3_000_000)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = "deep/a ü+&.tar"
SHAPE = LibraryShape(
    drives=1, mount_seconds=10, seek_seconds=0, seek_seconds_per_byte=0, bytes_per_second=1e6
)
DAY = 86_400


@pytest.fixture
def library() -> TapeLibrary:
    library = TapeLibrary(SHAPE)
    library.store(KEY, CONTENT, tape="T1")
    library.store("disk.tar", b"0123456789")
    return library


@pytest.fixture
def server(library: TapeLibrary) -> GlacierServer:
    return GlacierServer(library, access_key="known", now=lambda: NOW)


def client(url: str, access_key: str = "known") -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key="any",
        config=Config(
            retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, signature_version="s3v4"
        ),
    )


@pytest.fixture
def s3(server: GlacierServer) -> Iterator[S3Client]:
    with server.serve() as url:
        yield client(url)


def restore(s3: S3Client, *, key: str = KEY, days: int = 1, tier: TierType = "Standard") -> int:
    request = {"Days": days, "GlacierJobParameters": {"Tier": tier}}
    answer = s3.restore_object(Bucket="archive", Key=key, RestoreRequest=request)  # type: ignore[arg-type]
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def refused(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_what_is_on_tape_is_seen_and_cannot_be_read(s3: S3Client) -> None:
    head = s3.head_object(Bucket="archive", Key=KEY)
    assert (head["ContentLength"], head["StorageClass"]) == (len(CONTENT), "GLACIER")
    assert "Restore" not in dict(head)
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="archive", Key=KEY)
    assert refused(error) == (403, "InvalidObjectState")


def test_a_restore_is_accepted_told_and_ends_with_the_bytes(s3: S3Client, library: TapeLibrary) -> None:
    assert restore(s3, days=2) == 202
    assert s3.head_object(Bucket="archive", Key=KEY)["Restore"] == 'ongoing-request="true"'
    library.advance(13)
    told = s3.head_object(Bucket="archive", Key=KEY)["Restore"]
    assert told == 'ongoing-request="false", expiry-date="Sun, 04 Jan 2026 03:04:05 GMT"'
    assert s3.get_object(Bucket="archive", Key=KEY)["Body"].read() == CONTENT


def test_a_restore_under_way_is_a_conflict(s3: S3Client, library: TapeLibrary) -> None:
    restore(s3)
    with pytest.raises(ClientError) as error:
        restore(s3)
    assert refused(error) == (409, "RestoreAlreadyInProgress")
    library.advance(13)
    assert library.reads(KEY) == 1


def test_a_restored_object_is_kept_longer_when_asked(s3: S3Client, library: TapeLibrary) -> None:
    restore(s3, days=1)
    library.advance(13)
    assert restore(s3, days=5) == 200
    library.advance(4 * DAY)
    assert s3.get_object(Bucket="archive", Key=KEY)["ContentLength"] == len(CONTENT)
    library.advance(6 * DAY)
    assert "Restore" not in dict(s3.head_object(Bucket="archive", Key=KEY))


def test_expedited_restores_may_be_unavailable_and_standard_ones_go_on(
    s3: S3Client, server: GlacierServer
) -> None:
    server.expedited = False
    with pytest.raises(ClientError) as error:
        restore(s3, tier="Expedited")
    assert refused(error) == (503, "GlacierExpeditedRetrievalNotAvailable")
    assert restore(s3, tier="Bulk") == 202


def test_what_is_not_archived_cannot_be_restored(s3: S3Client) -> None:
    with pytest.raises(ClientError) as error:
        restore(s3, key="disk.tar")
    assert refused(error) == (403, "InvalidObjectState")
    assert "StorageClass" not in s3.head_object(Bucket="archive", Key="disk.tar")


def test_days_are_needed(s3: S3Client) -> None:
    with pytest.raises(ClientError) as error:
        s3.restore_object(
            Bucket="archive", Key=KEY, RestoreRequest={"GlacierJobParameters": {"Tier": "Standard"}}
        )
    assert refused(error) == (400, "MalformedXML")


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [("bytes=2-4", 2, 5), ("bytes=7-", 7, 10), ("bytes=-3", 7, 10), ("bytes=5-99", 5, 10)],
)
def test_a_range_is_read(s3: S3Client, wanted: str, start: int, end: int) -> None:
    answer = s3.get_object(Bucket="archive", Key="disk.tar", Range=wanted)
    assert answer["Body"].read() == b"0123456789"[start:end]
    assert answer["ContentRange"] == f"bytes {start}-{end - 1}/10"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=4-2", "bytes=-0", "lines=1-2", "bytes=-"])
def test_a_range_that_is_none_is_refused(s3: S3Client, wanted: str) -> None:
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="archive", Key="disk.tar", Range=wanted)
    assert refused(error) == (416, "InvalidRange")


def test_a_replaced_object_is_another_one(s3: S3Client, library: TapeLibrary) -> None:
    etag = s3.head_object(Bucket="archive", Key="disk.tar")["ETag"]
    library.remove("disk.tar")
    library.store("disk.tar", b"another")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="archive", Key="disk.tar", IfMatch=etag)
    assert refused(error) == (412, "PreconditionFailed")


def test_an_unknown_key_and_bucket_are_missing(s3: S3Client) -> None:
    with pytest.raises(ClientError) as key:
        s3.get_object(Bucket="archive", Key="no")
    with pytest.raises(ClientError) as bucket:
        s3.get_object(Bucket="no", Key=KEY)
    with pytest.raises(ClientError) as head:
        s3.head_object(Bucket="archive", Key="no")
    assert [refused(error) for error in (key, bucket, head)] == [
        (404, "NoSuchKey"),
        (404, "NoSuchBucket"),
        (404, "404"),
    ]


def test_a_lost_file_is_seen_and_never_restored(s3: S3Client, library: TapeLibrary) -> None:
    library.lose(KEY)
    assert restore(s3) == 202
    library.advance(100)
    assert "Restore" not in dict(s3.head_object(Bucket="archive", Key=KEY))


def test_another_access_key_is_refused(server: GlacierServer) -> None:
    with server.serve() as url, pytest.raises(ClientError) as error:
        client(url, "other").get_object(Bucket="archive", Key=KEY)
    assert refused(error) == (403, "InvalidAccessKeyId")


def test_a_key_can_be_forbidden(s3: S3Client, server: GlacierServer) -> None:
    server.forbidden.add("disk.tar")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="archive", Key="disk.tar")
    assert refused(error) == (403, "AccessDenied")


def test_it_can_ask_to_slow_down(s3: S3Client, server: GlacierServer) -> None:
    server.slow_down = 1
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="archive", Key="disk.tar")
    assert refused(error) == (503, "SlowDown")
    assert s3.get_object(Bucket="archive", Key="disk.tar")["ContentLength"] == 10


def test_a_list_tells_of_restores_where_it_is_asked_to(s3: S3Client, library: TapeLibrary) -> None:
    library.store("running.tar", 10**9, tape="T2")
    restore(s3)
    library.advance(13)
    restore(s3, key="running.tar")
    listed = s3.list_objects_v2(Bucket="archive", OptionalObjectAttributes=["RestoreStatus"])["Contents"]
    assert {each["Key"]: (each["StorageClass"], each.get("RestoreStatus")) for each in listed} == {
        KEY: ("GLACIER", {"IsRestoreInProgress": False, "RestoreExpiryDate": NOW + timedelta(days=1)}),
        "disk.tar": ("STANDARD", None),
        "running.tar": ("GLACIER", {"IsRestoreInProgress": True}),
    }
    assert not any(
        "RestoreStatus" in each for each in s3.list_objects_v2(Bucket="archive").get("Contents", [])
    )


def test_restores_may_be_left_out_of_lists(s3: S3Client, server: GlacierServer) -> None:
    server.restore_status = False
    restore(s3)
    listed = s3.list_objects_v2(Bucket="archive", OptionalObjectAttributes=["RestoreStatus"])["Contents"]
    assert not any("RestoreStatus" in each for each in listed)


def test_a_long_list_comes_in_pages(s3: S3Client, library: TapeLibrary) -> None:
    names = [f"many/{number:04d} &.tar" for number in range(2_300)]
    for name in names:
        library.store(name, 1, tape="T2")
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket="archive", Prefix="many/"))
    assert [len(page["Contents"]) for page in pages] == [1000, 1000, 300]
    assert [each["Key"] for page in pages for each in page["Contents"]] == names


def test_other_operations_are_not_implemented(s3: S3Client) -> None:
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="archive", Key="new", Body=b"x")
    assert refused(error) == (501, "NotImplemented")


def test_sped_up_the_expiry_is_told_in_our_time(library: TapeLibrary) -> None:
    server = GlacierServer(library, speed=60.0, now=lambda: NOW)
    library.recall([KEY], lifetime=3600)
    library.advance(13)
    with server.serve() as url:
        told = client(url).head_object(Bucket="archive", Key=KEY)["Restore"]
    assert 'expiry-date="Fri, 02 Jan 2026 03:05:05 GMT"' in told
