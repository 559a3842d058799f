"""What SciCat was not told yet, and how the service fares."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from scicat_retriever.domain import errors
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import LifecycleWord
from scicat_retriever.ports.catalogue import LifecycleUpdate
from tests.fakes.ledger import InMemoryLedger
from tests.unit.http_api.rig import AUTHORIZED, JOBS, ApiRig, assert_problem
from tests.unit.pipeline.rig import JOB, PID, START

REPORTS, RETRY, OVERVIEW = "/api/v1/reports", "/api/v1/reports/retry", "/api/v1/overview"
DROP = f"{REPORTS}/drop"
Q = DatasetPid("20.500.12345/q")
GONE = errors.CatalogueJobUnclosable("a dataset is gone").failure()
AWAY = errors.CatalogueUnavailable("SciCat answers 503").failure()
NOW = "2026-03-01T12:00:00Z"


def some_reports(api: ApiRig) -> None:
    """Of a job, parked; of one dataset, tried in vain; of another one, new."""
    api.job(PID, Q)
    api.ledger.reports.tell_dataset(PID, LifecycleUpdate(LifecycleWord.STARTED))
    api.ledger.reports.tell_dataset(Q, LifecycleUpdate(LifecycleWord.FAILED, {"code": "x"}))
    api.ledger.reports.park(1, GONE)
    api.ledger.reports.postpone(2, AWAY, START + timedelta(seconds=30))


def listed(client: TestClient, **query: object) -> Any:
    response = client.get(REPORTS, params=query, headers=AUTHORIZED)  # type: ignore[arg-type]
    assert response.status_code == 200
    return response.json()


def error(failure: errors.Failure) -> dict[str, object]:
    return {"code": failure.code, "who": failure.who, "message": failure.message, "archiveId": None}


def test_without_reports_the_list_is_empty(client: TestClient) -> None:
    assert listed(client) == {"waiting": 0, "parked": 0, "undeliverable": 0, "reports": []}


def test_reports_are_listed_in_their_order_with_what_holds_them_up(client: TestClient, api: ApiRig) -> None:
    some_reports(api)
    assert listed(client) == {
        "waiting": 2,
        "parked": 1,
        "undeliverable": 1,
        "reports": [
            {
                "number": 1,
                "kind": "job",
                "name": JOB,
                "told": "inProgress",
                "state": "undeliverable",
                "attempts": 1,
                "since": NOW,
                "nextAttempt": None,
                "error": error(GONE),
                "dropped": None,
            },
            {
                "number": 2,
                "kind": "dataset",
                "name": PID,
                "told": "started",
                "state": "waiting",
                "attempts": 1,
                "since": NOW,
                "nextAttempt": "2026-03-01T12:00:30Z",
                "error": error(AWAY),
                "dropped": None,
            },
            {
                "number": 3,
                "kind": "dataset",
                "name": Q,
                "told": "datasetRetrievalFailed",
                "state": "waiting",
                "attempts": 0,
                "since": NOW,
                "nextAttempt": NOW,
                "error": None,
                "dropped": None,
            },
        ],
    }


def drop(client: TestClient, *numbers: int, **fields: object) -> Any:
    body = {"numbers": numbers, "reason": "the dataset is gone for good", "by": "ada", **fields}
    return client.post(DROP, json=body, headers=AUTHORIZED)


def test_a_report_that_is_given_up_says_who_did_it_and_why_and_is_listed_when_asked_for(
    client: TestClient, api: ApiRig
) -> None:
    some_reports(api)
    (dropped,) = drop(client, 1).json()["reports"]
    assert (dropped["number"], dropped["state"]) == (1, "dropped")
    assert dropped["dropped"] == "ada: the dataset is gone for good"
    page = listed(client)
    assert [each["number"] for each in page["reports"]] == [2, 3]
    assert (page["waiting"], page["parked"], page["undeliverable"]) == (2, 0, 0)
    assert listed(client, dropped="true")["reports"][0] == dropped
    assert client.get(f"{JOBS}/{JOB}", headers=AUTHORIZED).json()["report"]["state"] == "dropped"


def test_what_is_given_up_is_written_into_the_book_with_what_was_not_told(
    client: TestClient, api: ApiRig
) -> None:
    some_reports(api)
    drop(client, 1)
    entry = api.ledger.transitions[-1]
    assert (entry.subject, entry.old, entry.new) == (("report", "job", JOB), "undeliverable", "dropped")
    for words in ("ada: the dataset is gone for good", "inProgress", "catalogue_job_unclosable"):
        assert words in entry.reason


@pytest.mark.parametrize("numbers", [(1, 2), (1, 99)], ids=["waiting", "unknown"])
def test_unless_all_that_are_named_are_parked_nothing_is_given_up(
    client: TestClient, api: ApiRig, numbers: tuple[int, ...]
) -> None:
    some_reports(api)
    problem = assert_problem(drop(client, *numbers), 404, "report_not_parked")
    assert problem["who"] == "operator"
    assert listed(client)["parked"] == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"reason": ""}, "body.reason"),
        ({"reason": "two\nlines"}, "body.reason"),
        ({"by": "x" * 101}, "body.by"),
        ({"numbers": []}, "body.numbers"),
        ({"numbers": [-1]}, "body.numbers.0"),
        ({"force": True}, "body.force"),
    ],
)
def test_a_report_is_not_given_up_without_a_reason_that_can_be_read(
    client: TestClient, api: ApiRig, fields: dict[str, object], field: str
) -> None:
    some_reports(api)
    assert assert_problem(drop(client, 1, **fields), 422)["field"] == field
    assert listed(client)["parked"] == 1


def test_reports_are_paged_by_number(client: TestClient, api: ApiRig) -> None:
    some_reports(api)
    assert [each["number"] for each in listed(client, limit=2)["reports"]] == [1, 2]
    assert [each["number"] for each in listed(client, after=2, limit=2)["reports"]] == [3]


def test_a_page_counts_all_reports(client: TestClient, api: ApiRig) -> None:
    some_reports(api)
    page = listed(client, after=3)
    assert (page["waiting"], page["parked"], page["reports"]) == (2, 1, [])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"after": -1}, "query.after"),
        ({"after": 2**62 + 1}, "query.after"),
        ({"limit": 0}, "query.limit"),
        ({"limit": 1001}, "query.limit"),
        ({"limit": "all"}, "query.limit"),
    ],
)
def test_a_page_that_cannot_be_given_is_a_problem(
    client: TestClient, query: dict[str, Any], field: str
) -> None:
    assert assert_problem(client.get(REPORTS, params=query, headers=AUTHORIZED), 422)["field"] == field


def parked(api: ApiRig) -> list[str]:
    return [report.subject.name for report in api.ledger.reports.find() if report.parked]


@pytest.mark.parametrize(
    ("which", "count", "left"),
    [
        ({}, 3, []),
        ({"job": JOB}, 1, [PID, Q]),
        ({"dataset": PID}, 1, [JOB, Q]),
        ({"job": JOB, "dataset": Q}, 2, [PID]),
        ({"job": "nobody"}, 0, [JOB, PID, Q]),
    ],
    ids=["all", "job", "dataset", "both", "unknown"],
)
def test_parked_reports_are_tried_again_if_asked_for(
    client: TestClient, api: ApiRig, which: dict[str, str], count: int, left: list[str]
) -> None:
    some_reports(api)
    for number in (2, 3):
        api.ledger.reports.park(number, GONE)
    response = client.post(RETRY, json=which, headers=AUTHORIZED)
    assert (response.status_code, response.json()) == (200, {"count": count})
    assert parked(api) == left


@pytest.mark.parametrize("body", [None, [], {"jobs": "x"}, {"job": 5}])
def test_a_wish_that_cannot_be_understood_tries_nothing_again(
    client: TestClient, api: ApiRig, body: object
) -> None:
    some_reports(api)
    assert_problem(client.post(RETRY, json=body, headers=AUTHORIZED), 422)
    assert parked(api) == [JOB]


def test_the_overview_of_a_new_service_is_empty(client: TestClient) -> None:
    overview = client.get(OVERVIEW, headers=AUTHORIZED).json()
    assert overview == {"reportsWaiting": 0, "reportsParked": 0, "reportsUndeliverable": 0, "looks": {}}


def test_the_overview_counts_reports_and_tells_what_was_found_last(client: TestClient, api: ApiRig) -> None:
    some_reports(api)
    found: dict[str, int | str] = {"open": 3, "missed": 1, "visibility": "visible"}
    api.ledger.findings.note("catalogue", found)
    api.ledger.findings.note("engine", {"restarted": 0})
    assert client.get(OVERVIEW, headers=AUTHORIZED).json() == {
        "reportsWaiting": 2,
        "reportsParked": 1,
        "reportsUndeliverable": 1,
        "looks": {
            "catalogue": {"at": NOW, "found": found},
            "engine": {"at": NOW, "found": {"restarted": 0}},
        },
    }


CONTROL = [
    ("DELETE", f"{JOBS}/{JOB}"),
    ("POST", f"{JOBS}/{JOB}/retry"),
    ("GET", REPORTS),
    ("POST", RETRY),
    ("GET", OVERVIEW),
]


@pytest.mark.parametrize("token", [None, "Bearer wrong"])
@pytest.mark.parametrize(("method", "path"), CONTROL)
def test_without_a_valid_token_nothing_is_changed_or_told(
    client: TestClient, api: ApiRig, token: str | None, method: str, path: str
) -> None:
    some_reports(api)
    headers = {} if token is None else {"Authorization": token}
    before = (api.ledger.jobs.get(JOB), api.ledger.reports.find())
    assert_problem(client.request(method, path, headers=headers, json={}), 401, "token_invalid")
    assert (api.ledger.jobs.get(JOB), api.ledger.reports.find()) == before
    assert api.woken == 0


class AwayLedger(InMemoryLedger):
    """A ledger whose database does not answer."""

    def job(self, job_id: JobId) -> None:
        raise errors.LedgerUnavailable("it does not answer")

    def cancel_job(self, job_id: JobId, by: str) -> None:
        raise errors.LedgerUnavailable("it does not answer")

    def count_reports(self) -> tuple[int, int]:
        raise errors.LedgerUnavailable("it does not answer")

    def unpark(self, subject: object = None) -> int:
        raise errors.LedgerUnavailable("it does not answer")


@pytest.mark.parametrize(("method", "path"), CONTROL)
def test_without_the_ledger_the_caller_is_asked_to_come_again(api: ApiRig, method: str, path: str) -> None:
    with api.client(AwayLedger(api.clock)) as client:
        response = client.request(method, path, headers=AUTHORIZED, json={})
    assert_problem(response, 503, "ledger_unavailable")
    assert api.woken == 0
