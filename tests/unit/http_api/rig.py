"""The HTTP application, made of the same fakes as the steps."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter
from httpx2 import Response
from starlette.testclient import TestClient

from scicat_retriever.domain.errors import EngineUnavailable
from scicat_retriever.http_api.app import create_app
from scicat_retriever.http_api.auth import TokenGuard
from scicat_retriever.http_api.service import Service
from scicat_retriever.http_api.tokens import OLD_LIST_SCOPES, Scope, Token
from scicat_retriever.pipeline.delivery.names import download_name
from scicat_retriever.pipeline.delivery.signature import ListSigner
from scicat_retriever.pipeline.staging.fixity_pace import FixityPace
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.ledger import Ledger
from tests.unit.pipeline.rig import BASE_URL, LIFETIME, PID, RETENTION, SECRET, Rig

TOKEN, SECOND_TOKEN = "token-of-the-tests-1", "token-of-the-tests-2"
INTAKE_TOKEN, READ_TOKEN, OLD_TOKEN = "token-of-the-intake", "token-of-a-monitor", "token-of-the-old-list"
EXPIRING_TOKEN = "token-of-a-guest-at-the-beamline"
EXPIRES = datetime(2027, 3, 1, tzinfo=UTC)
TOKENS = (
    Token("operator", TOKEN, {Scope.OPERATE}),
    Token("second", SECOND_TOKEN, {Scope.OPERATE}),
    Token("scicat", INTAKE_TOKEN, {Scope.INTAKE}),
    Token("monitor", READ_TOKEN, {Scope.READ}),
    Token("api.tokens, number 1", OLD_TOKEN, OLD_LIST_SCOPES, of_old_list=True),
    Token("guest", EXPIRING_TOKEN, {Scope.OPERATE}, EXPIRES),
)
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
MAX_BODY = 2000
JOBS = "/api/v1/jobs"
V4 = {"id": "job-1", "type": "retrieve", "jobParams": {"datasetList": [{"pid": PID, "files": []}]}}


class ApiRig(Rig):
    """Fakes with an application on top.

    Attributes:
        woken: How often the application said that a job was stored.
        checks: How often it asked that ledger and staging area be compared.
        store_names: The long-term stores that are in its settings.
        signer: Signs manifests and lists.
        engine_away: Whether that cannot be asked now.
        trouble: What is wrong with the engine and the workers.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.woken = self.checks = 0
        self.store_names: tuple[str, ...] = ("lts", "cold")
        self.engine_away = False
        self.signer: ListSigner | None = ListSigner("a key of the tests that signs manifests")
        self.trouble: dict[str, str | None] = {"engine": None, "worker": None}

    def client(self, ledger: Ledger | None = None, max_body_bytes: int = MAX_BODY) -> TestClient:
        """A client of the application; `ledger` stands in for the rig's own."""
        app = create_app(self.service(ledger, max_body_bytes))
        app.router = _routes()
        client = TestClient(app, base_url=BASE_URL, raise_server_exceptions=False)
        client.event_hooks = {"response": [_tells_no_secret]}
        return client

    def service(self, ledger: Ledger | None = None, max_body_bytes: int = MAX_BODY) -> Service:
        """What the application works with."""
        return Service(
            ledger=self.ledger if ledger is None else ledger,
            staging=self.staging,
            links=self.links,
            signer=self.signer,
            guard=TokenGuard(TOKENS, self.clock),
            job_types=("retrieve",),
            stores=self.store_names,
            max_body_bytes=max_body_bytes,
            clock=self.clock,
            wake=self._wake,
            cache=self.cache,
            lifetime=LIFETIME,
            margin=RETENTION - LIFETIME,
            fixity_pace=FixityPace(),
            sweep_interval=timedelta(minutes=5),
            check_staging=self._check_staging,
            engine_trouble=lambda: self.trouble,
        )

    def link(self, record: DatablockRecord) -> str:
        """The path and query of a fresh link to a datablock."""
        until = self.clock() + LIFETIME
        name = download_name(record.key.pid, record.datablock.archive_id)
        url = urlsplit(self.links.link(record.key, name, until).url)
        return f"{url.path}?{url.query}"

    def _wake(self) -> None:
        self.woken += 1

    async def _check_staging(self) -> None:
        if self.engine_away:
            raise EngineUnavailable("it does not answer")
        self.checks += 1


@cache
def _routes() -> APIRouter:
    """All routes, put together once, which takes longer than most tests. What they work with is in each application."""
    return create_app(None).router


def _tells_no_secret(response: Response) -> None:
    """Looks at every answer of every test."""
    told = response.read() + repr(response.headers).encode()
    for secret in (*(token.secret.encode() for token in TOKENS), SECRET):
        assert secret not in told


def assert_problem(response: Response, status: int, code: str | None = None) -> Any:
    """See that an answer is a problem detail; gives it."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = json.loads(response.text)
    assert body["status"] == status
    assert body["detail"]
    if code is not None:
        assert body["type"] == f"urn:scicat-retriever:error:{code}"
    return body
