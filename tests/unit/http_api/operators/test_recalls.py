"""What is wanted from tape, and which job goes first."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from scicat_retriever.domain.states import DatasetState, JobState, RecallPhase
from scicat_retriever.pipeline.recalls import recall
from scicat_retriever.ports.long_term_store import TapePosition
from scicat_retriever.ports.recalls import RecallChange
from tests.unit.http_api.rig import AUTHORIZED, JOBS, ApiRig, assert_problem
from tests.unit.pipeline.rig import FILES, JOB, PID, tar

RECALLS = "/api/v1/recalls"
SIZE = len(tar(FILES))
WORDS = "waiting for tape VB1234, 3rd in queue, about 40 min"


def from_tape(api: ApiRig, count: int = 2) -> None:
    """Have a job wait for a dataset from tape, its first archive asked for."""
    api.job(PID, group="beamline")
    api.ledger.jobs.move_dataset(JOB, PID, DatasetState.STARTED)
    blocks = [api.archive(number) for number in range(count)]
    for block in blocks:
        api.store.put(block.datablock.archive_id, tar(FILES), on_tape=True)
    records = api.plan(*blocks)
    recall.prepare(records, api.tools)
    tape = TapePosition("VB1234", 7)
    asked = RecallChange(records[0].key, phase=RecallPhase.ASKED, tape=tape, reason=WORDS)
    api.ledger.recalls.change([asked, RecallChange(records[1].key, reason="collecting")])


def listed(client: TestClient, **query: str | int) -> Any:
    response = client.get(RECALLS, params=query, headers=AUTHORIZED)
    assert response.status_code == 200
    return response.json()


def test_without_recalls_the_list_is_empty(client: TestClient) -> None:
    assert listed(client) == {"stores": [], "recalls": []}


def test_open_recalls_are_listed_with_what_they_wait_for(client: TestClient, api: ApiRig) -> None:
    from_tape(api)
    answer = listed(client)
    assert answer["stores"] == [{"store": "lts", "waiting": 1, "asked": 1, "online": 0, "ended": 0}]
    assert answer["recalls"][0] == {
        "pid": PID,
        "archiveId": "p-0.tar",
        "store": "lts",
        "phase": "asked",
        "tape": "VB1234",
        "position": 7,
        "size": SIZE,
        "group": "beamline",
        "priority": 0,
        "wantedAt": "2026-03-01T12:00:00Z",
        "askedAt": "2026-03-01T12:00:00Z",
        "expectedAt": None,
        "waitingFor": WORDS,
    }
    assert (answer["recalls"][1]["tape"], answer["recalls"][1]["waitingFor"]) == (None, "collecting")


@pytest.mark.parametrize(
    ("query", "stores", "recalls"),
    [({"limit": 1}, 1, 1), ({"limit": 0}, 1, 0), ({"store": "cold"}, 0, 0), ({"store": "lts"}, 1, 2)],
)
def test_fewer_may_be_asked_for(
    client: TestClient, api: ApiRig, query: dict[str, str | int], stores: int, recalls: int
) -> None:
    from_tape(api)
    answer = listed(client, **query)
    assert (len(answer["stores"]), len(answer["recalls"])) == (stores, recalls)


def test_a_store_that_is_not_there_is_told_with_those_that_are(client: TestClient) -> None:
    answer = client.get(RECALLS, params={"store": "nope"}, headers=AUTHORIZED)
    assert (
        assert_problem(answer, 404, "store_unknown")["detail"]
        == "there is no long-term store 'nope'; there are lts, cold"
    )


def test_a_store_that_left_the_settings_is_listed_while_something_is_wanted_from_it(api: ApiRig) -> None:
    api.store_names = ("cold",)
    with api.client() as client:
        gone = client.get(RECALLS, params={"store": "lts"}, headers=AUTHORIZED)
        assert (
            assert_problem(gone, 404, "store_unknown")["detail"]
            == "there is no long-term store 'lts'; there is only cold"
        )
        from_tape(api)
        assert len(listed(client, store="lts")["recalls"]) == 2


def test_a_dataset_says_what_it_waits_for_without_its_datablocks(client: TestClient, api: ApiRig) -> None:
    from_tape(api)
    status = client.get(f"{JOBS}/{JOB}", params={"datablocks": "false"}, headers=AUTHORIZED).json()
    assert status["datasets"][0]["waitingFor"] == f"{WORDS} (and 1 more)"


def test_a_priority_reaches_the_recalls_that_are_open(client: TestClient, api: ApiRig) -> None:
    from_tape(api)
    answer = client.put(f"{JOBS}/{JOB}/priority", json={"priority": 5}, headers=AUTHORIZED)
    assert (answer.status_code, answer.json()) == (200, {"priority": 5})
    assert {each.priority for each in api.ledger.recalls.of_store("lts")} == {5}
    assert client.get(f"{JOBS}/{JOB}", headers=AUTHORIZED).json()["priority"] == 5


@pytest.mark.parametrize("body", [{}, {"priority": "high"}, {"priority": 1001}, {"priority": 1, "more": 1}])
def test_what_is_no_priority_is_refused(client: TestClient, api: ApiRig, body: dict[str, object]) -> None:
    from_tape(api)
    assert client.put(f"{JOBS}/{JOB}/priority", json=body, headers=AUTHORIZED).status_code == 422


def test_a_job_that_has_ended_or_is_unknown_has_no_priority(client: TestClient, api: ApiRig) -> None:
    unknown = client.put(f"{JOBS}/nobody/priority", json={"priority": 1}, headers=AUTHORIZED)
    assert_problem(unknown, 404, "job_not_found")
    from_tape(api)
    api.ledger.jobs.move(JOB, JobState.SUCCESSFUL)
    ended = client.put(f"{JOBS}/{JOB}/priority", json={"priority": 1}, headers=AUTHORIZED)
    assert_problem(ended, 409, "job_ended")
