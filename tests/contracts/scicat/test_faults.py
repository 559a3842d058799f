"""What a test can make go wrong in the stand-in."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx2
import pytest

from stand_ins import local_http
from stand_ins.scicat import RELEASES, Fault, Faults, ScicatStandIn, log_in
from tests.unit.stand_ins.waiting import wait_for

PID = "20.500.12345/abc"
LIFECYCLE = "/api/v4/datasets/20.500.12345%2Fabc/datasetlifecycle"


@dataclass
class Running:
    """A stand-in that is served, and a client of its archive manager."""

    stand_in: ScicatStandIn
    url: str
    client: httpx2.Client = field(repr=False)

    def write(self, text: str = "started") -> httpx2.Response:
        """Change the lifecycle of the dataset."""
        return self.client.patch(LIFECYCLE, json={"retrieveStatusMessage": text})

    def stored(self) -> str:
        """Give what the lifecycle of the dataset says."""
        return str(self.stand_in.dataset(PID)["datasetlifecycle"]["retrieveStatusMessage"])


@pytest.fixture
def running() -> Iterator[Running]:
    """A stand-in with one dataset."""
    stand_in = ScicatStandIn()
    stand_in.add_dataset(PID)
    with (
        stand_in.serve() as url,
        httpx2.Client(base_url=url, trust_env=False, verify=local_http.authorities()) as client,
    ):
        client.headers["Authorization"] = f"Bearer {log_in(url, 'archiveManager')}"
        yield Running(stand_in, url, client)


def test_fails_the_next_requests_that_match_and_no_more(running: Running) -> None:
    running.stand_in.faults.fail(503, times=2, method="PATCH", path_contains=f"{PID}/datasetlifecycle")
    other = running.client.get(LIFECYCLE).status_code
    assert [running.write().status_code for _ in range(3)] == [503, 503, 200]
    assert other == 200


def test_a_request_that_fails_before_its_work_stores_nothing(running: Running) -> None:
    running.stand_in.faults.fail(500, method="PATCH")
    assert running.write().json() == "Internal server error"
    assert running.stored() == ""


def test_a_request_that_fails_after_its_work_has_stored_it(running: Running) -> None:
    running.stand_in.faults.fail(500, method="PATCH", when="after")
    assert running.write().status_code == 500
    assert running.stored() == "started"


def test_fails_everything_for_a_while(running: Running) -> None:
    running.stand_in.faults.fail(503, for_seconds=1)
    end = time.monotonic() + 60
    statuses = [running.write().status_code]
    while statuses[-1] != 200 and time.monotonic() < end:
        statuses.append(running.write().status_code)
    assert (statuses[0], statuses[-1]) == (503, 200)


def test_drops_the_connection_before_the_work(running: Running) -> None:
    running.stand_in.faults.drop(method="PATCH")
    with pytest.raises(httpx2.RemoteProtocolError):
        running.write()
    assert running.stored() == ""
    assert running.write().status_code == 200


def test_drops_the_connection_after_the_work(running: Running) -> None:
    running.stand_in.faults.drop(method="PATCH", when="after")
    with pytest.raises(httpx2.RemoteProtocolError):
        running.write()
    assert running.stored() == "started"


def test_a_delayed_request_runs_into_the_timeout_of_its_client(running: Running) -> None:
    running.stand_in.faults.delay(5, times=1)
    with pytest.raises(httpx2.ReadTimeout):
        running.client.get("/api/v3/health", timeout=0.2)
    assert running.client.get("/api/v3/health", timeout=4).status_code == 200


def test_an_expired_token_is_refused_until_the_next_login(running: Running) -> None:
    running.stand_in.expire_tokens()
    refused = running.write()
    running.client.headers["Authorization"] = f"Bearer {log_in(running.url, 'archiveManager')}"
    assert (refused.status_code, running.write().status_code) == (401, 200)
    assert refused.json()["message"] == "SESSION_EXPIRED"


def test_an_older_release_takes_the_bearer_of_an_expired_token_for_a_visitor() -> None:
    stand_in = ScicatStandIn(release=RELEASES["4.27"])
    stand_in.add_dataset(PID)
    expired = {"Authorization": f"Bearer {stand_in.issue_token('archiveManager', -1)}"}
    with stand_in.serve() as url:
        refused = local_http.patch(f"{url}{LIFECYCLE}", json={"retrieveStatusMessage": "x"}, headers=expired)
        listed = local_http.get(f"{url}/api/v3/datasets", headers=expired)
    assert (refused.status_code, listed.status_code, listed.json()) == (403, 200, [])


def test_a_token_signed_with_another_key_makes_the_caller_a_visitor(running: Running) -> None:
    running.stand_in.change_token_key()
    refused, listed = running.write(), running.client.get("/api/v3/datasets")
    running.client.headers["Authorization"] = f"Bearer {log_in(running.url, 'archiveManager')}"
    assert (refused.status_code, running.write().status_code) == (403, 200)
    assert (listed.status_code, listed.json()) == (200, [])


def test_a_long_lived_token_outlives_the_others(running: Running) -> None:
    running.client.headers["Authorization"] = f"Bearer {running.stand_in.issue_token('archiveManager')}"
    running.stand_in.expire_tokens()
    assert running.write().status_code == 200
    running.stand_in.expire_tokens(long_lived=True)
    assert running.write().status_code == 401


def test_a_token_stops_working_when_its_lifetime_is_over() -> None:
    stand_in = ScicatStandIn(token_lifetime_seconds=4)
    with stand_in.serve() as url:
        headers = {"Authorization": f"Bearer {log_in(url, 'scientist')}"}
        with httpx2.Client(
            base_url=url, headers=headers, trust_env=False, verify=local_http.authorities()
        ) as client:
            assert client.get("/api/v3/auth/whoami").status_code == 200
            wait_for(lambda: client.get("/api/v3/auth/whoami").status_code == 401)


def test_cleared_faults_concern_nobody(running: Running) -> None:
    running.stand_in.faults.fail(503, times=None)
    running.stand_in.faults.clear()
    assert running.write().status_code == 200


def test_every_so_many_lost_updates_are_answered_with_500_after_the_write() -> None:
    stand_in = ScicatStandIn(write_gap_seconds=3, conflict_500_every=1)
    stand_in.add_dataset(PID)
    with stand_in.serve() as url:
        headers = {"Authorization": f"Bearer {log_in(url, 'archiveManager')}"}
        statuses = sorted(_two_at_once(f"{url}{LIFECYCLE}", headers))
    assert statuses == [200, 500]


def test_in_process_a_dropped_connection_is_a_connection_error() -> None:
    stand_in = ScicatStandIn()
    stand_in.faults.drop()

    async def ask() -> None:
        transport = httpx2.ASGITransport(stand_in)
        async with httpx2.AsyncClient(transport=transport, base_url="http://scicat") as client:
            await client.get("/api/v3/health")

    with pytest.raises(ConnectionResetError):
        asyncio.run(ask())


def test_delays_add_up_and_only_the_first_failure_is_used_up() -> None:
    faults = Faults()
    faults.delay(1.0)
    faults.delay(0.5)
    faults.fail(503)
    faults.fail(502)
    first, second, third = (faults.take("GET", "/x") for _ in range(3))
    assert (first.delay_seconds, first.fault and first.fault.status) == (1.5, 503)
    assert second.fault is not None
    assert second.fault.status == 502
    assert third.fault is None


@pytest.mark.parametrize(
    ("method", "path", "concerned"),
    [
        ("PATCH", "/api/v4/jobs/1", True),
        ("GET", "/api/v4/jobs/1", False),
        ("PATCH", "/api/v4/datasets/1", False),
    ],
)
def test_a_fault_concerns_its_method_and_path(method: str, path: str, concerned: bool) -> None:
    assert Fault(503, method="PATCH", path_contains="/jobs/").concerns(method, path) is concerned


def _two_at_once(url: str, headers: dict[str, str]) -> list[int]:
    bodies = [{"retrieveStatusMessage": "A"}, {"archiveStatusMessage": "B"}]
    with ThreadPoolExecutor(2) as pool:
        return list(
            pool.map(lambda body: local_http.patch(url, json=body, headers=headers).status_code, bodies)
        )
