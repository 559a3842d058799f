"""What a bucket as staging area promises beyond the port, on a real S3."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest

from scicat_retriever.domain.errors import (
    StagedBytesDiffer,
    StagedFileMissing,
    StagingError,
    StagingWriteFailed,
)
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.copying import copy_and_hash
from scicat_retriever.onepass.errors import TarFault
from scicat_retriever.storage.staging.s3.area import S3Staging
from tests.contracts.staging.rig import CONTENT, KEY, MIB, MakeArea, key, stage, staged, write, write_partial
from tests.integration.seaweedfs import Seaweed
from tests.integration.tcp_proxy import Damage, TcpProxy

MARK = b"<a mark that is found once>"


@pytest.fixture
def through(make_area: MakeArea, proxy: TcpProxy) -> S3Staging:
    """An area that is reached through the proxy."""
    return make_area(endpoint_url=f"http://{proxy.address}", attempts=3)


def marked(size: int = 6 * MIB) -> bytes:
    return CONTENT[:1000] + MARK + bytes(size)


@pytest.mark.parametrize("checksum", ["crc64nvme", "crc32c", "md5"])
@pytest.mark.parametrize("size", [0, 11 * MIB])
def test_each_kind_of_checksum_proves_the_object(make_area: MakeArea, checksum: str, size: int) -> None:
    area = make_area(checksum=checksum)
    content = (CONTENT * 30)[:size]
    partial = write_partial(area, KEY, content)
    assert partial.receipt.startswith(f"{checksum}:")
    assert partial.receipt.endswith(f";bytes:{size}")
    area.commit(KEY, partial.token, partial.receipt)
    assert staged(area, KEY, partial.token) == content


def test_an_upload_whose_parts_go_since_another_completed_it_takes_no_object_along(
    make_area: MakeArea, seaweed: Seaweed, bucket: str
) -> None:
    area = make_area()
    partial = write_partial(area, KEY)
    area.commit(KEY, partial.token, partial.receipt)
    (found,) = seaweed.client.list_objects_v2(Bucket=bucket)["Contents"]
    seaweed.client.create_multipart_upload(Bucket=bucket, Key=found["Key"])  # what is left of it: no part
    area.commit(KEY, partial.token, partial.receipt)
    assert staged(area, KEY, partial.token) == CONTENT


def test_a_partial_is_committed_with_the_checksum_of_its_receipt(make_area: MakeArea) -> None:
    partial = write_partial(make_area(checksum="crc32c"), KEY)
    changed = make_area(checksum="md5")
    changed.commit(KEY, partial.token, partial.receipt)
    assert staged(changed, KEY, partial.token) == CONTENT


@pytest.mark.parametrize("sign_payload", [True, False])
@pytest.mark.parametrize("checksum", ["crc64nvme", "md5"])
def test_a_part_that_is_damaged_on_its_way_is_sent_again(
    make_area: MakeArea, proxy: TcpProxy, *, sign_payload: bool, checksum: str
) -> None:
    area = make_area(endpoint_url=f"http://{proxy.address}", sign_payload=sign_payload, checksum=checksum)
    proxy.to_server = damage = Damage(MARK, times=1)
    token = stage(area, KEY, marked())
    assert damage.left == 0
    assert staged(area, KEY, token) == marked()


@pytest.mark.parametrize("sign_payload", [True, False])
def test_a_part_that_is_damaged_each_time_ends_the_copy_and_leaves_nothing(
    make_area: MakeArea, proxy: TcpProxy, *, sign_payload: bool
) -> None:
    area = make_area(endpoint_url=f"http://{proxy.address}", sign_payload=sign_payload, attempts=2)
    proxy.to_server = Damage(MARK, times=100)
    with pytest.raises(StagingWriteFailed, match="other bytes than were sent"):
        write_partial(area, KEY, marked())
    assert list(area.holdings()) == []


def test_an_s3_that_tells_no_checksum_is_named_with_the_setting_to_change(
    through: S3Staging, proxy: TcpProxy
) -> None:
    proxy.to_client = lambda data: data.replace(b"X-Amz-Checksum-Crc64nvme", b"X-Amz-Something-Elsexxxx")
    with pytest.raises(StagingWriteFailed, match=r"crc64nvme.*staging\.checksum"):
        write_partial(through, KEY)


def test_an_s3_that_lists_no_checksums_of_parts_is_named_with_the_setting_to_change(
    make_area: MakeArea,
) -> None:
    area = make_area(checksum="sha256")
    with pytest.raises(StagingWriteFailed, match=r"sha256, or not of the parts.*staging\.checksum"):
        write_partial(area, KEY)
    assert list(area.holdings()) == []


def test_an_s3_that_computes_another_checksum_is_not_believed(through: S3Staging, proxy: TcpProxy) -> None:
    partial = write_partial(through, KEY)
    told = partial.receipt.removeprefix("crc64nvme:").partition(";")[0]
    proxy.to_client = lambda data: data.replace(told.encode(), b"AAAAAAAAAAA=")
    with pytest.raises(StagedBytesDiffer):
        through.commit(KEY, partial.token, partial.receipt)
    assert list(through.holdings()) == []


class CutsAnswers:
    """Lets requests to complete an upload through, and cuts the connection instead of their answers, some times."""

    def __init__(self, proxy: TcpProxy, times: int) -> None:
        self.left = times
        proxy.to_server = self._sent
        proxy.to_client = self._answered
        self._asked = False

    def _sent(self, data: bytes) -> bytes:
        if data.startswith(b"POST ") and b"uploadId=" in data.partition(b"\r\n")[0]:
            self._asked = True
        return data

    def _answered(self, data: bytes) -> bytes | None:
        if self._asked and self.left:
            self.left -= 1
            self._asked = False
            return None
        return data


def test_a_commit_whose_answer_is_lost_is_tried_again_and_found_done(
    through: S3Staging, proxy: TcpProxy
) -> None:
    partial = write_partial(through, KEY)
    cuts = CutsAnswers(proxy, times=1)
    through.commit(KEY, partial.token, partial.receipt)
    assert cuts.left == 0
    assert staged(through, KEY, partial.token) == CONTENT


def test_a_commit_whose_answers_are_all_lost_is_found_done_when_it_is_repeated(
    through: S3Staging, proxy: TcpProxy
) -> None:
    partial = write_partial(through, KEY)
    CutsAnswers(proxy, times=3)
    with pytest.raises(StagingWriteFailed):
        through.commit(KEY, partial.token, partial.receipt)
    through.commit(KEY, partial.token, partial.receipt)
    assert staged(through, KEY, partial.token) == CONTENT


def test_a_download_whose_connection_breaks_goes_on_at_the_same_byte(
    through: S3Staging, proxy: TcpProxy
) -> None:
    token = stage(through, KEY, CONTENT * 20)
    seen = 0

    def cut_once(data: bytes) -> bytes | None:
        nonlocal seen
        before, seen = seen, seen + len(data)
        return None if before < 3 * MIB <= seen else data

    proxy.to_client = cut_once
    assert staged(through, KEY, token) == CONTENT * 20
    assert seen > 3 * MIB


def test_an_object_that_is_released_while_it_is_read_is_told_as_missing(make_area: MakeArea) -> None:
    area = make_area()
    token = stage(area, KEY)
    with area.open_staged(KEY, token) as file:
        area.delete(KEY)
        with pytest.raises(StagedFileMissing):
            file.read(10)


def test_a_copy_that_fails_at_a_late_member_leaves_no_key_and_no_upload(
    make_area: MakeArea, seaweed: Seaweed, bucket: str
) -> None:
    area = make_area()
    broken = io.BytesIO(b"\0" * 512 + b"garbage after the end" * MIB)
    with pytest.raises(TarFault), area.open_partial(KEY, 0) as partial:
        copy_and_hash(broken, partial, algorithm=ChecksumAlgorithm.MD5, on_member=lambda _: None)
    assert seaweed.client.list_objects_v2(Bucket=bucket).get("Contents", []) == []
    assert seaweed.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


class Gate:
    """Holds what is sent until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self, data: bytes) -> bytes:
        if data.startswith(b"PUT "):
            assert self.opened.wait(30)
        return data


def test_who_writes_waits_when_all_parts_are_on_their_way(make_area: MakeArea, proxy: TcpProxy) -> None:
    area = make_area(endpoint_url=f"http://{proxy.address}", upload_slots=2)
    full = threading.Event()

    class Counting:
        taken = 0

        def write(self, data: bytes) -> None:
            with area.open_partial(KEY, 0) as partial:
                proxy.to_server = gate
                while self.taken < len(data):
                    self.taken += partial.write(memoryview(data)[self.taken : self.taken + MIB])
                    if self.taken == 3 * 5 * MIB:
                        full.set()
                partial.seal()

    gate, counting = Gate(), Counting()
    thread = threading.Thread(target=counting.write, args=(bytes(40 * MIB),))
    thread.start()
    assert full.wait(30)
    thread.join(0.2)  # more cannot come: there is no part to fill
    stopped_at = counting.taken
    gate.opened.set()
    thread.join(60)
    assert (stopped_at, counting.taken) == (15 * MIB, 40 * MIB)


def test_older_objects_of_the_datablock_go_and_those_of_others_stay(
    make_area: MakeArea, seaweed: Seaweed, bucket: str
) -> None:
    area = make_area(prefix="some/where/")
    other = stage(area, key(datablock="10"))
    stage(area, KEY)
    token = stage(area, KEY)
    keys = {each["Key"] for each in seaweed.client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert keys == {
        f"some/where/20.500.12345%2Fabc,1/{token}",
        f"some/where/20.500.12345%2Fabc,10/{other}",
    }


def test_what_is_not_named_as_its_own_or_lies_elsewhere_is_none_of_its_business(
    make_area: MakeArea, seaweed: Seaweed, bucket: str
) -> None:
    for name in ("p/report.pdf", "p/a,b/c", "other/a,b/0123456789abcdef", "a,b/0123456789abcdef"):
        seaweed.client.put_object(Bucket=bucket, Key=name, Body=b"x")
    seaweed.client.create_multipart_upload(Bucket=bucket, Key="p/of somebody else")
    assert list(make_area(prefix="p/").holdings()) == []


def test_a_listing_of_many_pages_is_whole(make_area: MakeArea, seaweed: Seaweed, bucket: str) -> None:
    names = {f"a,{number}/{number:016x}" for number in range(1005)}
    for name in names:
        seaweed.client.put_object(Bucket=bucket, Key=name, Body=b"x")
    assert {f"{each.name}/{each.token}" for each in make_area().holdings()} == names


def test_storage_class_and_tags_arrive(make_area: MakeArea, seaweed: Seaweed, bucket: str) -> None:
    tags = {"project": "scicat", "what is it": "a+b=c/d"}
    token = stage(make_area(storage_class="STANDARD_IA", tags=tags), KEY)
    name = f"20.500.12345%2Fabc,1/{token}"
    head = seaweed.client.head_object(Bucket=bucket, Key=name)
    assert (head["StorageClass"], head["ContentType"]) == ("STANDARD_IA", "application/octet-stream")
    found = seaweed.client.get_object_tagging(Bucket=bucket, Key=name)["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in found} == tags


def test_a_bucket_that_goes_away_is_an_error_and_not_a_bucket_without_files(
    make_area: MakeArea, seaweed: Seaweed, bucket: str
) -> None:
    area = make_area()
    seaweed.client.delete_bucket(Bucket=bucket)
    for ask in (
        lambda: area.staged_size(KEY, "0123456789abcdef"),
        lambda: area.partial_size(KEY, "0123456789abcdef"),
        lambda: area.delete(KEY),
        lambda: list(area.holdings()),
    ):
        with pytest.raises(StagingWriteFailed, match=r"staging\.bucket"):
            ask()


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"bucket": "no-such-bucket"}, r"staging\.bucket"),
        ({"access_key_id": "unknown"}, "the key"),
        ({"secret_access_key": "another-secret-0123456789"}, "the key"),
        ({"endpoint_url": "http://127.0.0.1:1", "attempts": 1}, "nothing answers"),
        ({"ca_bundle": "/no/such/file", "endpoint_url": "https://127.0.0.1:1"}, "ca_bundle"),
    ],
)
def test_an_s3_that_cannot_be_used_is_an_error_at_the_start_with_what_to_do(
    make_area: MakeArea, wrong: dict[str, Any], advice: str
) -> None:
    with pytest.raises(StagingError, match=advice) as raised:
        make_area(**wrong)
    assert "secret" not in str(raised.value)


def test_a_key_without_the_right_to_write_is_told_what_it_needs(make_area: MakeArea) -> None:
    area = make_area(access_key_id="key-that-reads")
    with (
        pytest.raises(StagingWriteFailed, match="let it read, write, list"),
        area.open_partial(KEY, 1) as partial,
    ):
        write(partial, b"x")
