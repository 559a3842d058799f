from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from scicat_retriever.storage.staging.s3.settings import MIB, S3StagingSettings
from scicat_retriever.storage.staging.s3.upload import MOST_PARTS, part_bytes

LEAST = {"kind": "s3", "bucket": "staging", "capacity_bytes": 10**12}
KEY = {"access_key_id": "id-of-the-key", "secret_access_key": "a-secret", "session_token": "a-token"}


def settings(**others: Any) -> S3StagingSettings:
    return S3StagingSettings.model_validate({**LEAST, **others})


@pytest.mark.parametrize(
    "wrong",
    [
        {"bucket": "Not_A_Bucket"},
        {"capacity_bytes": 0},
        {"endpoint_url": "s3.example.org"},
        {"endpoint_url": "https://user:password@s3.example.org"},
        {"endpoint_url": "https://s3.example.org/path"},
        {"external_url": "ftp://s3.example.org"},
        {"prefix": "/leading/"},
        {"prefix": "no-slash"},
        {"prefix": "a//b/"},
        {"addressing": "other"},
        {"checksum": "sha1"},
        {"part_bytes": 5 * MIB - 1},
        {"upload_slots": 0},
        {"tags": {str(number): "" for number in range(11)}},
        {"url_lifetime": 7 * 86400 + 1},
        {"downloads": "both"},
        {"verify": False},
        {"unknown": 1},
    ],
    ids=str,
)
def test_settings_that_cannot_be_used_are_refused_and_the_key_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        settings(**wrong)


@pytest.mark.parametrize("left_out", ["access_key_id", "secret_access_key"])
def test_a_key_and_its_secret_go_together(left_out: str) -> None:
    with pytest.raises(ValidationError, match="secret_access_key"):
        settings(**{name: value for name, value in KEY.items() if name != left_out})


def test_secrets_are_not_shown() -> None:
    shown = repr(settings(**KEY)) + settings(**KEY).model_dump_json()
    assert "a-secret" not in shown
    assert "a-token" not in shown


@pytest.mark.parametrize(
    "host", ["s3.example.org", "10.0.0.1", "localhost.example.org", "127.0.0.1.example.org"]
)
def test_a_token_is_never_sent_in_clear(host: str) -> None:
    with pytest.raises(ValidationError, match="https only"):
        settings(**KEY, endpoint_url=f"http://{host}:9000", sign_payload=False)


@pytest.mark.parametrize(
    "endpoint_url",
    ["http://127.0.0.1:9000", "http://localhost", "http://[::1]:9000", "https://s3.example.org", None],
)
def test_a_token_may_be_sent_over_tls_and_on_this_machine(endpoint_url: str | None) -> None:
    assert settings(**KEY, endpoint_url=endpoint_url).session_token is not None


@pytest.mark.parametrize(
    ("options", "signs"),
    [
        ({}, False),
        ({"endpoint_url": "https://s3.example.org"}, False),
        ({"endpoint_url": "http://s3.example.org"}, True),
        ({"endpoint_url": "http://s3.example.org", "sign_payload": False}, False),
        ({"sign_payload": True}, True),
    ],
)
def test_what_is_sent_is_signed_where_tls_does_not_protect_it(
    options: dict[str, Any], *, signs: bool
) -> None:
    assert settings(**options).signs_payload is signs


@pytest.mark.parametrize(
    ("size", "part"),
    [(0, 16), (140 * 2**30, 16), (500 * 10**9, 56), (5 * 2**40, 584)],
)
def test_parts_grow_with_the_file_so_that_they_are_never_too_many(size: int, part: int) -> None:
    assert part_bytes(settings(), size) == part * MIB
    assert size / (part * MIB) < MOST_PARTS
