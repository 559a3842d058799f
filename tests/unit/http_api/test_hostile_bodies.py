"""Bodies that are too long, or no JSON, on every route that takes one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.unit.http_api.rig import AUTHORIZED, JOBS, MAX_BODY, assert_problem

RETRY, REPORTS = f"{JOBS}/job-1/retry", "/api/v1/reports/retry"
STAGING = [f"/api/v1/staging/{what}" for what in ("pins", "release", "evict")]
ROUTES = pytest.mark.parametrize("path", [JOBS, RETRY, REPORTS, *STAGING])


@ROUTES
def test_no_more_of_a_body_is_read_than_allowed(client: TestClient, path: str) -> None:

    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b" " * MAX_BODY

    assert_problem(client.post(path, content=b" " * (MAX_BODY + 1), headers=AUTHORIZED), 413, "job_too_large")
    assert_problem(client.post(path, content=endless(), headers=AUTHORIZED), 413, "job_too_large")


@ROUTES
@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 1000, b"x" * (MAX_BODY + 1)])
def test_without_a_token_a_body_is_not_looked_at(client: TestClient, path: str, body: bytes) -> None:
    assert_problem(client.post(path, content=body), 401, "token_invalid")


@pytest.mark.parametrize("path", [RETRY, REPORTS, *STAGING])
@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 1000, b"[]", b'"x"', b'{"strange": 1}', b"nul"])
def test_a_body_that_cannot_be_read_is_a_problem_that_says_where(
    client: TestClient, path: str, body: bytes
) -> None:
    problem = assert_problem(client.post(path, content=body, headers=AUTHORIZED), 422)
    assert problem["field"].startswith("body")
