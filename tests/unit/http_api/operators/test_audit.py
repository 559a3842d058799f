"""What operators are shown of downloads."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from starlette.testclient import TestClient

from scicat_retriever.domain.ids import JobId
from scicat_retriever.http_api.operators.audit import LOST_AFTER
from scicat_retriever.ports.downloads import Download, DownloadEnd
from tests.unit.http_api.rig import AUTHORIZED, ApiRig
from tests.unit.pipeline.rig import JOB

OTHER = JobId("other")
PATH = "/api/v1/audit/downloads"


def note(api: ApiRig, number: int, job_id: JobId | None = JOB, end: DownloadEnd = DownloadEnd.WHOLE) -> Download:  # fmt: skip
    now = api.clock()
    download = Download(f"id-{number}", "link 1a2b3c4d", f"file-{number}", 5, 14, now, now, job_id, 10, end)
    api.ledger.downloads.note([download])
    return download


def asked(client: TestClient, **query: str | int) -> Any:
    answer = client.get(PATH, headers=AUTHORIZED, params=query)
    assert answer.status_code == 200
    return answer.json()


def test_a_download_is_shown_whole(client: TestClient, api: ApiRig) -> None:
    note(api, 1)
    now = api.clock().isoformat().replace("+00:00", "Z")
    assert asked(client) == {
        "downloads": [
            {
                "number": 1,
                "job": JOB,
                "who": "link 1a2b3c4d",
                "what": "file-1",
                "first": 5,
                "last": 14,
                "sent": 10,
                "began": now,
                "seen": now,
                "end": "whole",
            }
        ],
        "sums": [{"job": JOB, "downloads": 1, "sent": 10, "last": now}],
        "next": None,
    }


def test_pages_go_from_the_last_one_back(client: TestClient, api: ApiRig) -> None:
    for number in range(5):
        note(api, number)
    found: list[str] = []
    before: dict[str, int] = {"before": 2**62}
    while before:
        page = asked(client, limit=2, **before)
        found += [each["what"] for each in page["downloads"]]
        assert page["sums"][0]["downloads"] == 5
        before = {} if page["next"] is None else {"before": page["next"]}
    assert found == [f"file-{number}" for number in range(4, -1, -1)]


def test_those_of_one_job_are_shown_alone_and_sums_are_of_each(client: TestClient, api: ApiRig) -> None:
    note(api, 1)
    note(api, 2, OTHER)
    note(api, 3, None)
    elsewhere = replace(note(api, 4), id="x", sent=None, end=DownloadEnd.ELSEWHERE)
    api.ledger.downloads.note([elsewhere])
    assert [each["what"] for each in asked(client, job=OTHER)["downloads"]] == ["file-2"]
    page = asked(client)
    assert {each["job"]: (each["downloads"], each["sent"]) for each in page["sums"]} == {
        JOB: (3, 20),
        OTHER: (1, 10),
    }
    assert (page["downloads"][0]["sent"], page["downloads"][0]["end"]) == (None, "elsewhere")
    assert asked(client, job="nobody's") == {"downloads": [], "sums": [], "next": None}


def test_one_that_was_not_heard_of_for_long_is_not_known_to_run(client: TestClient, api: ApiRig) -> None:
    running = note(api, 1, end=DownloadEnd.RUNNING)
    api.clock.advance(LOST_AFTER)
    assert asked(client)["downloads"][0]["end"] == "running"
    api.clock.advance(timedelta(seconds=1))
    assert asked(client)["downloads"][0]["end"] == "not known"
    api.ledger.downloads.note([replace(running, seen=api.clock())])
    assert asked(client)["downloads"][0]["end"] == "running"


def test_what_is_no_page_is_refused(client: TestClient) -> None:
    for query in ({"limit": 0}, {"limit": 1001}, {"before": 0}, {"before": "x"}, {"job": "j" * 1001}):
        assert client.get(PATH, headers=AUTHORIZED, params=query).status_code == 422
