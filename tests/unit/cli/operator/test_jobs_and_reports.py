"""`retriever jobs`, `retriever reports`, and what all commands share."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.ids import JobId
from scicat_retriever.domain.states import JobState, LifecycleWord
from scicat_retriever.http_api.settings import ApiSettings
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.settings import Settings
from tests.unit.cli.operator.rig import SETTINGS, Operator
from tests.unit.http_api.rig import INTAKE_TOKEN, OLD_TOKEN, TOKEN, ApiRig
from tests.unit.pipeline.rig import JOB, PID

COMMANDS = [
    ("jobs", "show", JOB),
    ("jobs", "cancel", JOB),
    ("jobs", "retry", JOB),
    ("jobs", "priority", JOB, "1"),
    ("links", "show", JOB),
    ("links", "revoke", JOB),
    ("recalls", "ls"),
    ("reports", "list"),
    ("reports", "retry"),
    ("reports", "drop", "1", "--reason", "x"),
    ("staging", "ls"),
    ("staging", "usage"),
    ("staging", "pins"),
    ("staging", "pin", PID, "--owner", "x", "--for", "1d"),
    ("staging", "release", "--owner", "x"),
    ("staging", "evict", PID),
    ("staging", "check"),
]


def test_a_job_is_shown_with_how_long_it_keeps_its_datasets(operator: Operator, api: ApiRig) -> None:
    api.retrieved(PID)
    printed = operator.gets("jobs", "show", JOB)
    assert f"job {JOB}: finishedSuccessful (attempt 1, priority 0)" in printed
    assert "2026-03-09 12:00" in printed


def test_a_job_is_cancelled_by_whom_the_command_says(operator: Operator, api: ApiRig) -> None:
    api.job(PID)
    assert "cancelled by Ada Lovelace" in operator.gets("jobs", "cancel", JOB, "--by", "Ada Lovelace")
    record = api.ledger.jobs.get(JOB)
    assert record is not None
    assert record.cancelled_by == "Ada Lovelace"


def test_the_datasets_to_retry_are_sent(operator: Operator) -> None:
    operator.fails("jobs", "retry", "a?b", "--dataset", "p", "--dataset", "q", code=1)
    [request] = operator.requests
    assert request.url.raw_path == b"/api/v1/jobs/a%3Fb/retry"
    assert json.loads(request.content) == {"datasets": ["p", "q"]}


def test_reports_are_listed_and_tried_again(operator: Operator, api: ApiRig) -> None:
    api.ledger.reports.tell_dataset(PID, LifecycleUpdate(LifecycleWord.STARTED))
    api.ledger.reports.park(1, errors.CatalogueRefused("SciCat says no").failure())
    printed = operator.gets("reports", "list")
    assert f"dataset {PID}" in printed
    assert "SciCat says no" in printed
    assert "0 waiting, 1 parked" in printed
    assert operator.gets("reports", "retry", "--dataset", PID) == "1 parked reports are tried again\n"


def test_reports_that_can_never_be_told_are_told_apart_and_dropped_with_a_reason(
    operator: Operator, api: ApiRig
) -> None:
    for number, error in enumerate((errors.DatasetUnknown("gone"), errors.CatalogueRefused("no")), 1):
        api.ledger.reports.tell_dataset(PID, LifecycleUpdate(LifecycleWord.STARTED))
        api.ledger.reports.park(number, error.failure())
    printed = operator.gets("reports", "list")
    assert "undeliverable" in printed
    assert "0 waiting, 2 parked, 1 of these for ever" in printed
    said = operator.gets("reports", "drop", "1", "2", "--reason", "deleted by the owner", "--by", "ada")
    assert said.splitlines() == [
        f"{number} is dropped: SciCat will not be told of dataset {PID}" for number in (1, 2)
    ]
    assert "0 waiting, 0 parked" in operator.gets("reports", "list")
    assert "ada: deleted by the owner; gone" in operator.gets("reports", "list", "--dropped")
    operator.fails("reports", "drop", "1", "--reason", "again", code=1)


def test_of_a_job_that_can_never_be_told_its_status_says_so(operator: Operator, api: ApiRig) -> None:
    api.job(PID)
    api.ledger.reports.park(1, errors.CatalogueJobUnclosable("a dataset of it was deleted").failure())
    printed = operator.gets("jobs", "show", JOB)
    assert "SciCat can never be told: undeliverable: a dataset of it was deleted" in printed


def test_of_a_job_whose_report_was_dropped_its_status_says_so(operator: Operator, api: ApiRig) -> None:
    api.job(PID)
    api.ledger.reports.park(1, errors.CatalogueRefused("SciCat has no such job").failure())
    operator.gets("reports", "drop", "1", "--reason", "deleted", "--by", "ada")
    printed = operator.gets("jobs", "show", JOB)
    assert "telling SciCat was given up: dropped: " in printed
    assert "can never be told" not in printed


@pytest.mark.parametrize("command", ["show", "cancel", "retry"])
@pytest.mark.parametrize("job", ["", "a/b"])
def test_a_job_that_no_path_can_name_is_not_known(operator: Operator, command: str, job: str) -> None:
    assert "no such job" in operator.fails("jobs", command, job, code=1)


def test_a_retry_of_a_dataset_that_is_not_the_job_s_names_it(operator: Operator, api: ApiRig) -> None:
    api.job(PID)
    api.ledger.jobs.move(JobId(JOB), JobState.IN_PROGRESS)
    api.ledger.jobs.move(JobId(JOB), JobState.UNSUCCESSFUL)
    said = operator.fails("jobs", "retry", JOB, "--dataset", "not-its", code=1)
    assert "has no dataset not-its" in said


def test_what_a_terminal_would_obey_is_shown_and_not_obeyed(operator: Operator, api: ApiRig) -> None:
    api.ledger.reports.tell_dataset(PID, LifecycleUpdate(LifecycleWord.STARTED))
    api.ledger.reports.park(1, errors.CatalogueRefused("\x1b[2J[/red][bold]x :smile:").failure())
    printed = operator.gets("reports", "list")
    assert "\ufffd[2J[/red][bold]x :smile:" in printed


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_says_when_the_api_does_not_answer(words: tuple[str, ...]) -> None:
    def away(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    said = Operator(away).fails(*words, code=1)
    assert said == "retriever: the API at http://127.0.0.1:9 does not answer (ConnectError)"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_takes_its_settings_from_the_file_that_the_environment_names(
    words: tuple[str, ...],
) -> None:
    operator = Operator(lambda _: httpx2.Response(409, json={"detail": "for a reason"}))
    operator.types(*words, RETRIEVER_CONFIG="/etc/retriever.toml")
    operator.types(*words, "--config", "/mine.toml", RETRIEVER_CONFIG="/etc/retriever.toml")
    assert operator.configs == [Path("/etc/retriever.toml"), Path("/mine.toml")]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_says_why_the_api_says_no(words: tuple[str, ...]) -> None:
    operator = Operator(lambda _: httpx2.Response(409, json={"detail": "for a reason"}))
    assert operator.fails(*words, code=1) == "retriever: for a reason"
    assert operator.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (httpx2.Response(502, text="<html>"), "the API answers 502"),
        (httpx2.Response(500, json=["x"]), "the API answers 500"),
        (httpx2.Response(200, text="<html>"), "what answers at http://127.0.0.1:9 is not this service's API"),
    ],
)
def test_an_answer_of_something_else_is_said(answer: httpx2.Response, why: str) -> None:
    said = Operator(lambda _: answer).fails("staging", "usage", code=1)
    assert said == f"retriever: {why}"
    assert TOKEN not in said


def with_tokens(*tokens: dict[str, object], old: tuple[str, ...] = ()) -> Settings:
    api: dict[str, object] = {"tokens": old, "port": 9}
    if tokens:
        api["token"] = tokens
    return SETTINGS.model_copy(update={"api": ApiSettings(**api)})


def test_commands_send_the_token_that_may_operate(api: ApiRig) -> None:
    api.job(PID)
    settings = with_tokens(
        {"name": "scicat", "token": INTAKE_TOKEN, "scope": ["intake"]},
        {"name": "operator", "token": TOKEN, "scope": ["operate"]},
    )
    assert "cancelled by Ada" in Operator(api.client(), settings).gets("jobs", "cancel", JOB, "--by", "Ada")


def test_with_the_old_list_alone_a_job_is_shown_and_cancelling_says_what_to_write(api: ApiRig) -> None:
    api.job(PID)
    operator = Operator(api.client(), with_tokens(old=(OLD_TOKEN,)))
    assert JOB in operator.gets("jobs", "show", JOB)
    said = operator.fails("jobs", "cancel", JOB, code=1)
    assert "needs a token of scope operate" in said
    assert "write an [[api.token]] with that scope in the settings" in said


def test_whose_command_is_refused_is_told_which_token_was_sent_and_which_has_expired(api: ApiRig) -> None:
    api.job(PID)
    settings = with_tokens(
        {"name": "scicat", "token": INTAKE_TOKEN, "scope": ["intake"]},
        {"name": "operator", "token": TOKEN, "scope": ["operate"], "expires": "2020-01-01T00:00:00Z"},
    )
    said = Operator(api.client(), settings).fails("jobs", "cancel", JOB, "--config", "their.toml", code=1)
    assert (
        "Sent was token 'scicat' of their.toml (expired: 'operator'); use the settings of the running service"
        in said
    )
    unknown = with_tokens({"name": "other", "token": "a-token-of-another-service", "scope": ["operate"]})
    said = Operator(api.client(), unknown).fails("jobs", "show", JOB, code=1)
    assert "Sent was token 'other' of retriever.toml; use the settings of the running service" in said


def test_a_command_whose_tokens_have_all_expired_says_so(api: ApiRig) -> None:
    settings = with_tokens(
        {"name": "a", "token": TOKEN, "scope": ["operate"], "expires": "2020-01-01T00:00:00Z"}
    )
    operator = Operator(api.client(), settings)
    assert "every token of the settings has expired" in operator.fails("jobs", "show", JOB, code=1)
    assert not operator.requests


def test_the_link_of_a_job_is_shown_and_revoked(operator: Operator, api: ApiRig) -> None:
    api.retrieved(PID)
    old = operator.gets("links", "show", JOB).strip()
    assert old == api.links.retrieval(JOB, 0)
    told = operator.gets("links", "revoke", JOB)
    assert api.links.retrieval(JOB, 1) in told
    assert operator.gets("links", "show", JOB).strip() == api.links.retrieval(JOB, 1)
    assert json.loads(operator.gets("links", "show", JOB, "--json")) == {
        "url": api.links.retrieval(JOB, 1),
        "id": api.links.ticket(api.links.retrieval(JOB, 1).rpartition("/")[2]).id,
        "revoked": 1,
    }
