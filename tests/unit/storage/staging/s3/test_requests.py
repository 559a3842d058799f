"""What is asked of an S3 other than the one that the contract runs on: as the answers of boto3's own stubber."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from scicat_retriever.domain.errors import StagedFileMissing, StagingWriteFailed
from scicat_retriever.storage.staging.s3.checksums import Name, Receipt, UploadPart, checksum_named
from scicat_retriever.storage.staging.s3.requests import S3Requests
from scicat_retriever.storage.staging.s3.settings import S3StagingSettings

KEY = "p/a,1/0123456789abcdef"
UPLOAD = {"Bucket": "staging", "Key": KEY, "UploadId": "id"}


@pytest.fixture
def requests() -> S3Requests:
    return S3Requests(
        S3StagingSettings.model_validate(
            {
                "kind": "s3",
                "endpoint_url": "http://127.0.0.1:1",
                "bucket": "staging",
                "capacity_bytes": 1,
                "access_key_id": "id",
                "secret_access_key": "a-secret",
            }
        )
    )


def parts(name: Name) -> list[UploadPart]:
    return [UploadPart(number, 3, f"etag{number}", checksum_named(name).of(b"abc")) for number in (1, 2)]


def complete(requests: S3Requests, name: Name) -> None:
    requests.complete(KEY, "id", parts(name), Receipt.of(checksum_named(name), parts(name)))


def test_an_upload_of_composite_checksums_is_completed_with_those_of_its_parts(requests: S3Requests) -> None:
    sha256 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
    listed = [{"PartNumber": number, "ETag": f"etag{number}", "ChecksumSHA256": sha256} for number in (1, 2)]
    expected = {**UPLOAD, "MultipartUpload": {"Parts": listed}, "IfNoneMatch": "*"}
    with Stubber(requests.client) as stubber:
        stubber.add_response("complete_multipart_upload", {}, expected)
        complete(requests, "sha256")
        stubber.assert_no_pending_responses()


def full_object(**conditions: str) -> dict[str, Any]:
    listed = [
        {"PartNumber": number, "ETag": f"etag{number}", "ChecksumCRC64NVME": "BeXKuz/B+us="}
        for number in (1, 2)
    ]
    whole = checksum_named("crc64nvme").whole(parts("crc64nvme"))
    checksum = {"ChecksumCRC64NVME": whole, "ChecksumType": "FULL_OBJECT"}
    return {**UPLOAD, "MultipartUpload": {"Parts": listed}, **checksum, **conditions}


def test_an_upload_of_full_checksums_is_completed_with_that_of_the_whole(requests: S3Requests) -> None:
    with Stubber(requests.client) as stubber:
        stubber.add_response("complete_multipart_upload", {}, full_object(IfNoneMatch="*"))
        complete(requests, "crc64nvme")
        stubber.assert_no_pending_responses()


def test_an_s3_that_does_not_know_conditions_is_asked_without(requests: S3Requests) -> None:
    with Stubber(requests.client) as stubber:
        stubber.add_client_error("complete_multipart_upload", "NotImplemented", http_status_code=501)
        stubber.add_response("complete_multipart_upload", {}, full_object())
        complete(requests, "crc64nvme")
        stubber.assert_no_pending_responses()


def test_an_object_that_is_there_already_is_no_error(requests: S3Requests) -> None:
    with Stubber(requests.client) as stubber:
        stubber.add_client_error("complete_multipart_upload", "PreconditionFailed", http_status_code=412)
        complete(requests, "crc64nvme")
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "error"),
    [("NoSuchUpload", StagedFileMissing), ("InvalidPart", StagingWriteFailed), ("409", StagingWriteFailed)],
)
def test_an_upload_that_cannot_be_completed_is_an_error(
    requests: S3Requests, code: str, error: type[Exception]
) -> None:
    with Stubber(requests.client) as stubber:
        stubber.add_client_error("complete_multipart_upload", code)
        with pytest.raises(error):
            complete(requests, "md5")


def test_uploads_of_keys_that_only_begin_alike_are_left_out(requests: S3Requests) -> None:
    uploads = [{"Key": key, "UploadId": key[-1], "Initiated": datetime.now(UTC)} for key in (KEY, f"{KEY}0")]
    with Stubber(requests.client) as stubber:
        stubber.add_response(
            "list_multipart_uploads", {"Uploads": uploads}, {"Bucket": "staging", "Prefix": KEY}
        )
        assert requests.uploads_of(KEY) == [KEY[-1]]
