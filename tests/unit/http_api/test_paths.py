"""A slash at the end of a path, which people write into the settings of SciCat and of proxies."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.unit.http_api.rig import AUTHORIZED, JOBS, V4, ApiRig, assert_problem
from tests.unit.pipeline.rig import JOB, PID


def test_a_job_posted_with_a_slash_at_the_end_is_taken_without_a_redirect(
    client: TestClient, api: ApiRig
) -> None:
    answer = client.post(f"{JOBS}/", json=V4, headers=AUTHORIZED, follow_redirects=False)
    assert answer.status_code == 201
    assert api.woken == 1


@pytest.mark.parametrize("path", ["/api/v1/health/", f"{JOBS}/{JOB}/", "/api/openapi.json/"])
def test_no_path_is_redirected(client: TestClient, api: ApiRig, path: str) -> None:
    api.job(PID)
    assert client.get(path, headers=AUTHORIZED, follow_redirects=False).status_code == 200


@pytest.mark.parametrize("path", ["/", "//", "/api/v1/none/", f"{JOBS}//"])
def test_a_path_that_is_none_stays_none(client: TestClient, path: str) -> None:
    assert_problem(client.get(path, headers=AUTHORIZED, follow_redirects=False), 404)


def test_an_encoded_slash_is_part_of_a_jobs_id(client: TestClient, api: ApiRig) -> None:
    api.job(PID)
    assert client.delete(f"{JOBS}/{JOB}%2F", headers=AUTHORIZED, follow_redirects=False).status_code == 404
    record = api.ledger.jobs.get(JOB)
    assert record is not None
    assert not record.cancelled_by
