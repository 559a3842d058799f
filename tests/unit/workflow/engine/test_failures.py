from datetime import timedelta

import pytest
from temporalio import exceptions as engine
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ApplicationErrorCategory,
    CancelledError,
    RetryState,
    TimeoutType,
)

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import RetrieverError, concrete_errors
from scicat_retriever.workflow.engine.failures import INTERNAL_ATTEMPTS, engine_error, failure_of, first_of

PAUSE = timedelta(seconds=3)
WAITS = {errors.NoSpaceYet: errors.SpaceTimedOut}


def failed_step(cause: BaseException) -> ActivityError:
    """A step's failure as a flow sees it."""
    error = ActivityError(
        "Activity task failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="a worker",
        activity_type="copy_datablock",
        activity_id="1",
        retry_state=RetryState.TIMEOUT,
    )
    error.__cause__ = cause
    return error


def over_the_wire(error: ApplicationError) -> BaseException:
    """The error as the engine hands it to a flow."""
    converter = DataConverter.default
    wire = Failure()
    converter.failure_converter.to_failure(error, converter.payload_converter, wire)
    return converter.failure_converter.from_failure(wire, converter.payload_converter)


@pytest.mark.parametrize("kind", sorted(set(concrete_errors()) - set(WAITS), key=str))
def test_each_error_comes_out_of_the_engine_as_it_went_in(kind: type[RetrieverError]) -> None:
    error = kind("what happened")
    told = engine_error(error, attempt=1, give_up=False, pause=PAUSE)
    assert failure_of(failed_step(over_the_wire(told))) == error.failure()


@pytest.mark.parametrize("kind", [errors.NoSpaceYet, errors.NotYetOnline, errors.WorkerStopping])
def test_what_is_waited_for_in_each_service_is_no_warning_until_it_is_given_up(
    kind: type[RetrieverError],
) -> None:
    waits = engine_error(kind("x"), attempt=1, give_up=False, pause=PAUSE)
    ended = engine_error(kind("x"), attempt=1, give_up=True, pause=PAUSE)
    assert waits.category is ApplicationErrorCategory.BENIGN
    assert ended.category is ApplicationErrorCategory.UNSPECIFIED


def test_a_store_that_is_away_stays_a_warning() -> None:
    told = engine_error(errors.StoreUnavailable("x"), attempt=1, give_up=False, pause=PAUSE)
    assert told.category is ApplicationErrorCategory.UNSPECIFIED


@pytest.mark.parametrize("kind", sorted(set(concrete_errors()) - {errors.InternalError}, key=str), ids=str)
def test_an_error_is_repeated_if_its_class_says_so_and_nobody_gives_up(kind: type[RetrieverError]) -> None:
    told = engine_error(kind("x"), attempt=1, give_up=False, pause=PAUSE)
    assert told.non_retryable is not kind.retryable
    assert (told.type, told.next_retry_delay) == (kind.code, PAUSE)
    assert engine_error(kind("x"), attempt=1, give_up=True, pause=PAUSE).non_retryable


@pytest.mark.parametrize(("wait", "late"), WAITS.items())
def test_a_wait_that_took_too_long_has_a_code_of_its_own(
    wait: type[RetrieverError], late: type[RetrieverError]
) -> None:
    failure = failure_of(
        failed_step(engine_error(wait("waiting for 5 bytes"), attempt=1, give_up=False, pause=PAUSE)), "a.tar"
    )
    assert failure == late("gave up: waiting for 5 bytes").failure("a.tar")


def test_a_failure_keeps_the_datablock_that_it_names_and_gets_one_otherwise() -> None:
    told = engine_error(errors.ReadFailed("x"), attempt=1, give_up=False, pause=PAUSE)
    assert failure_of(told).archive_id is None
    assert failure_of(told, "a.tar").archive_id == "a.tar"
    named = engine_error(errors.ReadFailed("x"), attempt=1, give_up=False, pause=PAUSE, archive_id="b.tar")
    assert failure_of(named, "a.tar").archive_id == "b.tar"


def test_a_long_message_is_short_on_the_wire() -> None:
    told = engine_error(errors.ReadFailed("x" * 1_500_000), attempt=1, give_up=False, pause=PAUSE)
    converter = DataConverter.default
    wire = Failure()
    converter.failure_converter.to_failure(told, converter.payload_converter, wire)
    assert wire.ByteSize() < 10_000


@pytest.mark.parametrize(("count", "more"), [(19, 0), (20, 0), (21, 1), (50, 30)])
def test_of_many_failures_the_first_are_told_and_the_others_counted(count: int, more: int) -> None:
    failures = [errors.MemberMissing(f"no {number}").failure(f"{number}.tar") for number in range(count)]
    told = first_of(failures)
    assert [each.archive_id for each in told] == [each.archive_id for each in failures[:20]]
    assert told[-1].message == f"no {len(told) - 1}" + (
        f" (and {more} more datablocks failed)" if more else ""
    )


def test_a_step_that_was_not_done_in_time_names_the_datablock() -> None:
    late = engine.TimeoutError("too late", type=TimeoutType.START_TO_CLOSE, last_heartbeat_details=[])
    failure = failure_of(failed_step(late), "a.tar")
    assert failure == errors.TransferTimedOut("a.tar was not done within the time allowed").failure("a.tar")


@pytest.mark.parametrize("cancelled", [CancelledError("x"), failed_step(CancelledError("x"))])
def test_a_cancelled_step_is_a_cancelled_job(cancelled: BaseException) -> None:
    assert failure_of(cancelled).code == errors.JobCancelled.code


@pytest.mark.parametrize(
    "odd", [ValueError("odd"), ApplicationError("odd"), ApplicationError("odd", type="x")]
)
def test_anything_else_is_a_fault_of_the_service(odd: BaseException) -> None:
    failure = failure_of(odd, "a.tar")
    assert (failure.code, failure.archive_id) == ("internal_error", "a.tar")
    assert "odd" in failure.message


def test_a_fault_of_our_own_is_repeated_a_few_times_in_case_it_was_an_accident() -> None:
    told = [
        engine_error(errors.InternalError("x"), attempt=attempt, give_up=False, pause=PAUSE).non_retryable
        for attempt in (1, INTERNAL_ATTEMPTS - 1, INTERNAL_ATTEMPTS)
    ]
    assert told == [False, False, True]
