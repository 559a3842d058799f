"""The API is what its own OpenAPI document says, for whatever is sent (schemathesis)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy, integers, sampled_from
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from scicat_retriever.domain.dataset import RetrieveJob, Selection
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.http_api.app import create_app
from scicat_retriever.http_api.auth import TokenGuard
from scicat_retriever.http_api.service import Service
from scicat_retriever.http_api.tokens import Scope, Token
from scicat_retriever.ledger.sql import open_ledger
from scicat_retriever.pipeline.delivery.signature import PUBLIC_KEY_PATH, ListSigner
from scicat_retriever.pipeline.jobs import intake, plan
from scicat_retriever.pipeline.recalls import recall
from scicat_retriever.pipeline.staging import space
from scicat_retriever.pipeline.staging.fixity_pace import FixityPace
from scicat_retriever.pipeline.tools.links import RETRIEVALS_PATH
from scicat_retriever.pipeline.transfer import copy as transfer
from scicat_retriever.pipeline.transfer import publish
from scicat_retriever.ports.ledger import Ledger
from stand_ins.scicat.server import serve_in_thread
from tests.examples import examples
from tests.unit.pipeline.rig import CACHE, LIFETIME, RETENTION, HandClock, Rig

TOKEN = "token-of-the-tests-1"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
KNOWN = JobId("a-job-that-is-there")
STAGED, PINNED = DatasetPid("20.500.12345/staged"), DatasetPid("20.500.12345/pinned")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
    unsupported_method,
]
Case = schemathesis.Case[Any]
Operation = APIOperation[Any, Any, Any, Any]
bounded = settings(
    max_examples=examples(20, deep=600),
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def stage(pid: DatasetPid, rig: Rig, ledger: Ledger) -> None:
    tools = replace(rig.tools, ledger=ledger)
    rig.catalogue.add_dataset(pid, (rig.archive(pid=pid),))
    plan.plan_dataset(pid, "run-1", tools)
    space.claim_dataset(pid, tools)
    for record in ledger.datablocks.of(pid):
        recalled = recall.recall(record, tools)
        transfer.copy(recalled, record, tools, progress=lambda _: None, cancelled=lambda: False)
        [copied] = ledger.datablocks.of(pid)
        publish.verify_and_stage(copied, tools)


async def check_nothing() -> None:
    """Stands in for an engine that takes every wish."""


@pytest.fixture(scope="module")
def api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A served application on a SQLite ledger with a job and two staged datasets in it, one of them pinned."""
    clock = HandClock()
    ledger = open_ledger(f"sqlite:///{tmp_path_factory.mktemp('api') / 'ledger.sqlite'}", clock)
    intake.accept(RetrieveJob(KNOWN, "retrieve", (Selection(DatasetPid("20.500.12345/p")),)), ledger.jobs)
    rig = Rig(clock)
    for pid in (STAGED, PINNED):
        stage(pid, rig, ledger)
    ledger.pins.pin(PINNED, "beamline 9", clock() + LIFETIME)
    ledger.findings.note("staging", {"staged": 2, "advice": ""})
    service = Service(
        ledger=ledger,
        staging=rig.staging,
        links=rig.links,
        signer=ListSigner("a key of the tests that signs manifests"),
        guard=TokenGuard([Token("tests", TOKEN, {Scope.OPERATE})], clock),
        job_types=("retrieve",),
        stores=("lts",),
        max_body_bytes=100_000,
        clock=clock,
        wake=lambda: None,
        cache=CACHE,
        lifetime=LIFETIME,
        margin=RETENTION - LIFETIME,
        fixity_pace=FixityPace(),
        sweep_interval=LIFETIME,
        check_staging=check_nothing,
        engine_trouble=lambda: {"engine": None, "worker": None},
    )
    with serve_in_thread(create_app(service)) as url:
        yield url
    ledger.close()


DOCUMENT = schemathesis.openapi.from_dict(create_app(None).openapi())
OPERATIONS = [found.ok() for found in DOCUMENT.get_all_operations() if isinstance(found, Ok)]
ABOUT_A_JOB = [each for each in OPERATIONS if "{job_id}" in each.path]
ABOUT_STAGING = [each for each in OPERATIONS if "/staging" in each.path and each.method == "post"]
ABOUT_A_RETRIEVAL = [each for each in OPERATIONS if each.path.startswith(f"{RETRIEVALS_PATH}/")]
OPEN = (
    "/api/v1/health",
    "/api/v1/ready",
    "/api/v1/downloads/",
    f"{RETRIEVALS_PATH}/",
    PUBLIC_KEY_PATH,
)
CLOSED = [each for each in OPERATIONS if not each.path.startswith(OPEN)]


def for_each(operations: list[Operation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operation", operations, ids=lambda each: each.label)


def good_and_bad(operation: Operation) -> SearchStrategy[Case]:
    """Requests that the document allows, and others."""

    def with_sound_headers(case: Case) -> Case:
        case.headers.clear()  # what is no HTTP is refused before the application sees it
        return case

    bad = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    return operation.as_strategy() | bad.map(with_sound_headers)


def test_the_document_names_operations_of_each_kind() -> None:
    assert len(OPERATIONS) > len(CLOSED) > len(ABOUT_STAGING) + len(ABOUT_A_JOB)
    assert min(len(ABOUT_STAGING), len(ABOUT_A_JOB)) > 0


@for_each(OPERATIONS)
def test_every_answer_is_one_that_the_document_tells_of(api_url: str, operation: Operation) -> None:
    @bounded
    @given(good_and_bad(operation))
    def holds(case: Case) -> None:
        case.call_and_validate(base_url=api_url, headers=AUTHORIZED, checks=CHECKS)

    holds()


@for_each(ABOUT_A_JOB)
def test_so_is_every_answer_about_a_job_that_is_there(api_url: str, operation: Operation) -> None:
    @bounded
    @given(good_and_bad(operation))
    def holds(case: Case) -> None:
        case.path_parameters["job_id"] = KNOWN
        case.call_and_validate(base_url=api_url, headers=AUTHORIZED, checks=CHECKS)

    holds()


@for_each(ABOUT_A_RETRIEVAL)
def test_so_is_every_answer_to_a_good_link(api_url: str, operation: Operation) -> None:
    ticket = unquote(Rig().links.retrieval(KNOWN, 0).rpartition("/")[2])

    @bounded
    @given(good_and_bad(operation), integers(1, 2))
    def holds(case: Case, number: int) -> None:
        case.path_parameters["ticket"] = ticket
        if "number" in case.path_parameters:
            case.path_parameters["number"] = number
        case.headers.pop("Accept", None)
        case.call_and_validate(base_url=api_url, checks=CHECKS, allow_redirects=False)

    holds()


@for_each(ABOUT_STAGING)
def test_so_is_every_answer_about_what_is_staged(api_url: str, operation: Operation) -> None:
    @bounded
    @given(good_and_bad(operation), sampled_from([STAGED, PINNED]))
    def holds(case: Case, pid: DatasetPid) -> None:
        if isinstance(case.body, dict):
            case.body["dataset"] = pid
        case.call_and_validate(base_url=api_url, headers=AUTHORIZED, checks=CHECKS)

    holds()


@for_each(CLOSED)
def test_without_a_valid_token_everything_is_refused(api_url: str, operation: Operation) -> None:
    @bounded
    @given(operation.as_strategy())
    def holds(case: Case) -> None:
        wrong = {"Authorization": "Bearer another-token-altogether"}
        assert case.call(base_url=api_url, headers=wrong).status_code == 401

    holds()
