"""What is in staging, who keeps it there, and who waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from scicat_retriever.domain.errors import NoSpaceYet
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import JobState
from scicat_retriever.pipeline.staging import space
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.http_api.rig import AUTHORIZED, JOBS, ApiRig, assert_problem
from tests.unit.pipeline.rig import CACHE, FILES, JOB, PID, RETENTION, START, tar

STAGING, USAGE, PINS = "/api/v1/staging", "/api/v1/staging/usage", "/api/v1/staging/pins"
Q, R = DatasetPid("20.500.12345/q"), DatasetPid("20.500.12345/r")
SECOND = JobId("6f1c2a50-0000-4000-8000-000000000002")
SIZE = len(tar(FILES))
NOW, DAY = "2026-03-01T12:00:00Z", timedelta(days=1)
END = "2026-03-09T12:00:00Z"
"""When what a job brought at `NOW` is not pinned any more."""


def get(client: TestClient, path: str, **query: str | int) -> Any:
    response = client.get(path, params=query, headers=AUTHORIZED)
    assert response.status_code == 200
    return response.json()


def listed(client: TestClient, **query: str | int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(client, STAGING, **query)["datablocks"]
    return found


def names(client: TestClient, **query: str | int) -> list[tuple[str, str]]:
    return [(each["dataset"], each["datablock"]) for each in listed(client, **query)]


def test_an_empty_staging_area_is_all_free(client: TestClient) -> None:
    assert get(client, USAGE) == {
        "total": 2**30,
        "capacity": 2**30,
        "free": 2**30,
        "staged": 0,
        "claimed": 0,
        "written": 0,
        "pinned": 0,
        "cached": 0,
        "datablocks": 0,
        "waiting": {"jobs": 0, "bytes": 0, "first": []},
        "byGroup": [],
        "lastCheck": None,
        "lastFixity": None,
    }


def test_usage_tells_what_is_staged_pinned_cached_and_claimed(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    api.staged_dataset(pid=Q)
    api.catalogue.add_dataset(R, (api.archive(pid=R),))
    api.job(R, name=SECOND)
    usage = get(client, USAGE)
    assert (usage["staged"], usage["pinned"], usage["cached"]) == (2 * SIZE, SIZE, SIZE)
    assert (usage["claimed"], usage["written"], usage["datablocks"]) == (SIZE, 0, 2)
    assert usage["free"] == 2**30 - 3 * SIZE


def test_jobs_that_wait_are_listed_in_line_with_what_they_need() -> None:
    api = ApiRig(staging=InMemoryStagingArea(capacity=SIZE))
    api.retrieved(PID)
    for pid, name in ((Q, SECOND), (R, JobId("third"))):
        api.catalogue.add_dataset(pid, (api.archive(pid=pid),))
        api.submit(pid, name=name)
        with pytest.raises(NoSpaceYet):
            space.claim_job(name, api.tools)
    with api.client() as client:
        usage = get(client, USAGE)
    assert usage["waiting"] == {
        "jobs": 2,
        "bytes": 2 * SIZE,
        "first": [{"job": SECOND, "bytes": SIZE}, {"job": "third", "bytes": SIZE}],
    }
    assert usage["free"] == 0


def test_groups_are_told_with_what_they_have_pinned_and_may_pin() -> None:
    api = ApiRig(cache=replace(CACHE, quotas={"proposal-7": 10**9, "proposal-8": 5}))
    api.catalogue.add_dataset(PID, (api.archive(),))
    api.job(PID, group="proposal-7")
    api.catalogue.add_dataset(Q, (api.archive(pid=Q),))
    api.job(Q, name=SECOND, group="a-group-without-quota")
    with api.client() as client:
        assert get(client, USAGE)["byGroup"] == [
            {"group": "a-group-without-quota", "pinned": SIZE, "quota": None},
            {"group": "proposal-7", "pinned": SIZE, "quota": 10**9},
            {"group": "proposal-8", "pinned": 0, "quota": 5},
        ]


def test_usage_tells_what_the_looks_at_staging_found_last(client: TestClient, api: ApiRig) -> None:
    api.ledger.findings.note("staging", {"staged": 3, "missing": 1, "advice": ""})
    api.ledger.findings.note("fixity", {"right": 2})
    usage = get(client, USAGE)
    assert usage["lastCheck"] == {"at": NOW, "found": {"staged": 3, "missing": 1, "advice": ""}}
    assert usage["lastFixity"] == {"at": NOW, "found": {"right": 2}}


def test_nothing_staged_is_an_empty_list(client: TestClient) -> None:
    assert listed(client) == []


def test_a_staged_datablock_is_told_with_its_times_and_pins(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    assert listed(client) == [
        {
            "dataset": PID,
            "datablock": "block-0",
            "archiveId": "p-0.tar",
            "size": SIZE,
            "stagedAt": NOW,
            "usedAt": NOW,
            "checkedAt": NOW,
            "pinned": True,
            "pins": 1,
            "pinnedUntil": END,
        }
    ]


def test_a_datablock_that_nobody_pins_has_no_end(client: TestClient, api: ApiRig) -> None:
    api.staged_dataset()
    [only] = listed(client)
    assert (only["pinned"], only["pins"], only["pinnedUntil"]) == (False, 0, None)


def test_of_several_pins_the_latest_counts(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    api.ledger.pins.pin(PID, "beamline 9", START + 20 * DAY)
    api.ledger.pins.pin(PID, "beamline 8", START + DAY)
    [only] = listed(client)
    assert (only["pins"], only["pinnedUntil"]) == (3, "2026-03-21T12:00:00Z")


def test_a_datablock_that_a_running_job_pins_has_no_end_yet(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    api.job(PID, name=SECOND)
    [only] = listed(client)
    assert (only["pinned"], only["pins"], only["pinnedUntil"]) == (True, 2, None)


def some_staged(api: ApiRig) -> list[tuple[str, str]]:
    """Three datasets, the one in the middle of two datablocks, as they are to be listed."""
    for pid in (R, PID, Q):
        api.staged_dataset(*(api.archive(number, pid) for number in range(2 if pid == Q else 1)), pid=pid)
    return [(PID, "block-0"), (Q, "block-0"), (Q, "block-1"), (R, "block-0")]


def test_staged_datablocks_are_listed_by_their_names(client: TestClient, api: ApiRig) -> None:
    expected = some_staged(api)
    assert names(client) == expected


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_pages_of_any_length_have_all_of_them_once(client: TestClient, api: ApiRig, limit: int) -> None:
    expected, found = some_staged(api), []
    after: dict[str, str | int] = {}
    while page := names(client, limit=limit, **after):
        found += page
        after = {"afterDataset": page[-1][0], "afterDatablock": page[-1][1]}
    assert found == expected


def test_one_dataset_alone_can_be_listed(client: TestClient, api: ApiRig) -> None:
    some_staged(api)
    assert names(client, dataset=Q) == [(Q, "block-0"), (Q, "block-1")]
    assert names(client, dataset=Q, limit=1) == [(Q, "block-0")]
    assert names(client, dataset=Q, afterDataset=Q, afterDatablock="block-0") == [(Q, "block-1")]
    assert names(client, dataset=Q, afterDataset=Q, afterDatablock="block-1") == []


def test_a_dataset_that_is_not_staged_has_nothing_to_list(client: TestClient, api: ApiRig) -> None:
    some_staged(api)
    assert names(client, dataset="20.500.12345/pq") == []
    assert names(client, dataset="") == []


def test_pins_are_listed_in_the_order_in_which_they_were_made(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    api.clock.advance(DAY)
    api.ledger.pins.pin(PID, "beamline 9", START + 20 * DAY)
    api.catalogue.add_dataset(Q, (api.archive(pid=Q),))
    api.job(Q, name=SECOND, group="proposal-7")
    assert get(client, PINS)["pins"] == [
        {
            "number": 1,
            "dataset": PID,
            "owner": JOB,
            "byJob": True,
            "group": None,
            "until": END,
            "createdAt": NOW,
        },
        {
            "number": 2,
            "dataset": PID,
            "owner": "beamline 9",
            "byJob": False,
            "group": None,
            "until": "2026-03-21T12:00:00Z",
            "createdAt": "2026-03-02T12:00:00Z",
        },
        {
            "number": 3,
            "dataset": Q,
            "owner": SECOND,
            "byJob": True,
            "group": "proposal-7",
            "until": None,
            "createdAt": "2026-03-02T12:00:00Z",
        },
    ]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"dataset": PID}, [1, 3]),
        ({"owner": JOB}, [1, 2]),
        ({"owner": "beamline 9"}, [3]),
        ({"owner": JOB, "dataset": Q}, [2]),
        ({"after": 1, "limit": 1}, [2]),
        ({"after": 3}, []),
        ({"owner": "nobody"}, []),
    ],
)
def test_pins_can_be_asked_for_by_dataset_owner_and_page(
    client: TestClient, api: ApiRig, query: dict[str, str | int], numbers: list[int]
) -> None:
    api.retrieved(PID, Q)
    api.ledger.pins.pin(PID, "beamline 9", START + DAY)
    assert [each["number"] for each in get(client, PINS, **query)["pins"]] == numbers


@pytest.mark.parametrize("path", [STAGING, PINS])
@pytest.mark.parametrize("limit", [0, 1001, -1, "all"])
def test_a_page_that_cannot_be_given_is_a_problem(client: TestClient, path: str, limit: object) -> None:
    response = client.get(path, params={"limit": str(limit)}, headers=AUTHORIZED)
    assert assert_problem(response, 422)["field"] == "query.limit"


def test_the_status_of_a_job_tells_until_when_it_keeps_its_datasets(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    status = get(client, f"{JOBS}/{JOB}")
    assert [each["keptUntil"] for each in status["datasets"]] == [END]


def test_it_tells_no_end_while_the_job_runs_nor_when_it_gave_them_back(
    client: TestClient, api: ApiRig
) -> None:
    api.retrieved(PID)
    api.ledger.pins.pin(PID, "beamline 9", START + RETENTION)
    api.ledger.pins.unpin(JOB)
    api.job(PID, name=SECOND)
    for job_id in (JOB, SECOND):
        status = get(client, f"{JOBS}/{job_id}")
        assert [each["keptUntil"] for each in status["datasets"]] == [None]


def test_the_status_of_a_waiting_job_tells_its_place_in_the_line() -> None:
    api = ApiRig(staging=InMemoryStagingArea(capacity=SIZE))
    api.retrieved(PID)
    api.catalogue.add_dataset(Q, (api.archive(pid=Q),))
    api.submit(Q, name=SECOND)
    with pytest.raises(NoSpaceYet) as waits:
        space.claim_job(SECOND, api.tools)
    api.ledger.jobs.move(SECOND, JobState.IN_PROGRESS, str(waits.value))
    with api.client() as client:
        assert get(client, f"{JOBS}/{SECOND}")["message"] == (
            "waiting for 10 kB of staging space, 1st in line; 10 kB more must become free"
        )
