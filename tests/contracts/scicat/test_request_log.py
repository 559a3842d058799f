"""What the stand-in remembers of the requests that reached it."""

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2
import pytest

from stand_ins import local_http
from stand_ins.scicat import ScicatStandIn, log_in

PID = "20.500.12345/abc"
LIFECYCLE = "/api/v4/datasets/20.500.12345%2Fabc/datasetlifecycle"


@pytest.fixture
def stand_in() -> ScicatStandIn:
    """A stand-in with one dataset."""
    made = ScicatStandIn()
    made.add_dataset(PID)
    return made


@pytest.fixture
def client(stand_in: ScicatStandIn) -> Iterator[httpx2.Client]:
    """A client of the archive manager."""
    with (
        stand_in.serve() as url,
        httpx2.Client(base_url=url, trust_env=False, verify=local_http.authorities()) as made,
    ):
        made.headers["Authorization"] = f"Bearer {log_in(url, 'archiveManager')}"
        yield made


def test_keeps_bodies_and_statuses_in_the_order_of_arrival(
    stand_in: ScicatStandIn, client: httpx2.Client
) -> None:
    for text in ("started", "datasetRetrieved"):
        client.patch(LIFECYCLE, json={"retrieveStatusMessage": text})
    client.patch(LIFECYCLE, json={"bogus": 1})
    found = stand_in.log.requests(method="PATCH", path_contains=f"{PID}/datasetlifecycle")
    assert [(one.body, one.status) for one in found] == [
        ({"retrieveStatusMessage": "started"}, 200),
        ({"retrieveStatusMessage": "datasetRetrieved"}, 200),
        ({"bogus": 1}, 400),
    ]


def test_knows_when_who_and_the_path_as_sent(stand_in: ScicatStandIn, client: httpx2.Client) -> None:
    before = datetime.now(UTC)
    client.get(f"{LIFECYCLE}?x=1")
    (seen,) = stand_in.log.requests(method="GET")
    assert before <= seen.at <= datetime.now(UTC)
    assert (seen.username, seen.target, seen.outcome) == ("archiveManager", f"{LIFECYCLE}?x=1", "answered")
    assert seen.milliseconds is not None
    assert seen.milliseconds >= 0


def test_keeps_neither_tokens_nor_passwords(stand_in: ScicatStandIn, client: httpx2.Client) -> None:
    token = client.headers["Authorization"].removeprefix("Bearer ")
    client.get("/api/v3/auth/whoami", params={"access_token": f"Bearer {token}"})
    kept = "".join(str(one.as_json()) for one in stand_in.log.requests())
    assert token not in kept
    assert "archivemanager-pw" not in kept
    assert "Bearer <token>" in kept


def test_a_dropped_request_has_no_status(stand_in: ScicatStandIn, client: httpx2.Client) -> None:
    stand_in.faults.drop()
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get("/api/v3/health")
    (seen,) = stand_in.log.requests(path_contains="/health")
    assert (seen.status, seen.outcome) == (None, "dropped")


def test_a_fault_is_recorded_with_the_status_that_was_sent(
    stand_in: ScicatStandIn, client: httpx2.Client
) -> None:
    stand_in.faults.fail(503)
    client.get("/api/v3/health")
    assert [one.status for one in stand_in.log.requests(path_contains="/health")] == [503]


def test_waits_for_requests_and_gives_them(stand_in: ScicatStandIn, client: httpx2.Client) -> None:
    client.get("/api/v3/health")
    assert len(stand_in.log.wait_for(1, path_contains="/health", status=200)) == 1


def test_a_wait_in_vain_says_what_did_come(stand_in: ScicatStandIn, client: httpx2.Client) -> None:
    client.get("/api/v3/health")
    with pytest.raises(TimeoutError, match="GET /api/v3/health 200"):
        stand_in.log.wait_for(2, path_contains="/health", deadline_seconds=0.1)


def test_a_body_over_a_mebibyte_is_counted_and_not_kept(
    stand_in: ScicatStandIn, client: httpx2.Client
) -> None:
    client.patch(LIFECYCLE, json={"retrieveStatusMessage": "x" * (1024 * 1024)})
    (seen,) = stand_in.log.requests(method="PATCH")
    assert seen.body is None
    assert seen.body_bytes > 1024 * 1024


def test_cleared_it_is_empty(stand_in: ScicatStandIn, client: httpx2.Client) -> None:
    client.get("/api/v3/health")
    stand_in.log.clear()
    assert stand_in.log.requests() == []
