"""The stand-in in a process of its own, told over its control routes what to do."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from stand_ins import local_http
from stand_ins.scicat import ScicatStandIn, log_in, submit_retrieve_job
from tests.contracts.scicat.targets import catching

PID = "20.500.12345/abc"


@pytest.fixture
def stand_in() -> ScicatStandIn:
    """A stand-in with one dataset."""
    made = ScicatStandIn()
    made.add_dataset(PID)
    return made


@pytest.fixture
def url(stand_in: ScicatStandIn) -> Iterator[str]:
    """Where it is served."""
    with stand_in.serve() as base_url:
        yield base_url


def test_faults_are_set_and_ended(url: str) -> None:
    local_http.post(f"{url}/_control/faults", json={"status": 503, "times": None}).raise_for_status()
    refused = local_http.get(f"{url}/api/v3/health").status_code
    local_http.delete(f"{url}/_control/faults").raise_for_status()
    assert (refused, local_http.get(f"{url}/api/v3/health").status_code) == (503, 200)


def test_the_log_is_read_and_control_requests_are_not_in_it(url: str) -> None:
    local_http.get(f"{url}/api/v3/health")
    found = local_http.get(f"{url}/_control/requests", params={"method": "GET"}).json()["result"]
    assert [(one["method"], one["path"], one["status"]) for one in found] == [("GET", "/api/v3/health", 200)]


def test_tokens_expire(url: str) -> None:
    headers = {"Authorization": f"Bearer {log_in(url, 'scientist')}"}
    local_http.post(f"{url}/_control/tokens/expire", json={}).raise_for_status()
    assert local_http.get(f"{url}/api/v4/jobs", headers=headers).status_code == 401


def test_the_lifecycle_route_is_switched_off(url: str) -> None:
    headers = {"Authorization": f"Bearer {log_in(url, 'archiveManager')}"}
    path = f"{url}/api/v4/datasets/20.500.12345%2Fabc/datasetlifecycle"
    before = local_http.get(path, headers=headers).status_code
    local_http.put(f"{url}/_control/lifecycle-route", json={"offered": False}).raise_for_status()
    assert (before, local_http.get(path, headers=headers).status_code) == (200, 404)


def test_the_url_action_is_set(url: str) -> None:
    with catching() as catcher:
        action = {"url": catcher.url, "token": "secret", "template": "short"}
        local_http.put(f"{url}/_control/url-action", json=action).raise_for_status()
        job = submit_retrieve_job(url, [PID], token=log_in(url, "scientist")).json()
        sent = catcher.received.get(timeout=60)
    assert (sent["json"], sent["headers"]["authorization"]) == (
        {"id": job["id"], "type": "retrieve"},
        "Bearer secret",
    )


@pytest.mark.parametrize("body", [{"nonsense": 1}, ["x"]])
def test_nonsense_is_refused(url: str, body: object) -> None:
    assert local_http.post(f"{url}/_control/faults", json=body).status_code == 422


def test_an_unknown_control_route_is_not_found(url: str) -> None:
    assert local_http.get(f"{url}/_control/nothing").status_code == 404


@pytest.mark.parametrize(("release", "visitor"), [("4.27", 403), ("master", 404)])
def test_runs_as_a_process_that_says_where_it_is_and_answers_as_it_was_told(
    release: str, visitor: int
) -> None:
    command = [sys.executable, "-m", "stand_ins.scicat", "--port", "0", "--release", release]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            assert said is not None
            assert local_http.get(f"{said.group()}/api/v3/health").json()["status"] == "ok"
            assert local_http.get(f"{said.group()}/api/v4/datasets/none").status_code == visitor
        finally:
            process.terminate()
