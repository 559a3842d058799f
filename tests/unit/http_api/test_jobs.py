import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.pipeline.recalls import recall
from scicat_retriever.ports.jobs import FlowName, JobRecord
from scicat_retriever.ports.recalls import RecallChange
from tests.fakes.ledger import InMemoryLedger
from tests.unit.http_api.rig import (
    AUTHORIZED,
    JOBS,
    MAX_BODY,
    SECOND_TOKEN,
    TOKEN,
    V4,
    ApiRig,
    assert_problem,
)
from tests.unit.pipeline.rig import FILES, JOB, PID, START, Rig, tar

SIZE = len(tar(FILES))
NOW = START.isoformat().replace("+00:00", "Z")


class AwayLedger(InMemoryLedger):
    """A ledger whose database does not answer."""

    def add_job(self, job: RetrieveJob, flow: FlowName) -> JobRecord:
        raise errors.LedgerUnavailable("the database postgresql://user:hidden@host does not answer")

    def job(self, job_id: JobId) -> JobRecord | None:
        raise errors.LedgerUnavailable("the database does not answer")


class BrokenLedger(InMemoryLedger):
    """A ledger with a fault of its own."""

    def add_job(self, job: RetrieveJob, flow: FlowName) -> JobRecord:
        raise RuntimeError(f"a fault that knows {TOKEN}")


def test_a_job_is_stored_and_answered_with_its_flow(client: TestClient, api: ApiRig) -> None:
    response = client.post(JOBS, json=V4, headers=AUTHORIZED)
    flow = intake.job_flow(JobId("job-1"))
    assert response.status_code == 201
    assert response.json() == {"uuid": flow.uuid, "name": flow.name}
    record = api.ledger.jobs.get(JobId("job-1"))
    assert record is not None
    assert [selection.pid for selection in record.job.datasets] == [PID]
    assert api.woken == 1


def test_the_same_job_posted_again_gets_the_same_answer(client: TestClient, api: ApiRig) -> None:
    first = client.post(JOBS, json=V4, headers=AUTHORIZED)
    api.ledger.jobs.move(JobId("job-1"), JobState.IN_PROGRESS)
    again = client.post(JOBS, json=V4, headers=AUTHORIZED)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert len(api.ledger.job_flows.to_start(10)) == 1


@pytest.mark.parametrize(
    "body",
    [
        V4,
        {"id": "job-1", "type": "retrieve", "datasetList": [{"pid": PID}]},
        {"id": "job-1", "type": "retrieve"},
    ],
    ids=["v4", "v3", "short"],
)
def test_each_shape_of_a_job_is_taken(client: TestClient, body: dict[str, Any]) -> None:
    assert client.post(JOBS, json=body, headers=AUTHORIZED).status_code == 201


@pytest.mark.parametrize("token", [TOKEN, SECOND_TOKEN])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_each_token_opens_the_door(client: TestClient, token: str, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {token}"}
    assert client.post(JOBS, json=V4, headers=headers).status_code == 201


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN} {TOKEN}",
        f"Basic {TOKEN}",
        f"Token {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN.upper()}",
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", JOBS), ("GET", f"{JOBS}/job-1")])
def test_without_a_valid_token_nothing_is_done_or_told(
    client: TestClient, api: ApiRig, authorization: str | None, method: str, path: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = client.request(method, path, headers=headers, content=json.dumps(V4))
    assert_problem(response, 401, "token_invalid")
    assert response.headers["www-authenticate"] == "Bearer"
    assert api.ledger.jobs.get(JobId("job-1")) is None


def test_a_token_is_asked_for_before_the_body_is_looked_at(client: TestClient) -> None:
    assert_problem(client.post(JOBS, content=b"x" * (MAX_BODY + 1)), 401, "token_invalid")


@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_that_is_too_large_is_refused(client: TestClient, api: ApiRig, *, streamed: bool) -> None:
    def chunks() -> Iterator[bytes]:
        yield from [b"x" * 1000] * 3

    content = chunks() if streamed else b"".join(chunks())
    problem = assert_problem(client.post(JOBS, content=content, headers=AUTHORIZED), 413, "job_too_large")
    assert "api.max_body_bytes" in problem["detail"]
    assert api.woken == 0


def test_a_body_of_exactly_the_limit_is_taken(client: TestClient) -> None:
    body = json.dumps(V4).ljust(MAX_BODY)
    assert client.post(JOBS, content=body, headers=AUTHORIZED).status_code == 201


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"{", "job_malformed", "$"),
        (b"\xff", "job_malformed", "$"),
        (b"[" * 1900, "job_malformed", "$"),
        (b"", "job_malformed", "$"),
        ([], "job_malformed", "$"),
        ({"type": "retrieve"}, "job_malformed", "$.id"),
        ({"id": 5, "type": "retrieve"}, "job_malformed", "$.id"),
        ({"id": "x"}, "job_malformed", "$.type"),
        ({"id": "x", "type": "archive"}, "job_type_unknown", "$.type"),
        ({"id": "x", "type": "retrieve", "jobParams": 5}, "job_malformed", "$.jobParams"),
        (
            {"id": "x", "type": "retrieve", "jobParams": {"datasetList": []}},
            "dataset_list_empty",
            "$.jobParams.datasetList",
        ),
        ({"id": "x", "type": "retrieve", "datasetList": []}, "dataset_list_empty", "$.datasetList"),
        (
            {"id": "x", "type": "retrieve", "datasetList": [{"pid": "p"}, {"files": []}]},
            "job_malformed",
            "$.datasetList[1].pid",
        ),
    ],
)
def test_a_body_that_is_no_job_is_refused_with_the_offending_field(
    client: TestClient, api: ApiRig, body: object, code: str, field: str
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    problem = assert_problem(client.post(JOBS, content=content, headers=AUTHORIZED), 422, code)
    assert (problem["field"], problem["who"]) == (field, "user")
    assert api.woken == 0


@pytest.mark.parametrize(("method", "path"), [("POST", JOBS), ("GET", f"{JOBS}/job-1")])
def test_without_the_ledger_the_caller_is_asked_to_come_again(api: ApiRig, method: str, path: str) -> None:
    with api.client(AwayLedger(api.clock)) as client:
        response = client.request(method, path, headers=AUTHORIZED, content=json.dumps(V4))
    assert_problem(response, 503, "ledger_unavailable")
    assert int(response.headers["retry-after"]) > 0
    assert api.woken == 0


def test_a_fault_of_the_service_says_nothing_of_its_inside(api: ApiRig) -> None:
    with api.client(BrokenLedger(api.clock)) as client:
        response = client.post(JOBS, json=V4, headers=AUTHORIZED)
    problem = assert_problem(response, 500, "internal_error")
    assert problem["detail"] == "the service failed; its log says why"


def test_an_unknown_job_is_not_found(client: TestClient) -> None:
    assert_problem(client.get(f"{JOBS}/nobody", headers=AUTHORIZED), 404, "job_not_found")


def test_a_new_job_has_all_datasets_before_it(client: TestClient) -> None:
    client.post(JOBS, json=V4, headers=AUTHORIZED)
    flow = intake.job_flow(JobId("job-1"))
    assert client.get(f"{JOBS}/job-1", headers=AUTHORIZED).json() == {
        "id": "job-1",
        "state": "jobSubmitted",
        "message": "",
        "waitingFor": None,
        "flow": {"uuid": flow.uuid, "name": flow.name},
        "receivedAt": NOW,
        "updatedAt": NOW,
        "attempt": 1,
        "priority": 0,
        "cancelledBy": None,
        "report": None,
        "datasets": [
            {
                "pid": PID,
                "state": "submitted",
                "chosen": False,
                "bytesDone": 0,
                "bytesTotal": 0,
                "datablocksStaged": 0,
                "datablocksTotal": 0,
                "waitingFor": None,
                "keptUntil": None,
                "errors": [],
                "datablocks": [],
            }
        ],
    }


def test_of_a_dataset_with_chosen_files_the_status_tells_what_is_needed_and_what_is_unknown(
    client: TestClient, api: Rig
) -> None:
    chosen = {"pid": PID, "files": ["run/a.dat", "run/z.dat"]}
    client.post(JOBS, json={**V4, "jobParams": {"datasetList": [chosen]}}, headers=AUTHORIZED)
    staged, _ = api.plan(api.archive(0), api.archive(1))
    unknown = errors.FilesUnknown("dataset p has no file 'run/z.dat'").failure()
    api.ledger.needs.note_choice(JobId("job-1"), PID, [staged.key.id], SIZE, unknown)
    api.stage(staged)
    (dataset,) = client.get(f"{JOBS}/job-1", headers=AUTHORIZED).json()["datasets"]
    assert (dataset["chosen"], dataset["datablocksStaged"], dataset["datablocksTotal"]) == (True, 1, 1)
    assert [block["archiveId"] for block in dataset["datablocks"]] == ["p-0.tar"]
    assert [(each["code"], each["who"]) for each in dataset["errors"]] == [("files_unknown", "user")]


def half_done(rig: Rig) -> None:
    """A job for PID, one datablock staged and one on tape, and for another dataset that failed."""
    failed = DatasetPid("20.500.12345/failed")
    staged, waiting = rig.plan(rig.archive(0), rig.archive(1))
    rig.job(PID, failed)
    rig.stage(staged)
    rig.store.put(waiting.datablock.archive_id, tar(FILES), on_tape=True)
    with pytest.raises(errors.NotYetOnline):
        recall.recall(waiting, rig.tools)
    rig.ledger.recalls.change([RecallChange(waiting.key, reason="waiting for tape VB1234, next in line")])
    failure = errors.ChecksumMismatch("'a' differs").failure("q-0.tar")
    rig.ledger.jobs.move_dataset(JOB, failed, DatasetState.FAILED, [failure])


def test_the_status_tells_bytes_waits_and_errors(client: TestClient, api: ApiRig) -> None:
    half_done(api)
    datasets = client.get(f"{JOBS}/{JOB}", headers=AUTHORIZED).json()["datasets"]
    assert datasets == [
        {
            "pid": PID,
            "state": "submitted",
            "chosen": False,
            "bytesDone": SIZE,
            "bytesTotal": 2 * SIZE,
            "datablocksStaged": 1,
            "datablocksTotal": 2,
            "waitingFor": None,
            "keptUntil": None,
            "errors": [],
            "datablocks": [
                {
                    "archiveId": "p-0.tar",
                    "state": "staged",
                    "bytesDone": SIZE,
                    "bytesTotal": SIZE,
                    "waitingFor": None,
                },
                {
                    "archiveId": "p-1.tar",
                    "state": "recalling",
                    "bytesDone": 0,
                    "bytesTotal": SIZE,
                    "waitingFor": "waiting for tape VB1234, next in line",
                },
            ],
        },
        {
            "pid": "20.500.12345/failed",
            "state": "failed",
            "chosen": False,
            "bytesDone": 0,
            "bytesTotal": 0,
            "datablocksStaged": 0,
            "datablocksTotal": 0,
            "waitingFor": None,
            "keptUntil": None,
            "errors": [
                {
                    "code": "checksum_mismatch",
                    "who": "operator",
                    "message": "'a' differs",
                    "archiveId": "q-0.tar",
                }
            ],
            "datablocks": [],
        },
    ]


def test_the_status_leaves_the_datablocks_out_if_asked_to(client: TestClient, api: ApiRig) -> None:
    half_done(api)
    status = client.get(f"{JOBS}/{JOB}?datablocks=false", headers=AUTHORIZED).json()
    assert [each["datablocks"] for each in status["datasets"]] == [None, None]
    assert status["datasets"][0]["datablocksTotal"] == 2


def test_the_status_says_why_the_catalogue_could_not_be_told(client: TestClient, api: ApiRig) -> None:
    half_done(api)
    api.ledger.reports.park(1, errors.CatalogueJobUnclosable("a dataset is gone").failure())
    told = client.get(f"{JOBS}/{JOB}", headers=AUTHORIZED).json()["report"]
    assert told == {
        "state": "undeliverable",
        "attempts": 1,
        "dropped": None,
        "since": NOW,
        "nextAttempt": None,
        "error": {
            "code": "catalogue_job_unclosable",
            "who": "operator",
            "message": "a dataset is gone",
            "archiveId": None,
        },
    }


def test_the_status_says_that_the_catalogue_was_not_told_yet(client: TestClient, api: ApiRig) -> None:
    half_done(api)
    told = client.get(f"{JOBS}/{JOB}", headers=AUTHORIZED).json()["report"]
    assert told == {
        "state": "waiting",
        "attempts": 0,
        "since": NOW,
        "nextAttempt": NOW,
        "error": None,
        "dropped": None,
    }


def test_the_status_has_no_report_when_the_catalogue_was_told(client: TestClient, api: ApiRig) -> None:
    half_done(api)
    api.ledger.reports.delivered(1)
    assert client.get(f"{JOBS}/{JOB}", headers=AUTHORIZED).json()["report"] is None


def test_the_status_says_what_a_dataset_waits_for(client: TestClient, api: ApiRig) -> None:
    half_done(api)
    api.ledger.jobs.move_dataset(JOB, PID, DatasetState.STARTED)
    api.ledger.jobs.note_waiting(PID, "waiting for SciCat")
    datasets = client.get(f"{JOBS}/{JOB}", headers=AUTHORIZED).json()["datasets"]
    assert [each["waitingFor"] for each in datasets] == ["waiting for SciCat", None]


def test_a_parameter_of_the_wrong_kind_is_a_problem_that_names_it(client: TestClient) -> None:
    problem = assert_problem(client.get(f"{JOBS}/x?datablocks=perhaps", headers=AUTHORIZED), 422)
    assert problem["field"] == "query.datablocks"
