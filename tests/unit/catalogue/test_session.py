import base64
import json
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from scicat_retriever.catalogue.errors import MESSAGE_LIMIT
from scicat_retriever.catalogue.scicat import Scicat
from scicat_retriever.domain.errors import (
    CatalogueAnswerUnreadable,
    CatalogueError,
    CatalogueForbidden,
    CatalogueLoginFailed,
    CatalogueRefused,
    CatalogueUnavailable,
    CatalogueUpdateLost,
    DatablocksMissing,
)
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import JobState, LifecycleWord
from scicat_retriever.ports.catalogue import JobUpdate, LifecycleUpdate
from tests.unit.catalogue.backend import (
    LOGIN,
    PASSWORD,
    Backend,
    crash,
    failing,
    forbidden,
    login_answer,
    ok,
)

PID = DatasetPid("20.500.12345/abc")
GET = "GET /api/v4/datasets/20.500.12345%2Fabc"
DATASET = {"pid": PID}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def jwt(**claims: Any) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"head.{part}.signature"


def test_one_login_serves_many_requests() -> None:
    backend = Backend().on(GET, ok(DATASET))
    scicat = backend.client()
    scicat.dataset(PID)
    scicat.dataset(PID)
    assert [one.line for one in backend.asked] == [LOGIN, GET, GET]
    assert backend.asked[0].body == {"username": "archiveManager", "password": PASSWORD}
    assert [one.headers["authorization"] for one in backend.asked[1:]] == ["Bearer token-1"] * 2


def test_the_service_names_itself() -> None:
    backend = Backend().on(GET, ok(DATASET))
    backend.client().dataset(PID)
    assert all(one.headers["user-agent"].startswith("scicat-retriever/") for one in backend.asked)


@pytest.mark.parametrize(
    "login",
    [
        {"token": "opaque", "expires_in": 3600},
        {"token": jwt(iat=5_000_000, exp=5_003_600), "expires_in": None},
        {"token": jwt(exp=4600), "expires_in": None},
    ],
    ids=["expires_in", "exp and iat of another clock", "exp"],
)
def test_a_token_is_renewed_a_minute_before_it_runs_out(login: dict[str, Any]) -> None:
    clock = Clock()
    backend = Backend().on(GET, ok(DATASET)).on(LOGIN, lambda _: login_answer(**login))
    scicat = backend.client(clock)
    scicat.dataset(PID)
    clock.now = 1000 + 3600 - 61
    scicat.dataset(PID)
    assert len(backend.bodies(LOGIN)) == 1
    clock.now = 1000 + 3600 - 60
    scicat.dataset(PID)
    assert len(backend.bodies(LOGIN)) == 2


@pytest.mark.parametrize(
    "token", ["opaque", "a.b.c", "a.bnVsbA.c", jwt(exp="soon"), jwt(exp=1e300), jwt(exp=10**400)]
)
def test_a_token_without_a_readable_end_is_used(token: str) -> None:
    clock = Clock()
    backend = Backend().on(GET, ok(DATASET)).on(LOGIN, lambda _: login_answer(token, expires_in=None))
    scicat = backend.client(clock)
    scicat.dataset(PID)
    clock.now = 1e9
    scicat.dataset(PID)
    assert [one.line for one in backend.asked] == [LOGIN, GET, GET]


def test_a_403_is_repeated_once_after_a_fresh_login() -> None:
    backend = Backend().on(GET, forbidden(), ok(DATASET))
    assert backend.client().dataset(PID).pid == PID
    assert [one.line for one in backend.asked] == [LOGIN, GET, LOGIN, GET]
    assert backend.asked[-1].headers["authorization"] == "Bearer token-2"


EXPIRED = failing(401, "SESSION_EXPIRED")
TOLD = {"id": "j", "statusCode": "inProgress", "statusMessage": "m"}
JOB = {"id": "j", "type": "retrieve", "jobParams": {"datasetList": [{"pid": PID, "files": []}]}}
LIFECYCLE = f"PATCH {GET.partition(' ')[2]}/datasetlifecycle"


@pytest.mark.parametrize(
    ("line", "answer", "ask"),
    [
        (GET, ok(DATASET), lambda scicat: scicat.dataset(PID)),
        ("GET /api/v3/datablocks/count", ok({"count": 0}), lambda scicat: list(scicat.datablocks(PID))),
        ("GET /api/v3/datablocks", ok([]), lambda scicat: list(scicat.datablocks(PID))),
        ("GET /api/v4/jobs", ok([TOLD | {"type": "x"}]), lambda scicat: list(scicat.open_jobs(["retrieve"]))),
        ("GET /api/v4/jobs/j", ok(JOB), lambda scicat: scicat.job(JobId("j"))),
        (
            "PATCH /api/v4/jobs/j",
            ok(TOLD),
            lambda scicat: scicat.update_job(JobId("j"), JobUpdate(JobState.IN_PROGRESS, "m")),
        ),
        (
            LIFECYCLE,
            ok({}),
            lambda scicat: scicat.update_lifecycle(PID, LifecycleUpdate(LifecycleWord.STARTED)),
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_session_that_is_over_is_begun_again_on_every_route(
    line: str, answer: httpx2.Response, ask: Callable[[Scicat], object]
) -> None:
    backend = Backend().on(GET, ok(DATASET)).on("GET /api/v3/datablocks/count", ok({"count": 0}))
    backend.on("GET /api/v3/datablocks", ok([])).on(line, EXPIRED, answer)
    with suppress(DatablocksMissing, CatalogueUpdateLost):
        ask(backend.client())
    (first, second, *_) = [one for one in backend.asked if one.line == line]
    assert first.headers["authorization"] == "Bearer token-1"
    assert second.headers["authorization"] == "Bearer token-2"


def test_a_configured_token_whose_session_is_over_is_said() -> None:
    with pytest.raises(CatalogueLoginFailed, match=r"SESSION_EXPIRED.*catalogue\.token"):
        Backend().on(GET, EXPIRED).client(token="long-lived").dataset(PID)


def test_a_403_after_a_fresh_login_is_believed() -> None:
    backend = Backend().on(GET, forbidden())
    with pytest.raises(CatalogueForbidden, match="Forbidden resource"):
        backend.client().dataset(PID)
    assert [one.line for one in backend.asked] == [LOGIN, GET, LOGIN, GET]


def test_a_long_lived_token_needs_no_login_and_its_403_is_believed() -> None:
    backend = Backend().on(GET, forbidden())
    with pytest.raises(CatalogueForbidden):
        backend.client(token="long-lived").dataset(PID)
    assert [(one.line, one.headers["authorization"]) for one in backend.asked] == [(GET, "Bearer long-lived")]


def test_a_long_lived_token_that_ran_out_is_said_without_a_request() -> None:
    backend = Backend()
    with pytest.raises(CatalogueLoginFailed, match="run out"):
        backend.client(lambda: 2000.0, token=jwt(exp=1999)).dataset(PID)
    assert backend.asked == []


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (failing(401, "Unauthorized"), CatalogueLoginFailed),
        (failing(403, "no"), CatalogueLoginFailed),
        (failing(404, "Cannot POST /api/v3/auth/login"), CatalogueRefused),
        (crash(), CatalogueUnavailable),
        (httpx2.ConnectError("refused"), CatalogueUnavailable),
        (httpx2.Response(302, headers={"Location": "https://elsewhere.org"}), CatalogueRefused),
        (ok({}, 201), CatalogueAnswerUnreadable),
        (ok([], 201), CatalogueAnswerUnreadable),
        (login_answer("not\na header"), CatalogueAnswerUnreadable),
        (login_answer(""), CatalogueAnswerUnreadable),
    ],
)
def test_a_login_that_fails_is_a_catalogue_error(reply: Any, expected: type[CatalogueError]) -> None:
    with pytest.raises(expected):
        Backend().on(LOGIN, reply).client().dataset(PID)


def test_a_failed_login_is_tried_again_by_the_next_request() -> None:
    backend = Backend().on(LOGIN, crash(), login_answer("token")).on(GET, ok(DATASET))
    scicat = backend.client()
    with pytest.raises(CatalogueUnavailable):
        scicat.dataset(PID)
    assert scicat.dataset(PID).pid == PID


def test_many_threads_share_one_login() -> None:
    backend = Backend().on(GET, ok(DATASET))
    waiting = threading.Barrier(8)
    scicat = backend.client()

    def read(_: int) -> DatasetPid:
        waiting.wait(timeout=60)
        return scicat.dataset(PID).pid

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(read, range(8))) == [PID] * 8
    assert backend.logins == 1


def test_many_threads_whose_token_was_revoked_share_one_renewal() -> None:
    arrived = threading.Barrier(8)

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.headers["authorization"] == "Bearer token-1":
            arrived.wait(timeout=60)
            return forbidden()
        return ok(DATASET)

    backend = Backend().on(GET, ok(DATASET))
    scicat = backend.client()
    scicat.dataset(PID)
    backend.on(GET, answer)
    with ThreadPoolExecutor(8) as threads:
        assert [one.pid for one in threads.map(scicat.dataset, [PID] * 8)] == [PID] * 8
    assert backend.logins == 2


def test_no_thread_is_left_waiting_by_a_login_that_fails() -> None:
    asked, gone_in = threading.Event(), threading.Event()

    def hang(_: httpx2.Request) -> httpx2.Response:
        asked.set()
        gone_in.wait(timeout=60)
        return crash()

    backend = Backend().on(LOGIN, hang)
    scicat = backend.client()
    with ThreadPoolExecutor(2) as threads:
        leader = threads.submit(scicat.dataset, PID)
        assert asked.wait(timeout=60)
        follower = threads.submit(scicat.dataset, PID)
        gone_in.set()
        assert isinstance(leader.exception(timeout=60), CatalogueUnavailable)
        assert isinstance(follower.exception(timeout=60), CatalogueUnavailable)


def test_redirects_are_not_followed() -> None:
    backend = Backend().on(GET, httpx2.Response(301, headers={"Location": "https://elsewhere.org/"}))
    with pytest.raises(CatalogueRefused, match="Redirects are not followed"):
        backend.client().dataset(PID)
    assert backend.lines() == [GET]


def quoting_the_token(request: httpx2.Request) -> httpx2.Response:
    return failing(400, f"bad request: {dict(request.headers)}")


def quoting_the_token_where_the_message_is_cut(request: httpx2.Request) -> httpx2.Response:
    return failing(400, "x" * (MESSAGE_LIMIT - 15) + request.headers["authorization"])


@pytest.mark.parametrize(
    "reply",
    [
        quoting_the_token,
        quoting_the_token_where_the_message_is_cut,
        httpx2.LocalProtocolError("Illegal header value b'Bearer token-1'"),
        httpx2.ReadTimeout("slow"),
    ],
)
def test_no_error_shows_a_secret_even_in_its_traceback(reply: Any) -> None:
    scicat = Backend().on(GET, reply).client()
    with pytest.raises(CatalogueError) as raised:
        scicat.dataset(PID)
    shown = (
        "".join(traceback.format_exception(raised.value))
        + repr(raised.value)
        + repr(scicat)
        + repr(vars(scicat))
    )
    assert PASSWORD not in shown
    assert "token-" not in shown


def test_a_login_error_does_not_repeat_what_was_sent() -> None:
    def echo(request: httpx2.Request) -> httpx2.Response:
        return failing(500, request.read().decode())

    with pytest.raises(CatalogueUnavailable) as raised:
        Backend().on(LOGIN, echo).client().dataset(PID)
    assert PASSWORD not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("content", [None, b"", b"no certificate"], ids=["missing", "empty", "garbage"])
def test_ca_certificates_that_cannot_be_used_are_said_with_the_setting(
    tmp_path: Path, content: bytes | None
) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_bytes(content)
    with pytest.raises(CatalogueRefused, match=r"ca\.pem cannot be used .*catalogue\.ca_bundle"):
        Backend().client(ca_bundle=bundle)
