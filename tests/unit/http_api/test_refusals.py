"""Jobs that can never be carried out, as they are posted."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import RetrieveJob, Selection
from scicat_retriever.domain.ids import JobId
from scicat_retriever.domain.states import JobState
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.pipeline.reports import report
from scicat_retriever.ports.jobs import FlowName, JobRecord
from scicat_retriever.ports.reports import Subject
from tests.fakes.ledger import InMemoryLedger
from tests.unit.http_api.rig import AUTHORIZED, JOBS, V4, ApiRig, assert_problem
from tests.unit.pipeline.rig import PID

BAD = {"id": "job-1", "type": "retrieve", "jobParams": {"datasetList": [{"pid": "p" * 513}]}}
WORDS = "datasetList[0].pid must have at most 512 bytes"


class NotNoting(InMemoryLedger):
    """A ledger whose database does not answer."""

    def refuse_job(self, job: RetrieveJob, flow: FlowName, failure: errors.Failure) -> JobRecord:
        raise errors.LedgerUnavailable("the database does not answer")


def test_a_job_that_is_refused_is_told_to_the_catalogue_at_once_in_the_same_words(
    client: TestClient, api: ApiRig
) -> None:
    api.catalogue.add_job(RetrieveJob(JobId("job-1"), "retrieve", (Selection(PID),)))
    api.catalogue.add_dataset(PID, ())
    problem = assert_problem(client.post(JOBS, json=BAD, headers=AUTHORIZED), 422, "job_malformed")
    assert (problem["detail"], problem["field"]) == (WORDS, "$.jobParams.datasetList[0].pid")
    api.teller().tell_now(Subject.job(JobId("job-1")))
    held = api.catalogue.held_job(JobId("job-1"))
    assert (held.state, held.message) == (JobState.UNSUCCESSFUL, f"The job failed: {WORDS}")
    assert held.result is not None
    assert held.result["errors"] == [{"code": "job_malformed", "who": "user", "message": WORDS}]
    assert api.ledger.job_flows.to_start(10) == []


@pytest.mark.parametrize("body", [BAD, {"id": "job-1", "type": "retrieve"}], ids=["same", "short"])
def test_a_refused_job_that_is_posted_again_is_refused_in_the_same_words_and_told_once(
    client: TestClient, api: ApiRig, body: dict[str, Any]
) -> None:
    client.post(JOBS, json=BAD, headers=AUTHORIZED)
    again = assert_problem(client.post(JOBS, json=body, headers=AUTHORIZED), 422, "job_malformed")
    assert again["detail"] == WORDS
    assert len(api.ledger.reports.find()) == 1


def test_a_refused_job_that_is_posted_in_a_better_form_is_carried_out_as_the_catalogue_has_it(
    client: TestClient, api: ApiRig
) -> None:
    client.post(JOBS, json=BAD, headers=AUTHORIZED)
    flow = intake.job_flow(JobId("job-1"), 2)
    for _ in range(2):
        answer = client.post(JOBS, json=V4, headers=AUTHORIZED)
        assert (answer.status_code, answer.json()) == (201, {"uuid": flow.uuid, "name": flow.name})
    assert [record.flow for record in api.ledger.job_flows.to_start(10)] == [flow]


def test_a_job_that_the_catalogue_has_unusable_is_read_from_it_once_however_many_better_copies_come(
    client: TestClient, api: ApiRig
) -> None:
    client.post(JOBS, json=BAD, headers=AUTHORIZED)
    client.post(JOBS, json=V4, headers=AUTHORIZED)
    refused = errors.DatasetListEmpty("The job names no dataset")
    report.close_job(JobId("job-1"), refused.failure(), api.tools)
    again = assert_problem(client.post(JOBS, json=V4, headers=AUTHORIZED), 422, "dataset_list_empty")
    assert again["detail"] == str(refused)
    assert api.ledger.job_flows.to_start(10) == []


def test_a_job_that_is_known_already_is_not_refused_for_a_worse_copy_of_it(
    client: TestClient, api: ApiRig
) -> None:
    first = client.post(JOBS, json=V4, headers=AUTHORIZED)
    again = client.post(JOBS, json=BAD, headers=AUTHORIZED)
    assert (again.status_code, again.json()) == (201, first.json())
    assert api.ledger.reports.find() == []


@pytest.mark.parametrize(
    "body",
    [{**BAD, "type": "archive"}, {**BAD, "type": 5}, {**BAD, "id": "a\tb"}],
    ids=["another type", "no type", "no id"],
)
def test_of_a_job_that_may_be_somebody_elses_nothing_is_noted_or_told(
    client: TestClient, api: ApiRig, body: dict[str, Any]
) -> None:
    assert client.post(JOBS, json=body, headers=AUTHORIZED).status_code == 422
    assert api.ledger.jobs.recent() is None
    assert api.ledger.reports.find() == []


def test_a_refusal_stands_although_it_cannot_be_noted(api: ApiRig) -> None:
    with api.client(NotNoting(api.clock)) as client:
        problem = assert_problem(client.post(JOBS, json=BAD, headers=AUTHORIZED), 422, "job_malformed")
    assert problem["detail"] == WORDS


@pytest.mark.parametrize("word", ["inProgress", "finishedSuccessful", "finishedUnsuccessful"])
@pytest.mark.parametrize("body", [V4, BAD], ids=["usable", "unusable"])
def test_a_job_that_somebody_else_carries_out_or_carried_out_is_left_alone(
    client: TestClient, api: ApiRig, body: dict[str, Any], word: str
) -> None:
    answer = client.post(JOBS, json={**body, "statusCode": word}, headers=AUTHORIZED)
    problem = assert_problem(answer, 409, "job_under_way")
    assert word in problem["detail"]
    assert api.ledger.jobs.recent() is None


@pytest.mark.parametrize("body", [V4, BAD], ids=["taken", "refused"])
def test_an_update_of_ours_that_the_catalogue_hands_back_is_answered_with_the_jobs_flow(
    client: TestClient, api: ApiRig, body: dict[str, Any]
) -> None:
    client.post(JOBS, json=body, headers=AUTHORIZED)
    echo = client.post(JOBS, json={**body, "statusCode": "finishedUnsuccessful"}, headers=AUTHORIZED)
    flow = intake.job_flow(JobId("job-1"))
    assert (echo.status_code, echo.json()) == (201, {"uuid": flow.uuid, "name": flow.name})
