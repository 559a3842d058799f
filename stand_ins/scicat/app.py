"""The stand-in as an ASGI application: it answers like a chosen release of SciCat's backend, from memory."""

import asyncio
import copy
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from stand_ins.scicat.access import PROFILES, Access, AccessGroups
from stand_ins.scicat.accounts import (
    NEVER_SECONDS,
    Account,
    Accounts,
    TokenRanOut,
    default_accounts,
)
from stand_ins.scicat.answers import (
    Answer,
    JsonObject,
    Refusal,
    crash,
    no_such_route,
    session_expired,
)
from stand_ins.scicat.call import BODY_LIMIT_BYTES, Call, read_payload
from stand_ins.scicat.control import Control
from stand_ins.scicat.datablocks import DatablockRoutes
from stand_ins.scicat.dataset_shapes import new_dataset
from stand_ins.scicat.datasets import DatasetRoutes
from stand_ins.scicat.faults import Faults, Mishap
from stand_ins.scicat.jobs import JobRoutes, JobType
from stand_ins.scicat.lifecycle import LifecycleRoutes
from stand_ins.scicat.logins import LoginRoutes
from stand_ins.scicat.release import NEWEST_TAGGED, Release
from stand_ins.scicat.request_log import RequestLog
from stand_ins.scicat.routing import Route, Router
from stand_ins.scicat.server import ABORT, serve_in_thread
from stand_ins.scicat.store import Store
from stand_ins.scicat.url_action import UrlAction


class ScicatStandIn:
    """An honest stand-in for SciCat, to serve over HTTP or to call in process as an ASGI application.

    Seed it with :meth:`add_dataset` and :meth:`add_datablocks` or over its own HTTP routes, let
    :attr:`faults` go wrong, and read :attr:`log`.

    Args:
        release: which SciCat it answers as; see :data:`RELEASES`.
        url_action: run when a job of type ``retrieve`` is created; a shorthand for ``job_types``.
        accounts: who may log in; those of the observed backend unless given.
        groups: the backend's group settings; see :data:`PROFILES`.
        job_types: the operator's job configuration; the type ``retrieve`` unless given.
        token_lifetime_seconds: how long the token of a login is valid.
        config_version: version of the job configuration, as jobs show it.
        write_gap_seconds: pause between reading and writing a dataset; in it another write gets lost.
        conflict_500_every: every how many-th lifecycle write that met a concurrent one is answered with 500
            after it was stored; 0 means never.

    Attributes:
        release: which SciCat it answers as.
        log: every request that came.
        faults: what goes wrong.
    """

    def __init__(
        self,
        *,
        release: Release = NEWEST_TAGGED,
        url_action: UrlAction | None = None,
        accounts: Iterable[Account] | None = None,
        groups: AccessGroups = PROFILES["lab_default"],
        job_types: Iterable[JobType] | None = None,
        token_lifetime_seconds: float = 3600,
        config_version: str = "stand-in-1",
        write_gap_seconds: float = 0.005,
        conflict_500_every: int = 30,
    ) -> None:
        self.log = RequestLog()
        self.faults = Faults()
        self.store = Store()
        self.release = release
        access = self._access = Access(groups, release)
        self._accounts = Accounts(
            default_accounts() if accounts is None else accounts, token_lifetime_seconds
        )
        types = [JobType(create_action=url_action)] if job_types is None else job_types
        self._jobs = JobRoutes(self.store, access, types, config_version, self._accounts.named)
        self._lifecycle = LifecycleRoutes(self.store, access, write_gap_seconds, conflict_500_every)
        self._datablocks = DatablockRoutes(self.store, access)
        datasets = DatasetRoutes(self.store, access, write_gap_seconds)
        logins = LoginRoutes(self.store, self._accounts, access)
        parts = (logins, self._jobs, self._lifecycle, self._datablocks, datasets)
        self._router = Router([*_unmodelled(), *(route for part in parts for route in part.routes())])
        self._control = Control(self)

    def serve(self, port: int = 0) -> AbstractContextManager[str]:
        """Serve on 127.0.0.1 in a thread for as long as the context lasts; gives the base URL.

        Port 0 takes a free one.
        """
        return serve_in_thread(self, port)

    def add_dataset(
        self,
        pid: str,
        *,
        owner_group: str = "group1",
        access_groups: Iterable[str] = (),
        lifecycle: Mapping[str, object] | None = None,
        **fields: object,
    ) -> None:
        """Register a dataset that is archived and may be retrieved.

        Args:
            pid: its persistent identifier.
            owner_group: the group whose members own it.
            access_groups: groups that may read it.
            lifecycle: changes to the lifecycle, which says retrievable and on archive disk.
            fields: more fields of SciCat's ``CreateDatasetDto``.
        """
        archived = {"archivable": False, "retrievable": True, "archiveStatusMessage": "datasetOnArchiveDisk"}
        given: JsonObject = {
            "owner": "Ada",
            "contactEmail": "ada@your.site",
            "sourceFolder": "/data/a",
            "creationTime": "2026-01-02T03:04:05.000Z",
            "datasetName": pid,
            "type": "raw",
            "principalInvestigators": ["ada@your.site"],
            **fields,
            "pid": pid,
            "ownerGroup": owner_group,
            "accessGroups": list(access_groups),
            "datasetlifecycle": {**archived, **(lifecycle or {})},
        }
        self.store.datasets[pid] = new_dataset(self.store, given, "v4", "ingestor")

    def add_datablocks(self, pid: str, blocks: Iterable[Mapping[str, object]]) -> None:
        """Register datablocks of a dataset: SciCat's ``CreateDatablockDto`` each, without the dataset id.

        A file without ``time`` gets one; ``version`` is ``"1.0"`` unless given.
        """
        dataset = self.store.datasets[pid]
        for block in blocks:
            self._datablocks.add(dataset, _with_times({"version": "1.0", **block}), "ingestor")

    def add_origdatablock(self, pid: str, block: Mapping[str, object]) -> None:
        """Register files as they were before archiving; a job that names files is checked against them."""
        self._datablocks.add_original(self.store.datasets[pid], _with_times(dict(block)), "ingestor")

    def dataset(self, pid: str) -> JsonObject:
        """Give a copy of a dataset as stored; KeyError if there is none."""
        return copy.deepcopy(self.store.datasets[pid])

    def job(self, job_id: str) -> JsonObject:
        """Give a copy of a job as stored (v4); KeyError if there is none."""
        return copy.deepcopy(self.store.jobs[job_id])

    def jobs(self) -> list[JsonObject]:
        """Give copies of all jobs, oldest first."""
        return copy.deepcopy(list(self.store.jobs.values()))

    def issue_token(self, username: str, lifetime_seconds: float = NEVER_SECONDS) -> str:
        """Give a token of an account; KeyError if there is no such account.

        By default it never expires, as one that a facility hands out instead of a password; with a negative
        lifetime it is expired and well signed.
        """
        owner = self._accounts.named(username)
        if owner is None:
            raise KeyError(username)
        return self._accounts.issue_token(owner, lifetime_seconds)

    def expire_tokens(self, *, long_lived: bool = False) -> None:
        """Make all tokens issued so far worthless, whatever their ``exp`` says."""
        self._accounts.expire_tokens(long_lived=long_lived)

    def change_token_key(self) -> None:
        """Make all tokens issued so far wrongly signed, as a backend that is started with another secret."""
        self._accounts.change_key()

    def offer_lifecycle_route(self, *, offered: bool) -> None:
        """Switch the lifecycle sub-resource off (404, as an older backend) or on."""
        self._lifecycle.offered = offered

    def offer_jobs_in_v4(self, *, offered: bool) -> None:
        """Switch the v4 routes of jobs off (404, as an older backend) or on."""
        self._jobs.offered_in_v4 = offered

    def set_groups(self, groups: AccessGroups) -> None:
        """Replace the backend's group settings."""
        self._access.groups = groups

    def set_job_type(self, job_type: JobType) -> None:
        """Add or replace an entry of the job configuration."""
        self._jobs.types[job_type.name] = job_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        request = Request(scope, receive)
        body = await request.body()
        if request.url.path.startswith("/_control/"):
            await _send(self._control.answer(request, body), scope, receive, send)
            return
        headers = dict(request.headers)
        raw_path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
        query = scope["query_string"].decode("latin-1")
        target = f"{raw_path}?{query}" if query else raw_path
        record = self.log.begin(request.method, scope["path"], target, headers, body)
        who, expired = self._caller(headers, request.query_params.get("access_token", ""))
        record.username = who.username if who else None
        call = Call(request.method, raw_path, query, headers, body, who, expired=expired)
        mishap = self.faults.take(request.method, f"{scope['path']}?{query}")
        answer = await self._answer(call, mishap)
        self.log.finish(record, answer.status if answer else None)
        if answer is None:
            _abort(scope)
        else:
            await _send(answer, scope, receive, send)

    async def _answer(self, call: Call, mishap: Mishap) -> Answer | None:
        """Answer a call, or give None if the connection shall be dropped."""
        await asyncio.sleep(mishap.delay_seconds)
        fault = mishap.fault
        answer: Answer | None = None
        if fault is None or fault.when == "after":
            answer = await self._dispatch(call)
        if fault is None:
            return answer
        return None if fault.drop else fault.answer()

    async def _dispatch(self, call: Call) -> Answer:
        try:
            if call.expired and self.release.expired_token_is_refused:
                raise session_expired()
            if len(call.body) > BODY_LIMIT_BYTES:
                raise crash()
            payload = read_payload(call.headers, call.body)
            found = self._router.find(call.method, call.raw_path)
            if found is None:
                raise no_such_route(call.method, call.target)
            handler, params = found
            version = call.raw_path.split("/")[2].lower()
            return await handler(replace(call, version=version, params=params, payload=payload))
        except Refusal as refusal:
            return refusal.answer

    def _caller(self, headers: Mapping[str, str], in_query: str) -> tuple[Account | None, bool]:
        """Find the caller by ``Bearer <token>``, in the header or in ``?access_token=``; else anonymous.

        Returns:
            The account, and whether a token of the caller has run out.
        """
        for credentials in (headers.get("authorization", ""), in_query):
            scheme, _, token = credentials.partition(" ")
            if scheme.lower() != "bearer":
                continue
            try:
                who = self._accounts.bearer(token)
            except TokenRanOut:
                return None, True
            if who is not None:
                return who, False
        return None, False


def _unmodelled() -> list[Route]:
    """Give the routes that SciCat has and the stand-in does not imitate: they say so instead of lying."""

    async def refuse(call: Call) -> Answer:
        return Answer(501, {"statusCode": 501, "message": f"the stand-in does not model {call.raw_path}"})

    reads = (
        "{version}/jobs/fullfacet",
        "{version}/jobs/datasetDetails",
        "v3/users/my/identity",
    )
    writes = (
        ("POST", "{version}/origdatablocks"),
        ("PATCH", "v3/datablocks/{id}"),
        ("PATCH", "v3/datasets/{pid}/datablocks/{id}"),
    )
    return [Route(method, path, refuse) for method, path in (*(("GET", path) for path in reads), *writes)]


def _with_times(block: JsonObject) -> JsonObject:
    files: list[dict[str, Any]] = block["dataFileList"]
    return {**block, "dataFileList": [{"time": "2026-01-02T03:04:05.000Z", **one} for one in files]}


async def _send(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    if answer.body is None:
        response = Response(b"", answer.status, dict(answer.headers))
    else:
        text = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":"))
        kind = "application/json; charset=utf-8"
        response = Response(text.encode(), answer.status, dict(answer.headers), media_type=kind)
    await response(scope, receive, send)


def _abort(scope: Scope) -> None:
    """Close the connection without an answer; in process, where there is none, raise."""
    abort: Callable[[], None] | None = scope.get(ABORT)
    if abort is None:
        raise ConnectionResetError("the stand-in dropped the connection")
    abort()


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
