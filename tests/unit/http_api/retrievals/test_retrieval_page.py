"""The page of a retrieval, and the same as JSON."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from httpx2 import Response
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.tools.archive_policy import ArchivePolicy
from scicat_retriever.ports.titles import Title
from tests.fakes.ledger import with_books
from tests.unit.http_api.rig import ApiRig, assert_problem
from tests.unit.pipeline.rig import BASE_URL, JOB, LIFETIME, PID, entries, tar

Q = DatasetPid("20.500.12345/q")
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def link(api: ApiRig, job_id: JobId = JOB) -> str:
    """The path of a job's link."""
    return urlsplit(api.links.retrieval(job_id, api.ledger.links.serial(job_id))).path


def shown(client: TestClient, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    return response.json()


def page(client: TestClient, path: str, status: int = 200) -> str:
    response = client.get(path, headers=BROWSER)
    assert response.status_code == status
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert_safe(response)
    return response.text


def assert_safe(response: Response) -> None:
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-store"
    assert "<script" not in response.text


def states(body: Any) -> list[str]:
    return [each["state"] for each in body["datasets"]]


def test_what_is_ready_is_there_with_links_that_work(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID, Q)
    body = shown(client, link(api))
    assert (body["ready"], body["total"], states(body)) == (2, 2, ["ready", "ready"])
    assert body["url"] == f"{BASE_URL}{link(api)}"
    assert body["bytes"] == sum(each["bytesTotal"] for each in body["datasets"]) > 0
    assert body["expires"] is not None
    for each in body["datasets"]:
        (block,) = shown(client, urlsplit(each["url"]).path)["datablocks"]
        url = urlsplit(block["url"])
        answer = client.get(f"{url.path}?{url.query}")
        assert (answer.status_code, len(answer.content)) == (200, block["size"])
        assert block["name"] in answer.headers["content-disposition"]


def test_people_get_a_page_and_programs_the_same_as_json(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID, Q)
    text = page(client, link(api))
    assert "Your data are ready" in text
    assert "Keep longer" in text
    assert PID in text
    assert client.get(link(api), headers={"Accept": "application/json"}).json() == shown(client, link(api))
    assert client.get(link(api), headers=BROWSER).headers["vary"] == "Accept"
    text = page(client, f"{link(api)}/datasets/2")
    assert Q in text
    assert ".tar</a>" in text


def test_a_dataset_has_the_name_that_scicat_gives_it(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    api.ledger.titles.note(PID, Title('Battery <b>"3"</b>', "/data/battery"))
    assert shown(client, link(api))["datasets"][0]["name"] == "Battery _b__3___b_"
    text = page(client, link(api))
    assert "<b>" not in text
    assert "Battery _b__3___b_ is ready" in text


def test_before_it_is_ready_the_page_says_how_far_it_is_and_why(client: TestClient, api: ApiRig) -> None:
    api.catalogue.add_dataset(PID, (api.archive(),))
    api.job(PID, Q)
    body = shown(client, link(api))
    assert (body["ready"], states(body)) == (0, ["waiting", "waiting"])
    api.ledger.jobs.move_dataset(JOB, PID, DatasetState.STARTED)
    api.plan()
    api.ledger.jobs.note_waiting(PID, "waiting for SciCat")
    body = shown(client, link(api))
    assert states(body) == ["retrieving", "waiting"]
    assert body["datasets"][0]["reason"] == "waiting for SciCat"
    text = page(client, link(api))
    assert "Your data are on their way" in text
    assert "waiting for SciCat" in text
    assert "<progress" in text
    assert "Keep longer" not in text


def test_what_failed_says_why_and_who_can_act(client: TestClient, api: ApiRig) -> None:
    api.catalogue.add_dataset(PID, (api.archive(),))
    api.job(PID)
    failure = LedgerUnavailable("the <archive> is damaged").failure()
    api.ledger.jobs.move_dataset(JOB, PID, DatasetState.STARTED)
    api.ledger.jobs.move_dataset(JOB, PID, DatasetState.FAILED, [failure])
    body = shown(client, link(api))
    assert states(body) == ["failed"]
    assert body["datasets"][0]["errors"][0]["message"] == "the <archive> is damaged"
    text = page(client, link(api))
    assert "the &lt;archive&gt; is damaged" in text
    assert "those who run this service" in text


def test_what_is_not_kept_any_more_is_not_offered(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    api.clock.advance(LIFETIME + timedelta(seconds=1))
    body = shown(client, link(api))
    assert (body["ready"], states(body), body["expires"]) == (0, ["gone"], None)
    assert shown(client, f"{link(api)}/datasets/1")["datablocks"] is None
    assert "not kept any more" in page(client, link(api))
    assert_problem(client.post(f"{link(api)}/keep"), 410, "link_released")


def test_a_file_that_is_lost_is_not_offered(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    (record,) = api.ledger.datablocks.of(PID)
    api.ledger.datablocks.move(record.key, DatablockState.PLANNED, "its staged file is gone")
    assert states(shown(client, link(api))) == ["gone"]


def test_keep_longer_moves_the_end_and_leads_back_to_the_page(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    before = shown(client, link(api))["expires"]
    api.clock.advance(timedelta(days=2))
    answer = client.post(f"{link(api)}/keep", headers=BROWSER, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{BASE_URL}{link(api)}")
    after = shown(client, link(api))["expires"]
    assert after > before
    client.post(f"{link(api)}/keep")
    assert shown(client, link(api))["expires"] == after


def test_a_revoked_link_opens_nothing_and_a_new_one_does(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    old = link(api)
    api.ledger.links.revoke(JOB)
    for path in (old, f"{old}/datasets/1"):
        assert_problem(client.get(path), 410, "link_revoked")
        assert "This link was revoked" in page(client, path, 410)
    assert_problem(client.post(f"{old}/keep"), 410, "link_revoked")
    assert shown(client, link(api))["ready"] == 1


@pytest.mark.parametrize(
    "change", [lambda path: path[:-1], lambda path: path + "0", lambda _: "/retrievals/x"]
)
def test_a_link_that_is_not_ours_opens_nothing_and_is_not_logged(
    client: TestClient, api: ApiRig, change: Any
) -> None:
    api.retrieved(PID)
    with capture_logs() as logs:
        assert_problem(client.get(change(link(api))), 403, "link_tampered")
    assert "This is not the whole link" in page(client, change(link(api)), 403)
    assert not re.search(r"[0-9a-f]{32}", repr(logs))


def test_a_job_or_a_dataset_that_is_not_known_is_said_so(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    assert_problem(client.get(link(api, JobId("gone"))), 404, "job_not_found")
    assert_problem(client.get(f"{link(api)}/datasets/2"), 404, "job_not_found")
    page(client, f"{link(api)}/datasets/2", 404)


def test_a_ledger_that_is_away_is_told_without_the_link(api: ApiRig) -> None:
    class Away:
        def serial(self, job_id: JobId) -> int:
            raise LedgerUnavailable(f"no answer for {job_id}")

    api.retrieved(PID)
    with api.client(with_books(api.ledger, links=Away())) as client, capture_logs() as logs:
        assert_problem(client.get(link(api)), 503, "ledger_unavailable")
        page(client, link(api), 503)
    assert logs
    assert link(api).rpartition("/")[2][-20:] not in repr(logs)


def test_many_datasets_come_by_pages(client: TestClient, api: ApiRig) -> None:
    pids = [DatasetPid(f"20.500.12345/{number}") for number in range(401)]
    api.job(*pids)
    body, seen = shown(client, link(api)), []
    while True:
        seen += [each["pid"] for each in body["datasets"]]
        if body["next"] is None:
            break
        url = urlsplit(body["next"])
        body = shown(client, f"{url.path}?{url.query}")
    assert seen == pids
    assert "More datasets" in page(client, link(api))


def test_many_datablocks_come_by_pages_each_once_and_with_a_link_of_its_own(
    client: TestClient, api: ApiRig
) -> None:
    content = tar({"a": b""})
    blocks = [
        api.archive(number, content=content, listed=entries({"a": b""}), archive_id=f"{number:04d}.tar")
        for number in range(401)
    ]
    api.catalogue.add_dataset(PID, blocks)
    api.job(PID)
    for record in api.plan_again("run"):
        api.stage(record)
    api.ledger.jobs.move_dataset(JOB, PID, DatasetState.RETRIEVED)
    report.close_job(JOB, None, api.tools)
    body, seen, urls = shown(client, f"{link(api)}/datasets/1"), [], set()
    while True:
        seen += [each["archiveId"] for each in body["datablocks"]]
        urls |= {each["url"] for each in body["datablocks"]}
        assert len(body["datablocks"]) <= 200
        if body["next"] is None:
            break
        url = urlsplit(body["next"])
        body = shown(client, f"{url.path}?{url.query}")
    assert seen == [f"{number:04d}.tar" for number in range(401)]
    assert len(urls) == 401


def test_what_to_know_of_an_archive_and_of_its_dataset_is_on_the_page(
    client: TestClient, api: ApiRig
) -> None:
    api.retrieved(PID)
    api.catalogue.declare(PID, files=99, packed_size=0)
    api.plan_again("run-2")
    assert "--ignore-zeros" not in page(client, f"{link(api)}/datasets/1")
    body = shown(client, f"{link(api)}/datasets/1")
    assert body["remark"] == "declares 99 archived files, its 1 datablocks hold 3"
    assert (body["datablocks"][0]["tars"], body["datablocks"][0]["archiveId"]) == (1, "p-0.tar")
    text = page(client, f"{link(api)}/datasets/1")
    assert "All of it is there; yet SciCat declares 99 archived files" in text


def test_an_archive_of_several_tars_says_on_the_page_how_it_is_unpacked(api: ApiRig) -> None:
    api.archives = ArchivePolicy(joined_tars="read")
    joined = tar({"a": b"x"}) + tar({"b": b"y"})
    api.tools = replace(api.tools, archives=api.archives)
    block = api.archive(content=joined, listed=entries({"a": b"x", "b": b"y"}))
    api.staged_dataset(block)
    api.job(PID)
    api.ledger.jobs.move_dataset(JOB, PID, DatasetState.RETRIEVED)
    report.close_job(JOB, None, api.tools)
    with api.client() as client:
        (shown_block,) = shown(client, f"{link(api)}/datasets/1")["datablocks"]
        assert shown_block["tars"] == 2
        assert "tar --ignore-zeros" in page(client, f"{link(api)}/datasets/1")
