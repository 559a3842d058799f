"""Jobs are cancelled and retried."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatasetState, JobState
from tests.unit.http_api.rig import AUTHORIZED, JOBS, ApiRig, assert_problem
from tests.unit.pipeline.rig import JOB, PID

Q = DatasetPid("20.500.12345/q")
PATH = f"{JOBS}/{JOB}"
RETRY = f"{PATH}/retry"


def under_way(api: ApiRig) -> None:
    """A job for two datasets in progress."""
    api.job(PID, Q)
    api.ledger.job_flows.mark_started([JOB])


def ended(api: ApiRig, *retrieved: DatasetPid) -> None:
    """A job that ended, some of its two datasets there and the others failed."""
    for pid in retrieved:
        api.staged_dataset(pid=pid)
    under_way(api)
    for pid in (PID, Q):
        state = DatasetState.RETRIEVED if pid in retrieved else DatasetState.FAILED
        api.ledger.jobs.move_dataset(JOB, pid, state)
    api.ledger.jobs.move(JOB, JobState.WITH_DATASET_ERRORS)


def to_cancel(api: ApiRig) -> list[str]:
    return [record.cancelled_by for record in api.ledger.job_flows.to_cancel(9)]


def dataset_states(status: dict[str, Any]) -> dict[str, str]:
    return {each["pid"]: each["state"] for each in status["datasets"]}


def test_a_cancelled_job_is_answered_with_its_status(client: TestClient, api: ApiRig) -> None:
    under_way(api)
    response = client.delete(PATH, headers=AUTHORIZED)
    assert response.status_code == 202
    status = response.json()
    assert (status["id"], status["state"], status["cancelledBy"]) == (JOB, "inProgress", "an operator")


def test_a_cancelled_jobs_flow_is_to_be_told_at_once(client: TestClient, api: ApiRig) -> None:
    under_way(api)
    client.delete(PATH, headers=AUTHORIZED)
    assert to_cancel(api) == ["an operator"]
    assert api.woken == 1


def test_who_cancels_is_noted(client: TestClient, api: ApiRig) -> None:
    under_way(api)
    client.delete(PATH, params={"by": "Zoë, beamline 9"}, headers=AUTHORIZED)
    assert to_cancel(api) == ["Zoë, beamline 9"]


def test_who_cancelled_first_stays(client: TestClient, api: ApiRig) -> None:
    under_way(api)
    client.delete(PATH, params={"by": "ada"}, headers=AUTHORIZED)
    response = client.delete(PATH, params={"by": "bob"}, headers=AUTHORIZED)
    assert (response.status_code, response.json()["cancelledBy"]) == (202, "ada")


@pytest.mark.parametrize("by", ["", "x" * 101, "a\nb", "a\0", "\x7f"])
def test_a_name_that_cannot_be_shown_is_refused_and_nothing_cancelled(
    client: TestClient, api: ApiRig, by: str
) -> None:
    under_way(api)
    problem = assert_problem(client.delete(PATH, params={"by": by}, headers=AUTHORIZED), 422)
    assert problem["field"] == "query.by"
    assert to_cancel(api) == []


def test_a_job_that_has_ended_cannot_be_cancelled(client: TestClient, api: ApiRig) -> None:
    ended(api)
    assert_problem(client.delete(PATH, headers=AUTHORIZED), 409, "job_ended")
    assert api.woken == 0


def test_an_unknown_job_cannot_be_cancelled(client: TestClient, api: ApiRig) -> None:
    assert_problem(client.delete(f"{JOBS}/nobody", headers=AUTHORIZED), 404, "job_not_found")
    assert api.woken == 0


def test_a_retried_job_is_answered_with_its_status(client: TestClient, api: ApiRig) -> None:
    ended(api, PID)
    response = client.post(RETRY, headers=AUTHORIZED)
    assert response.status_code == 202
    status = response.json()
    assert (status["state"], status["attempt"], status["cancelledBy"]) == ("jobSubmitted", 2, None)
    assert dataset_states(status) == {PID: "retrieved", Q: "submitted"}


def test_a_retried_job_is_to_be_started_at_once(client: TestClient, api: ApiRig) -> None:
    ended(api)
    client.post(RETRY, headers=AUTHORIZED)
    assert [each.job_id for each in api.ledger.job_flows.to_start(9)] == [JOB]
    assert api.woken == 1


@pytest.mark.parametrize("body", [{}, {"datasets": None}])
def test_a_retry_that_names_no_datasets_is_for_all(
    client: TestClient, api: ApiRig, body: dict[str, Any]
) -> None:
    ended(api)
    status = client.post(RETRY, json=body, headers=AUTHORIZED).json()
    assert dataset_states(status) == {PID: "submitted", Q: "submitted"}


def test_a_retry_is_for_the_datasets_that_it_names(client: TestClient, api: ApiRig) -> None:
    ended(api)
    status = client.post(RETRY, json={"datasets": [Q]}, headers=AUTHORIZED).json()
    assert dataset_states(status) == {PID: "failed", Q: "submitted"}


@pytest.mark.parametrize(
    ("named", "status", "code"),
    [([PID], 409, "nothing_to_retry"), (["20.500.12345/of another job"], 404, "dataset_not_of_job")],
)
def test_a_retry_of_datasets_that_are_there_or_not_the_jobs_is_refused(
    client: TestClient, api: ApiRig, named: list[str], status: int, code: str
) -> None:
    ended(api, PID)
    assert_problem(client.post(RETRY, json={"datasets": named}, headers=AUTHORIZED), status, code)
    assert api.woken == 0


def test_a_job_that_is_under_way_cannot_be_retried(client: TestClient, api: ApiRig) -> None:
    under_way(api)
    assert_problem(client.post(RETRY, headers=AUTHORIZED), 409, "job_not_ended")


def test_an_unknown_job_cannot_be_retried(client: TestClient) -> None:
    assert_problem(client.post(f"{JOBS}/nobody/retry", headers=AUTHORIZED), 404, "job_not_found")


@pytest.mark.parametrize("body", [{"datasets": []}, {"datasets": "p"}, {"datasets": [5]}, {"pids": ["p"]}])
def test_a_retry_that_says_something_else_is_refused_and_nothing_is_retried(
    client: TestClient, api: ApiRig, body: dict[str, Any]
) -> None:
    ended(api)
    assert_problem(client.post(RETRY, json=body, headers=AUTHORIZED), 422)
    assert api.ledger.job_flows.to_start(9) == []
