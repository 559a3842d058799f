"""What is made of payloads and failures that the seal let through, and of those that it did not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio import exceptions as engine
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    SerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError

from scicat_retriever.domain.backoff import Backoff, Polling
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.workflow.engine.sealed_values import FORGED, Forged, sealing_converter
from scicat_retriever.workflow.flows.declaration import ASK_LEDGER, FLOW_QUEUE, declare
from scicat_retriever.workflow.flows.tasks import DatasetOutcome
from scicat_retriever.workflow.steps.runner import Pace, StepRunner

FLOW = WorkflowSerializationContext("default", "retrieve-dataset-p")
STEP = ActivitySerializationContext(
    "default", "5", "plan_dataset", "q", "retrieve-dataset-p", None, is_local=False
)
OURS = sealing_converter(["k" * 32])
WORDS = "words of somebody else"


def decoded(payloads: list[Payload], about: SerializationContext = FLOW, *types: type) -> list[Any]:
    return asyncio.run(OURS.with_context(about).decode(payloads, list(types) or None))


def failed(error: BaseException, by: DataConverter, about: SerializationContext = STEP) -> Failure:
    failure = Failure()
    asyncio.run(by.with_context(about).encode_failure(error, failure))
    return failure


def read(failure: Failure, about: SerializationContext = STEP) -> BaseException:
    return asyncio.run(OURS.with_context(about).decode_failure(failure))


def test_values_come_out_as_they_went_in() -> None:
    value = DatasetOutcome(DatasetPid("p"))
    sealed = asyncio.run(OURS.with_context(FLOW).encode([value, "text"]))
    assert decoded(sealed, FLOW, DatasetOutcome, str) == [value, "text"]


def test_what_somebody_else_gave_a_step_is_no_value() -> None:
    (value,) = decoded(asyncio.run(DataConverter.default.encode([WORDS])), STEP, str)
    assert isinstance(value, Forged)


def test_a_step_with_an_argument_of_somebody_else_does_nothing() -> None:
    done = []

    class Steps:
        @declare("look", ASK_LEDGER)
        def look(self, word: object) -> None:
            done.append(word)

    (look,) = StepRunner(Pace(Backoff(1, 1), Polling(1, 1))).activities(FLOW_QUEUE, Steps())
    with pytest.raises(ApplicationError) as refused:
        look(Forged())
    assert refused.value.non_retryable
    assert done == []


def test_arguments_that_somebody_else_gave_a_flow_are_an_error_that_is_not_repeated() -> None:
    payloads = asyncio.run(DataConverter.default.encode([WORDS]))
    with pytest.raises(ApplicationError) as refused:
        decoded(payloads, FLOW, str)
    assert refused.value.non_retryable
    assert WORDS not in str(refused.value)


def test_what_a_step_is_said_to_remember_by_somebody_else_is_nothing() -> None:
    assert decoded(asyncio.run(DataConverter.default.encode(["archive", 99])), STEP) == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"encoding": b"json/external-storage-reference"},
        {"encoding": b"json/plain", "__temporal_external_storage_reference": b"true"},
        {"encoding": b"json/protobuf", "messageType": b"temporal.api.sdk.v1.ExternalStorageReference"},
    ],
)
def test_a_reference_to_a_payload_elsewhere_is_refused_like_all_else(metadata: dict[str, bytes]) -> None:
    with pytest.raises(ApplicationError, match="not sealed"):
        decoded([Payload(metadata=metadata, data=b"{}")], FLOW, str)


def test_a_failure_of_ours_comes_out_as_it_went_in_and_its_words_are_sealed() -> None:
    error = ApplicationError("why it failed", {"code": "x"}, type="x", non_retryable=True)
    failure = failed(error, OURS)
    assert b"why it failed" not in failure.SerializeToString()
    found = read(failure)
    assert isinstance(found, ApplicationError)
    assert (found.message, found.details, found.type) == ("why it failed", ({"code": "x"},), "x")


@pytest.mark.parametrize("details", [(), ({"code": WORDS},)])
def test_a_failure_told_by_somebody_else_says_nothing_of_what_he_said(details: tuple[object, ...]) -> None:
    cause = ApplicationError(WORDS, type=WORDS)
    error = ApplicationError(WORDS, *details, type=WORDS)
    error.__cause__ = cause
    found = read(failed(error, DataConverter.default))
    assert isinstance(found, ApplicationError)
    assert found.type == FORGED
    assert WORDS not in repr([found, found.details, found.__cause__, found.failure])


def test_a_failure_of_ours_with_details_of_somebody_else_is_his() -> None:
    failure = failed(ApplicationError("why", {"code": "x"}, type="x"), OURS)
    others = failed(ApplicationError("", {"code": WORDS}), DataConverter.default)
    failure.application_failure_info.details.CopyFrom(others.application_failure_info.details)
    found = read(failure)
    assert isinstance(found, ApplicationError)
    assert found.type == FORGED


def test_a_failure_of_another_step_is_not_believed() -> None:
    other = ActivitySerializationContext(
        "default", "5", "open_job", "q", "retrieve-job-j", None, is_local=False
    )
    found = read(failed(ApplicationError("why", type="x"), OURS, other))
    assert isinstance(found, ApplicationError)
    assert found.type == FORGED


def test_the_engines_own_failures_are_believed_without_a_seal() -> None:
    late = engine.TimeoutError(
        "activity timeout", type=engine.TimeoutType.START_TO_CLOSE, last_heartbeat_details=[]
    )
    found = read(failed(late, DataConverter.default))
    assert isinstance(found, engine.TimeoutError)
    assert found.type is engine.TimeoutType.START_TO_CLOSE


def test_without_any_key_everybody_is_believed_which_is_for_tests_alone() -> None:
    assert sealing_converter(()) is DataConverter.default
