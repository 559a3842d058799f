"""What each token may, and what the log and the caller are told where it may not."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import structlog
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from scicat_retriever.http_api.app import create_app
from scicat_retriever.http_api.tokens import Scope, Token, most_capable
from scicat_retriever.pipeline.tools.links import RETRIEVALS_PATH
from tests.unit.http_api.rig import (
    EXPIRES,
    EXPIRING_TOKEN,
    INTAKE_TOKEN,
    JOBS,
    OLD_TOKEN,
    READ_TOKEN,
    TOKEN,
    V4,
    ApiRig,
    assert_problem,
)
from tests.unit.pipeline.rig import JOB, PID

POST, READ_A_JOB, READ, OPERATE = "post", "read a job", "read", "operate"
ROUTES = [
    ("POST", JOBS, POST),
    ("GET", f"{JOBS}/{JOB}", READ_A_JOB),
    ("DELETE", f"{JOBS}/{JOB}", OPERATE),
    ("POST", f"{JOBS}/{JOB}/retry", OPERATE),
    ("PUT", f"{JOBS}/{JOB}/priority", OPERATE),
    ("GET", f"{JOBS}/{JOB}/link", OPERATE),
    ("POST", f"{JOBS}/{JOB}/link/revoke", OPERATE),
    ("GET", "/api/v1/audit/downloads", READ),
    ("GET", "/api/v1/recalls", READ),
    ("GET", "/api/v1/reports", READ),
    ("POST", "/api/v1/reports/retry", OPERATE),
    ("POST", "/api/v1/reports/drop", OPERATE),
    ("GET", "/api/v1/overview", READ),
    ("GET", "/api/v1/staging", READ),
    ("GET", "/api/v1/staging/usage", READ),
    ("GET", "/api/v1/staging/pins", READ),
    ("POST", "/api/v1/staging/pins", OPERATE),
    ("POST", "/api/v1/staging/release", OPERATE),
    ("POST", "/api/v1/staging/evict", OPERATE),
    ("POST", "/api/v1/staging/check", OPERATE),
]
MAY = {
    INTAKE_TOKEN: {POST, READ_A_JOB},
    READ_TOKEN: {READ, READ_A_JOB},
    OLD_TOKEN: {POST, READ, READ_A_JOB},
    TOKEN: {POST, READ, READ_A_JOB, OPERATE},
}
OPEN = {
    "/api/v1/health",
    "/api/v1/ready",
    "/api/v1/downloads/{name}",
    "/.well-known/retriever-manifest.pub",
}  # and what is below a retrieval's link, whose secret part is the right


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("token", MAY)
@pytest.mark.parametrize(("method", "path", "what"), ROUTES)
def test_a_token_may_what_its_scope_says_and_no_more(
    client: TestClient, token: str, method: str, path: str, what: str
) -> None:
    answer = client.request(method, path, headers=bearing(token))
    assert (answer.status_code == 403) is (what not in MAY[token])
    assert answer.status_code != 401


def test_each_route_that_is_not_open_to_all_is_in_the_table_above() -> None:
    served = {
        (method.upper(), path.replace("{job_id}", JOB))
        for path, methods in create_app(None).openapi()["paths"].items()
        if path not in OPEN and not path.startswith(f"{RETRIEVALS_PATH}/")
        for method in methods
    }
    assert served == {(method, path) for method, path, _ in ROUTES}


def test_who_may_not_is_told_which_scope_is_needed_and_changes_nothing(
    api: ApiRig, client: TestClient
) -> None:
    api.job(PID)
    answer = client.delete(f"{JOBS}/{JOB}", headers=bearing(INTAKE_TOKEN))
    body = assert_problem(answer, 403, "token_scope_too_small")
    assert "needs a token of scope operate; scicat has intake alone" in body["detail"]
    assert body["who"] == "operator"
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="operate"'
    record = api.ledger.jobs.get(JOB)
    assert record is not None
    assert not record.cancelled_by


def test_a_token_of_the_old_list_is_told_what_to_write_in_the_settings(client: TestClient) -> None:
    with capture_logs() as lines:
        answer = client.post("/api/v1/staging/evict", headers=bearing(OLD_TOKEN))
    advice = "write an [[api.token]] with that scope in the settings"
    assert advice in assert_problem(answer, 403, "token_scope_too_small")["detail"]
    assert [line for line in lines if line["log_level"] == "warning" and advice in line["advice"]]


def test_a_token_works_until_it_expires(api: ApiRig, client: TestClient) -> None:
    api.clock.now = EXPIRES - timedelta(seconds=1)
    assert client.get("/api/v1/overview", headers=bearing(EXPIRING_TOKEN)).status_code == 200
    api.clock.now = EXPIRES
    answer = client.get("/api/v1/overview", headers=bearing(EXPIRING_TOKEN))
    assert "'guest' has expired" in assert_problem(answer, 401, "token_invalid")["detail"]


def lines_of(client: TestClient, token: str) -> list[Any]:
    """What the log says of a job that is posted, as the service's own log has it."""
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        client.post(JOBS, headers=bearing(token), content=json.dumps(V4))
    return lines


def test_the_log_names_the_token_and_never_shows_it(client: TestClient) -> None:
    for token, name in ((INTAKE_TOKEN, "scicat"), (TOKEN, "operator"), (READ_TOKEN, "monitor")):
        told = lines_of(client, token)
        assert {line["token"] for line in told if line.get("path") == JOBS} == {name}
        assert token not in json.dumps(told)


@pytest.mark.parametrize("scopes", [(Scope.READ, Scope.INTAKE), (Scope.INTAKE, Scope.OPERATE)])
def test_a_command_sends_the_token_that_may_most(scopes: tuple[Scope, ...]) -> None:
    tokens = [Token(scope, scope, {scope}) for scope in scopes]
    best = most_capable(tokens, EXPIRES)
    assert best is not None
    assert best.name == max(scopes, key=["intake", "read", "operate"].index)


def test_a_command_sends_no_expired_token() -> None:
    tokens = [Token("a", "a", {Scope.OPERATE}, EXPIRES), Token("b", "b", {Scope.READ})]
    assert most_capable(tokens, EXPIRES) == tokens[1]
    assert most_capable(tokens[:1], EXPIRES) is None
