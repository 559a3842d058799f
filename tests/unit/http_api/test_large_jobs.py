"""Jobs as large as the settings allow, all the way into a SQLite ledger and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from scicat_retriever.ledger.sql import SqlLedger, open_ledger
from tests.cpu_time import within_cpu_seconds
from tests.unit.http_api.rig import AUTHORIZED, JOBS, ApiRig, assert_problem

MAX_BODY = 16 << 20


@pytest.fixture
def ledger(api: ApiRig, tmp_path: Path) -> Iterator[SqlLedger]:
    opened = open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", api.clock)
    yield opened
    opened.close()


@pytest.fixture
def client(api: ApiRig, ledger: SqlLedger) -> TestClient:
    return api.client(ledger, max_body_bytes=MAX_BODY)


@within_cpu_seconds(60)
def test_a_job_of_ten_thousand_datasets_is_taken_and_each_has_its_status(client: TestClient) -> None:
    pids = [f"20.500.12345/{number}" for number in range(10_000)]
    body = {"id": "large", "type": "retrieve", "jobParams": {"datasetList": [{"pid": pid} for pid in pids]}}
    assert client.post(JOBS, json=body, headers=AUTHORIZED).status_code == 201
    status = client.get(f"{JOBS}/large", params={"datablocks": False}, headers=AUTHORIZED).json()
    assert [dataset["pid"] for dataset in status["datasets"]] == pids


@within_cpu_seconds(60)
def test_a_job_of_16_mb_is_stored_as_it_came(client: TestClient, ledger: SqlLedger) -> None:
    files = [f"{number:07d}" + "n" * 93 for number in range(160_000)]
    body = {"id": "long", "type": "retrieve", "datasetList": [{"pid": "p", "files": files}]}
    content = json.dumps(body).ljust(MAX_BODY)
    assert len(content) == MAX_BODY
    assert client.post(JOBS, content=content, headers=AUTHORIZED).status_code == 201
    [stored] = ledger.job_flows.to_start(10)
    record = ledger.jobs.get(stored.job_id)
    assert record is not None
    assert record.job.datasets[0].files == tuple(files)


def test_a_job_of_one_byte_more_than_allowed_is_refused(client: TestClient, ledger: SqlLedger) -> None:
    content = json.dumps({"id": "long", "type": "retrieve"}).ljust(MAX_BODY + 1)
    assert_problem(client.post(JOBS, content=content, headers=AUTHORIZED), 413, "job_too_large")
    assert ledger.job_flows.to_start(10) == []
