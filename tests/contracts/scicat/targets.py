"""What the contract suite runs on: the stand-in, or a real SciCat named by the environment.

``SCICAT_CONTRACT_URL`` is the base URL of a real SciCat with the accounts of :func:`default_accounts` in the
groups named there; ``SCICAT_CONTRACT_PASSWORDS`` is a JSON object of their passwords;
``SCICAT_CONTRACT_RELEASE`` says which release it is (``RELEASES``), ``SCICAT_CONTRACT_PROFILE`` and ``SCICAT_CONTRACT_JOBS`` say which group settings and which job configuration (of
:func:`job_types`) it has. Its jobs are sent to where this suite cannot listen, so what needs that is replayed on the
stand-in only.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from typing import Any

import httpx2

from stand_ins import local_http
from stand_ins.scicat import (
    NEWEST_TAGGED,
    PROFILES,
    RELEASES,
    AccessGroups,
    JobType,
    Release,
    ScicatStandIn,
    UrlAction,
    account,
    archival_service,
    default_accounts,
    log_in,
)
from tests.contracts.scicat.scenario import Scenario

STATUS_CODES = frozenset({"jobSubmitted", "inProgress", "finishedSuccessful", "finishedUnsuccessful"})
TOKEN_WITHOUT_VALUE = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VybmFtZSI6Im5vYm9keSIsImV4cCI6MX0.AAAA"


EACH_RIGHT = (
    account("scientist2", "group1"),
    account("lp_service", "lpservice"),
    account("rtPlain", "plain"),
    account("rtName", "name"),
    account("rtNoJob", "nojob"),
    account("rtNoDelete", "nodelete"),
    account("rtNoLife", "nolife"),
    account("rtBoth", "both"),
)
"""Accounts beside the default ones, each with other rights."""

EACH_RIGHT_GROUPS = AccessGroups(
    delete=frozenset({"archivemanager", "name", "nojob", "nolife", "both"}),
    lifecycle=frozenset({"archivemanager", "name", "nojob", "nodelete", "both"}),
    job_privileged=frozenset({"archivemanager", "nodelete", "nolife", "both"}),
    create_job=frozenset({"both"}),
)
"""The group settings of the backend that 5.2.1 and master were recorded with."""


@dataclass
class Catcher:
    """The archival service of a job configuration: keeps what it is sent and answers as told."""

    url: str
    received: Queue[dict[str, Any]] = field(default_factory=Queue)
    answers: int = 201


@dataclass
class Target:
    """A SciCat to test.

    Attributes:
        url: base URL.
        private: whether nobody else's records are in it, so that lists and their pages can be compared.
        catcher: what its jobs are sent to, if that can be watched.
    """

    url: str
    private: bool
    client: httpx2.Client = field(repr=False)
    catcher: Catcher | None = None
    stand_in: ScicatStandIn | None = field(default=None, repr=False)
    tokens: dict[str, str] = field(default_factory=dict, repr=False)

    def token(self, who: str) -> str:
        """Give a token of an account, or one of the three useless ones."""
        if who == "garbage":
            return "bad"
        if who == "wrongly signed":
            signed, _, signature = self.token("archiveManager").rpartition(".")
            return f"{signed}.{signature[::-1]}"
        if who == "expired":
            return (
                TOKEN_WITHOUT_VALUE
                if self.stand_in is None
                else self.stand_in.issue_token("archiveManager", -1)
            )
        if who not in self.tokens:
            passwords = json.loads(os.environ.get("SCICAT_CONTRACT_PASSWORDS", "{}"))
            self.tokens[who] = log_in(self.url, who, passwords.get(who))
        return self.tokens[who]

    def request(
        self,
        who: str,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx2.Response:
        """Send a request with the token of an account (``anonymous``: without any)."""
        sent = dict(headers or {})
        if who != "anonymous":
            sent.setdefault("Authorization", f"Bearer {self.token(who)}")
        if body is not None:
            content = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        return self.client.request(method, f"{self.url}{path}", content=content, headers=sent)


def tested_releases() -> list[Release]:
    """Give the releases to test: those with recordings, or that of the real SciCat."""
    if "SCICAT_CONTRACT_URL" in os.environ:
        return [RELEASES[os.environ.get("SCICAT_CONTRACT_RELEASE", NEWEST_TAGGED.name)]]
    return [RELEASES[name] for name in ("4.27", "5.2.1", "master")]


def is_replayable(scenario: Scenario) -> bool:
    """Tell whether the chosen target has the release and the configuration of a scenario."""
    if "SCICAT_CONTRACT_URL" not in os.environ:
        return True
    if RELEASES[scenario.release] not in tested_releases():
        return False
    profile = os.environ.get("SCICAT_CONTRACT_PROFILE", "lab_default")
    jobs = os.environ.get("SCICAT_CONTRACT_JOBS", "lab")
    return (scenario.profile, scenario.jobs) == (profile, jobs)


@contextmanager
def target(
    profile: str = "lab_default", jobs: str = "lab", release: Release = NEWEST_TAGGED
) -> Iterator[Target]:
    """Give a SciCat with this configuration: the real one if the environment names it."""
    with ExitStack() as stack:
        client = stack.enter_context(
            httpx2.Client(timeout=60, trust_env=False, verify=local_http.authorities())
        )
        real = os.environ.get("SCICAT_CONTRACT_URL")
        if real is not None:
            yield Target(real.rstrip("/"), private=False, client=client)
            return
        catcher = stack.enter_context(catching())
        types = job_types(jobs, catcher.url)
        if release.name == "4.27":
            # That backend had also a type of job that visitors may create.
            types.append(JobType("public", create_auth="#datasetPublic", update_auth=()))
        stand_in = ScicatStandIn(
            release=release,
            groups=groups_of(profile, release),
            job_types=types,
            accounts=[*default_accounts(), *EACH_RIGHT],
        )
        url = stack.enter_context(stand_in.serve())
        yield Target(url, private=True, client=client, catcher=catcher, stand_in=stand_in)


def groups_of(profile: str, release: Release) -> AccessGroups:
    """Give the group settings that the transcripts were made with."""
    groups = EACH_RIGHT_GROUPS if profile == "each_right" else PROFILES[profile]
    if release.name == "4.27":
        # In that backend the users' own groups could create datasets, too.
        return replace(groups, create_dataset=groups.create_dataset | {"group1", "group2"})
    return groups


def job_types(jobs: str, catcher_url: str) -> list[JobType]:
    """Give the job configurations that the transcripts were made with."""
    action = archival_service(f"{catcher_url}/api/v1/jobs", "lab-archive-token")
    if jobs == "with_public":
        # In that backend nobody looked at what the target was sent.
        public = JobType("public", "#datasetPublic", validates_retrievable=False, update_auth=())
        return [JobType(update_auth=("archiveManager",)), public]
    if jobs == "recommended":
        return [JobType(update_auth=("archivemanager",))]
    if jobs == "update_actions":
        update = UrlAction(f"{catcher_url}/updated/{{id}}")
        return [JobType(update_action=update, status_codes=STATUS_CODES)]
    if jobs == "lab_without_actions":
        names = ("retrieve", "retrieve_ignore", "retrieve_down")
        return [*map(JobType, names), JobType("retrieve_recommended", update_auth=("archivemanager",))]
    return [
        JobType(create_action=action),
        JobType("retrieve_recommended", update_auth=("archivemanager",)),
        JobType("retrieve_ignore", create_action=replace(action, ignore_errors=True)),
        # Port 1 of the loopback interface is closed: connecting fails at once.
        JobType("retrieve_down", create_action=UrlAction("http://127.0.0.1:1/api/v1/jobs")),
    ]


@contextmanager
def catching() -> Iterator[Catcher]:
    """Run an archival service that keeps what it is sent."""
    catcher = Catcher("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            catcher.received.put(
                {"method": "POST", "path": self.path, "headers": headers, "json": json.loads(raw)}
            )
            body = json.dumps({"message": f"catcher answers {catcher.answers}"}).encode()
            self.send_response(catcher.answers)
            self.send_header("Content-Length", str(0 if catcher.answers == 204 else len(body)))
            self.end_headers()
            if catcher.answers != 204:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    catcher.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield catcher
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
