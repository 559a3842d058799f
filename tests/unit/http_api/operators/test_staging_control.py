"""Operators pin, release, evict and check what is staged."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from scicat_retriever.domain import errors
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ports.catalogue import JobUpdate
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.reports import Subject
from tests.fakes.ledger import with_books
from tests.unit.http_api.rig import AUTHORIZED, ApiRig, assert_problem
from tests.unit.pipeline.rig import FILES, JOB, LIFETIME, PID, RETENTION, START, tar

STAGING = "/api/v1/staging"
PINS, RELEASE = f"{STAGING}/pins", f"{STAGING}/release"
EVICT, CHECK = f"{STAGING}/evict", f"{STAGING}/check"
Q = DatasetPid("20.500.12345/q")
SECOND = JobId("6f1c2a50-0000-4000-8000-000000000002")
SIZE = len(tar(FILES))
DAY, LONGEST = timedelta(days=1), timedelta(days=3650)
MARGIN = RETENTION - LIFETIME


def post(client: TestClient, path: str, body: object, status: int = 200) -> Any:
    response = client.post(path, json=body, headers=AUTHORIZED)
    assert response.status_code == status
    return response.json()


def refused(client: TestClient, path: str, body: object, status: int, code: str | None = None) -> Any:
    return assert_problem(client.post(path, json=body, headers=AUTHORIZED), status, code)


def pinned(api: ApiRig) -> dict[tuple[str, str], object]:
    return {(pin.pid, pin.owner): pin.until for _, pin in api.ledger.pins.find()}


def staged(api: ApiRig) -> set[str]:
    return {record.key.pid for record in api.ledger.inventory.staged_after(None, 1000)}


def forget_reports(api: ApiRig) -> None:
    """Have SciCat told all that waits."""
    api.deliver()
    assert api.ledger.reports.find() == []


def test_an_operator_pins_a_dataset_for_somebody(client: TestClient, api: ApiRig) -> None:
    api.staged_dataset()
    body = {"dataset": PID, "owner": "beamline 9", "seconds": 86400}
    assert post(client, PINS, body) == {
        "datasets": [{"dataset": PID, "until": "2026-03-02T12:00:00Z", "linksExpire": None}]
    }
    assert pinned(api) == {(PID, "beamline 9"): START + DAY}


@pytest.mark.parametrize(
    "until", ["2026-03-05T12:00:00Z", "2026-03-05T14:00:00+02:00", "2026-03-05T12:00:00.000Z"]
)
def test_a_pins_end_may_be_a_time_of_any_zone(client: TestClient, api: ApiRig, until: str) -> None:
    api.staged_dataset()
    post(client, PINS, {"dataset": PID, "owner": "x", "until": until})
    assert pinned(api) == {(PID, "x"): START + 4 * DAY}


def test_an_earlier_end_does_not_shorten_a_pin_and_the_answer_says_so(
    client: TestClient, api: ApiRig
) -> None:
    api.staged_dataset()
    api.ledger.pins.pin(PID, "x", START + 9 * DAY)
    answer = post(client, PINS, {"dataset": PID, "owner": "x", "seconds": 1})
    assert answer["datasets"][0]["until"] == "2026-03-10T12:00:00Z"


def test_what_is_not_staged_cannot_be_pinned(client: TestClient, api: ApiRig) -> None:
    api.plan()
    refused(client, PINS, {"dataset": PID, "owner": "x", "seconds": 5}, 404, "nothing_staged")
    refused(client, PINS, {"dataset": "nowhere", "owner": "x", "seconds": 5}, 404, "nothing_staged")
    assert pinned(api) == {}


def test_an_owner_cannot_have_the_name_of_a_job(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    before = pinned(api)
    problem = refused(client, PINS, {"dataset": PID, "owner": JOB, "seconds": 10**7}, 422)
    assert problem["field"] == "body.owner"
    assert "`job`" in problem["detail"]
    assert pinned(api) == before


def test_what_a_job_brought_is_kept_longer_and_scicat_hears_of_it(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID, Q)
    forget_reports(api)
    answer = post(client, PINS, {"job": JOB, "until": "2026-03-31T12:00:00Z"})
    assert answer == {
        "datasets": [
            {"dataset": pid, "until": "2026-04-01T12:00:00Z", "linksExpire": "2026-03-31T12:00:00Z"}
            for pid in (PID, Q)
        ]
    }
    assert pinned(api) == {(pid, JOB): START + 30 * DAY + MARGIN for pid in (PID, Q)}
    assert [report.subject for report in api.ledger.reports.find()] == [Subject.job(JOB)]


def test_the_links_told_after_that_expire_when_the_answer_said(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    forget_reports(api)
    post(client, PINS, {"job": JOB, "until": "2026-03-31T12:00:00Z"})
    api.deliver()
    told = [update for name, update in api.catalogue.updates if name == JOB][-1]
    assert isinstance(told, JobUpdate)
    assert told.result is not None
    assert [entry["expires"] for entry in told.result["result"]] == ["2026-03-31T12:00:00.000Z"]


@pytest.mark.parametrize("path", [PINS, RELEASE])
def test_a_job_that_is_not_known_has_nothing_to_keep_or_give_back(client: TestClient, path: str) -> None:
    body = {"job": "nobody"} | ({"seconds": 5} if path == PINS else {})
    refused(client, path, body, 404, "job_not_found")


@pytest.mark.parametrize("path", [PINS, RELEASE])
def test_a_job_that_runs_keeps_what_it_has(client: TestClient, api: ApiRig, path: str) -> None:
    api.catalogue.add_dataset(PID, (api.archive(),))
    api.job(PID)
    body = {"job": JOB} | ({"seconds": 5} if path == PINS else {})
    refused(client, path, body, 409, "job_not_ended")
    assert pinned(api) == {(PID, JOB): None}


def test_a_job_that_keeps_nothing_any_more_cannot_be_extended(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    api.ledger.pins.unpin(JOB)
    problem = refused(client, PINS, {"job": JOB, "seconds": 5}, 404, "nothing_staged")
    assert "ask for its datasets again" in problem["detail"]


TIMES = {
    "now": "2026-03-01T12:00:00Z",
    "past": "2020-01-01T00:00:00Z",
    "first": "0001-01-01T00:00:00+14:00",
    "too far": "2036-02-27T12:00:01Z",
    "last": "9999-12-31T23:59:59-14:00",
    "no zone": "2026-04-01T12:00:00",
    "no time": "tomorrow",
    "number": 1793448000,
    "nothing": "",
}


@pytest.mark.parametrize("until", TIMES.values(), ids=TIMES)
def test_a_pins_end_must_be_a_time_to_come_and_not_too_far(
    client: TestClient, api: ApiRig, until: object
) -> None:
    api.staged_dataset()
    problem = refused(client, PINS, {"dataset": PID, "owner": "x", "until": until}, 422)
    assert problem["field"] == "body.until"
    assert pinned(api) == {}


def test_a_pin_may_last_ten_years(client: TestClient, api: ApiRig) -> None:
    api.staged_dataset()
    post(client, PINS, {"dataset": PID, "owner": "x", "until": (START + LONGEST).isoformat()})
    post(client, PINS, {"dataset": PID, "owner": "y", "seconds": int(LONGEST.total_seconds())})
    assert set(pinned(api).values()) == {START + LONGEST}


WHOLE = {"dataset": PID, "owner": "x", "seconds": 5}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"dataset": PID, "seconds": 5},
        {"owner": "x", "seconds": 5},
        {"job": JOB},
        {"dataset": PID, "owner": "x"},
        {"job": JOB, "dataset": PID, "seconds": 5},
        {**WHOLE, "job": JOB},
        {**WHOLE, "until": "2026-03-05T12:00:00Z"},
        {**WHOLE, "seconds": 0},
        {**WHOLE, "seconds": -1},
        {**WHOLE, "seconds": 1.5},
        {**WHOLE, "seconds": int(LONGEST.total_seconds()) + 1},
        {**WHOLE, "seconds": 10**400},
        {**WHOLE, "owner": ""},
        {**WHOLE, "owner": "a\nb"},
        {**WHOLE, "owner": "\x00"},
        {**WHOLE, "owner": "x" * 101},
        {**WHOLE, "dataset": ""},
        {**WHOLE, "dataset": 5},
        {**WHOLE, "more": 1},
    ],
)
def test_a_wish_to_pin_that_cannot_be_understood_pins_nothing(
    client: TestClient, api: ApiRig, body: object
) -> None:
    api.staged_dataset()
    assert refused(client, PINS, body, 422)["field"].startswith("body")
    assert pinned(api) == {}


def test_a_job_gives_back_what_it_keeps_and_scicat_hears_of_it(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID, Q)
    forget_reports(api)
    assert post(client, RELEASE, {"job": JOB}) == {"datasets": [PID, Q]}
    assert pinned(api) == {}
    assert staged(api) == {PID, Q}
    assert [report.subject for report in api.ledger.reports.find()] == [Subject.job(JOB)]


def test_a_job_gives_back_one_dataset_alone(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID, Q)
    assert post(client, RELEASE, {"job": JOB, "dataset": Q}) == {"datasets": [Q]}
    assert set(pinned(api)) == {(PID, JOB)}


def test_an_owners_pins_end_and_others_stay(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    api.ledger.pins.pin(PID, "beamline 9", START + DAY)
    assert post(client, RELEASE, {"owner": "beamline 9"}) == {"datasets": [PID]}
    assert set(pinned(api)) == {(PID, JOB)}


def test_who_pins_nothing_has_nothing_to_give_back(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    refused(client, RELEASE, {"owner": "nobody"}, 404, "nothing_staged")
    refused(client, RELEASE, {"job": JOB, "dataset": Q}, 404, "nothing_staged")
    assert set(pinned(api)) == {(PID, JOB)}


@pytest.mark.parametrize(
    "body", [{}, {"owner": "x", "job": JOB}, {"dataset": PID}, {"owner": ""}, {"job": 5}]
)
def test_a_wish_to_release_that_cannot_be_understood_releases_nothing(
    client: TestClient, api: ApiRig, body: object
) -> None:
    api.retrieved(PID)
    refused(client, RELEASE, body, 422)
    assert set(pinned(api)) == {(PID, JOB)}


def test_a_dataset_that_nobody_pins_is_evicted_even_if_it_was_just_used(
    client: TestClient, api: ApiRig
) -> None:
    [record] = api.staged_dataset()
    api.staged_dataset(pid=Q)
    assert post(client, EVICT, {"dataset": PID}) == {"freed": SIZE}
    assert staged(api) == {Q}
    assert api.record(record.key).state is DatablockState.RELEASED
    assert api.staging.staged_keys() == {DatablockKey(Q, record.key.id)}


def test_a_pinned_dataset_stays_and_those_who_pin_it_are_named(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    api.ledger.pins.pin(PID, "beamline 9", START + DAY)
    problem = refused(client, EVICT, {"dataset": PID}, 409, "dataset_pinned")
    assert problem["detail"] == f"dataset {PID} is pinned by {JOB}, beamline 9"
    assert staged(api) == {PID}


def test_of_many_who_pin_a_dataset_the_first_are_named(client: TestClient, api: ApiRig) -> None:
    api.staged_dataset()
    for name in "abcde":
        api.ledger.pins.pin(PID, name, START + DAY)
    problem = refused(client, EVICT, {"dataset": PID}, 409, "dataset_pinned")
    assert problem["detail"].endswith("is pinned by a, b, c and others")


def test_what_is_not_staged_cannot_be_evicted(client: TestClient, api: ApiRig) -> None:
    api.plan()
    refused(client, EVICT, {"dataset": PID}, 404, "nothing_staged")
    refused(client, EVICT, {"dataset": "nowhere"}, 404, "nothing_staged")


def test_as_much_is_evicted_as_is_needed_the_longest_unused_first(client: TestClient, api: ApiRig) -> None:
    for pid in (Q, PID):
        api.staged_dataset(pid=pid)
        api.clock.advance(DAY)
    assert post(client, EVICT, {"bytes": 1}) == {"freed": SIZE}
    assert staged(api) == {PID}


def test_what_is_pinned_or_was_just_used_stays_whatever_is_needed(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    api.clock.advance(DAY)
    api.staged_dataset(pid=Q)
    assert post(client, EVICT, {"bytes": 10**15}) == {"freed": 0}
    assert staged(api) == {PID, Q}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"dataset": PID, "bytes": 1},
        {"bytes": 0},
        {"bytes": -1},
        {"bytes": 2**62 + 1},
        {"bytes": "much"},
        {"dataset": ""},
        {"dataset": PID, "force": True},
    ],
)
def test_a_wish_to_evict_that_cannot_be_understood_evicts_nothing(
    client: TestClient, api: ApiRig, body: object
) -> None:
    api.staged_dataset()
    api.clock.advance(DAY)
    refused(client, EVICT, body, 422)
    assert staged(api) == {PID}


def test_a_check_is_asked_for_and_the_last_one_is_dated(client: TestClient, api: ApiRig) -> None:
    assert post(client, CHECK, None, 202) == {"last": None}
    api.ledger.findings.note("staging", {"staged": 1})
    assert post(client, CHECK, None, 202) == {"last": "2026-03-01T12:00:00Z"}
    assert api.checks == 2


def test_without_the_engine_a_check_is_to_be_asked_for_again(client: TestClient, api: ApiRig) -> None:
    api.engine_away = True
    response = client.post(CHECK, headers=AUTHORIZED)
    assert_problem(response, 503, "engine_unavailable")
    assert int(response.headers["retry-after"]) > 0


ROUTES = [
    ("GET", STAGING, None),
    ("GET", f"{STAGING}/usage", None),
    ("GET", PINS, None),
    ("POST", PINS, {"dataset": PID, "owner": "x", "seconds": 5}),
    ("POST", RELEASE, {"owner": "x"}),
    ("POST", EVICT, {"bytes": 5}),
    ("POST", CHECK, None),
]


@pytest.mark.parametrize("token", [None, "Bearer wrong"])
@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_without_a_valid_token_nothing_is_changed_or_told(
    client: TestClient, api: ApiRig, token: str | None, method: str, path: str, body: object
) -> None:
    api.staged_dataset()
    api.ledger.pins.pin(PID, "x", START + DAY)
    api.staged_dataset(pid=Q)
    api.clock.advance(DAY / 2)
    before = (pinned(api), staged(api))
    headers = {} if token is None else {"Authorization": token}
    assert_problem(client.request(method, path, headers=headers, json=body), 401, "token_invalid")
    assert (pinned(api), staged(api), api.checks) == (*before, 0)


class AwayBook:
    """A book of a ledger whose database does not answer."""

    def __getattr__(self, name: str) -> Any:
        raise errors.LedgerUnavailable("it does not answer")


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_without_the_ledger_the_caller_is_asked_to_come_again(
    api: ApiRig, method: str, path: str, body: object
) -> None:
    away = with_books(api.ledger, **{each.name: AwayBook() for each in fields(Ledger)})
    with api.client(away) as client:
        response = client.request(method, path, headers=AUTHORIZED, json=body)
    assert_problem(response, 503, "ledger_unavailable")
    assert api.checks == 0
