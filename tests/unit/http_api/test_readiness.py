"""`GET /api/v1/ready`, and what the status of jobs says where the service itself is held up."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.domain.states import DatasetState, JobState
from tests.fakes.ledger import InMemoryLedger
from tests.unit.http_api.rig import AUTHORIZED, JOBS, ApiRig
from tests.unit.pipeline.rig import JOB, PID

READY = "/api/v1/ready"
THERE = {"ready": True, "why": None}


def test_where_all_is_there_the_service_is_ready_and_says_so_to_anybody(client: TestClient) -> None:
    answer = client.get(READY)
    assert answer.status_code == 200
    assert answer.json() == {"ready": True} | dict.fromkeys(("ledger", "staging", "engine", "worker"), THERE)


@pytest.mark.parametrize(
    ("name", "why"),
    [("engine", "the workflow engine does not answer"), ("worker", "no worker of the service works")],
)
def test_an_engine_or_workers_that_are_away_are_told_without_where_they_should_be(
    client: TestClient, api: ApiRig, name: str, why: str
) -> None:
    api.trouble[name] = "temporal.internal.example.org says no"
    answer = client.get(READY)
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert answer.json()[name] == {"ready": False, "why": why}
    assert "internal" not in answer.text


def test_a_ledger_that_cannot_be_used_is_told(api: ApiRig) -> None:
    class Away(InMemoryLedger):
        def list_findings(self):  # type: ignore[no-untyped-def]  # noqa: ANN202
            raise LedgerUnavailable("at postgres.internal")

    with api.client(ledger=Away(api.clock)) as client:
        answer = client.get(READY)
    assert answer.status_code == 503
    assert answer.json()["ledger"] == {"ready": False, "why": "the ledger cannot be used"}
    assert "internal" not in answer.text


def test_the_status_of_a_job_that_has_not_ended_says_what_holds_up_the_service(
    client: TestClient, api: ApiRig
) -> None:
    api.job(PID)
    status = f"{JOBS}/{JOB}"
    assert client.get(status, headers=AUTHORIZED).json()["waitingFor"] is None
    api.trouble["worker"] = "no worker works"
    assert client.get(status, headers=AUTHORIZED).json()["waitingFor"] == "no worker works"
    api.ledger.jobs.move_dataset(JOB, PID, DatasetState.FAILED)
    api.ledger.jobs.move(JOB, JobState.WITH_DATASET_ERRORS)
    assert client.get(status, headers=AUTHORIZED).json()["waitingFor"] is None
