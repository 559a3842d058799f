"""The ``url`` action of a job: inside the user's request, after the job was stored."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stand_ins import local_http
from stand_ins.scicat import JobType, ScicatStandIn, UrlAction, log_in, submit_retrieve_job
from stand_ins.scicat.url_action import Template
from tests.contracts.scicat.targets import Catcher, catching

PID = "20.500.12345/abc"


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    """An archival service that keeps what it is sent."""
    with catching() as running:
        yield running


def stand_in_with(action: UrlAction | None) -> ScicatStandIn:
    """Make a stand-in with one dataset and this action."""
    stand_in = ScicatStandIn(url_action=action)
    stand_in.add_dataset(PID)
    return stand_in


def submit(stand_in: ScicatStandIn, version: str = "v4") -> tuple[int, str]:
    """Ask for the dataset; gives the status and the text of the answer."""
    with stand_in.serve() as url:
        token = log_in(url, "scientist")
        answer = submit_retrieve_job(url, [PID], token=token, version="v3" if version == "v3" else "v4")
    return answer.status_code, answer.text


@pytest.mark.parametrize(
    ("template", "keys"),
    [
        ("short", {"id", "type"}),
        ("v3", {"id", "_id", "type", "datasetList", "jobStatusMessage", "emailJobInitiator"}),
        ("v4", {"id", "type", "statusCode", "ownerUser", "jobParams", "contactEmail"}),
        ("observed", {"id", "datasets", "job_v3", "job", "request", "jobParams"}),
    ],
)
def test_sends_the_job_in_the_shape_that_the_operator_chose(template: Template, keys: set[str]) -> None:
    with catching() as catcher:
        stand_in = stand_in_with(UrlAction(catcher.url, template=template))
        submit(stand_in)
        sent = catcher.received.get(timeout=60)["json"]
    assert keys <= sent.keys()
    assert sent["id"] == stand_in.jobs()[0]["id"]


def test_a_target_that_is_down_is_an_error_and_the_job_stays_submitted() -> None:
    stand_in = stand_in_with(UrlAction("http://127.0.0.1:1/"))
    status, text = submit(stand_in)
    assert (status, "fetch failed" in text) == (400, True)
    assert [job["statusCode"] for job in stand_in.jobs()] == ["jobSubmitted"]


def test_a_job_is_stored_before_its_target_hears_of_it() -> None:
    """The target asks SciCat for the job before it answers SciCat's own request."""
    known: list[bool] = []

    class AskingBack(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            known.append(self.headers["X-Job"] in {job["id"] for job in stand_in.jobs()})
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), AskingBack)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    stand_in = stand_in_with(UrlAction(f"http://127.0.0.1:{server.server_address[1]}/", {"X-Job": "{id}"}))
    try:
        status, _ = submit(stand_in)
    finally:
        server.shutdown()
        server.server_close()
    assert (status, known) == (201, [True])


def test_a_job_may_be_changed_while_its_target_still_works_and_the_user_sees_it_as_submitted() -> None:
    arrived, go_on = threading.Event(), threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.set()
            go_on.wait(60)
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    stand_in = stand_in_with(UrlAction(f"http://127.0.0.1:{server.server_address[1]}/"))
    try:
        with stand_in.serve() as url, ThreadPoolExecutor(1) as pool:
            created = pool.submit(submit_retrieve_job, url, [PID], token=log_in(url, "scientist"))
            assert arrived.wait(60)
            job_id = stand_in.jobs()[0]["id"]
            patched = change(url, job_id)
            go_on.set()
            answer = created.result()
    finally:
        go_on.set()
        server.shutdown()
        server.server_close()
    assert (patched, answer.status_code, answer.json()["statusCode"]) == (200, 201, "jobSubmitted")
    assert stand_in.job(job_id)["statusCode"] == "inProgress"


def test_an_update_action_that_fails_does_not_undo_the_change(catcher: Catcher) -> None:
    stand_in = ScicatStandIn(job_types=[JobType(update_action=UrlAction(catcher.url))])
    stand_in.add_dataset(PID)
    with stand_in.serve() as url:
        job_id = submit_retrieve_job(url, [PID], token=log_in(url, "scientist")).json()["id"]
        catcher.answers = 500
        assert change(url, job_id) == 500
    assert stand_in.job(job_id)["statusCode"] == "inProgress"


def change(url: str, job_id: str) -> int:
    """Set a job in progress as the archive manager; gives the status of the answer."""
    body = {"statusCode": "inProgress", "statusMessage": "staging"}
    headers = {"Authorization": f"Bearer {log_in(url, 'archiveManager')}"}
    return local_http.patch(f"{url}/api/v4/jobs/{job_id}", json=body, headers=headers).status_code
