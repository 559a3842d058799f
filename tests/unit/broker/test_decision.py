import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.broker.decision import (
    Accepted,
    Ignored,
    Irrelevant,
    MessageDecision,
    Parked,
    Refused,
    decide,
)
from scicat_retriever.catalogue.wire import judge
from scicat_retriever.domain.dataset import Selection
from scicat_retriever.domain.ids import DatasetPid

PID = "20.500.12345/abc"
LIMIT = 4096
UPDATES = ("inProgress", "finishedSuccessful", "finishedWithDatasetErrors", "finishedUnsuccessful")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def v4(**fields: object) -> dict[str, Any]:
    """A job as SciCat's rabbitmq action publishes it."""
    return {
        "id": "job-1",
        "type": "retrieve",
        "statusCode": "jobSubmitted",
        "statusMessage": "Job submitted.",
        "ownerUser": "kim",
        "jobParams": {"datasetList": [{"pid": PID, "files": []}]},
        "jobResultObject": {},
        **fields,
    }


def v3(**fields: object) -> dict[str, Any]:
    return {
        "id": "job-1",
        "type": "retrieve",
        "jobStatusMessage": "jobSubmitted",
        "datasetList": [{"pid": PID, "files": []}],
        **fields,
    }


def decided(message: object, limit: int = LIMIT) -> MessageDecision:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return decide(body, partial(judge, accepted_types=("retrieve",), longest=limit))


@pytest.mark.parametrize("message", [v4(), v3()], ids=["v4", "v3"])
def test_a_job_is_accepted_with_its_datasets(message: dict[str, Any]) -> None:
    decision = decided(message)
    assert isinstance(decision, Accepted)
    assert (decision.job.id, decision.job.datasets) == ("job-1", (Selection(DatasetPid(PID)),))


def test_a_job_of_the_short_form_is_accepted() -> None:
    decision = decided({"id": "job-1", "type": "retrieve"})
    assert isinstance(decision, Accepted)
    assert decision.job.datasets == ()


@pytest.mark.parametrize("word", ["jobCreated", "jobForwarded", "whatever the facility says", ""])
def test_a_job_whose_first_status_is_another_word_is_accepted(word: str) -> None:
    assert isinstance(decided(v4(statusCode=word)), Accepted)


@pytest.mark.parametrize("word", UPDATES)
@pytest.mark.parametrize("shape", [partial(v4, statusCode=None), v3], ids=["v4", "v3"])
def test_an_update_of_the_service_itself_is_ignored(shape: Any, word: str) -> None:
    key = "jobStatusMessage" if shape is v3 else "statusCode"
    assert decided(shape(**{key: word})) == Ignored(Irrelevant.UPDATE)


def test_a_job_of_another_type_is_ignored() -> None:
    assert decided(v4(type="archive")) == Ignored(Irrelevant.OTHER_TYPE)


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        (b"", "job_malformed", "not JSON"),
        (b"\xff\xfe\x00", "job_malformed", "not JSON"),
        (b'{"id": "job-1"', "job_malformed", "not JSON"),
        (b"[" * 4000, "job_malformed", "not JSON"),
        (b'["job-1"]', "job_malformed", "no JSON object"),
        ({"type": "retrieve"}, "job_malformed", "id must be"),
        (v4(type=None), "job_malformed", "type must be"),
    ],
)
def test_a_message_that_is_no_job_is_parked_with_its_reason(message: object, code: str, words: str) -> None:
    decision = decided(message)
    assert isinstance(decision, Parked)
    assert decision.failure.code == code
    assert words in decision.failure.message


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        (v4(jobParams={"datasetList": []}), "dataset_list_empty", "names no dataset"),
        (v4(jobParams={"datasetList": [{"files": []}]}), "job_malformed", "datasetList[0].pid must"),
        (v3(datasetList=[{"pid": "a\tb"}]), "job_malformed", "datasetList[0].pid must"),
    ],
)
def test_a_job_that_can_never_be_carried_out_is_refused_by_name(
    message: object, code: str, words: str
) -> None:
    decision = decided(message)
    assert isinstance(decision, Refused)
    assert (decision.job.id, decision.job.datasets, decision.why.code) == ("job-1", (), code)
    assert words in str(decision.why)


def test_a_message_of_just_the_limit_is_accepted_and_one_byte_more_is_parked() -> None:
    body = json.dumps(v4()).encode()
    assert isinstance(decided(body, len(body)), Accepted)
    decision = decided(body, len(body) - 1)
    assert isinstance(decision, Parked)
    assert decision.failure.code == "job_too_large"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_decision(body: bytes) -> None:
    assert isinstance(decided(body), Accepted | Refused | Ignored | Parked)


@given(st.dictionaries(st.sampled_from([*v4(), *v3(), "_id"]), JSON))
def test_whatever_is_accepted_is_a_job_that_is_not_under_way(fields: dict[str, Any]) -> None:
    message = v4(**fields)
    decision = decided(json.dumps(message).encode(), 10**6)
    if isinstance(decision, Accepted):
        assert decision.job.type == "retrieve"
        assert message["statusCode"] not in [*UPDATES]
        assert decision.job.id in [message["id"], message.get("_id")]


@given(st.sampled_from(UPDATES), st.dictionaries(st.text(), JSON))
def test_an_update_is_never_stored_or_parked_whatever_else_it_holds(
    word: str, fields: dict[str, Any]
) -> None:
    assert decided(json.dumps(fields | v4(statusCode=word)).encode(), 10**6) == Ignored(Irrelevant.UPDATE)
