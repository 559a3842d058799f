"""The flow of a job, alone: its datasets are answered for as a test says."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs
from temporalio.client import Client

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import Actor, RetrieverError
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.workflow.flows.retrieve_job import CHECK_SECONDS, WINDOW
from scicat_retriever.workflow.flows.tasks import DatasetTask, Page
from tests.flows.fake_steps import PID, Lost, Q
from tests.flows.rig import DAY, HOUR, Engine, Rig

ALL = [
    "report_job_started",
    "open_job",
    "claim_job",
    "datasets_to_retrieve",
    "subscribe",
    "note_outcome",
    "close_job",
]
EACH_WHO = [
    errors.JobNotFound("nobody knows it"),
    errors.CatalogueRefused("400"),
    errors.SpaceGivenBack("others wait"),
    errors.ChecksumMismatch("'a' differs"),
]


def test_the_errors_are_of_each_who() -> None:
    assert {error.failure().who for error in EACH_WHO} == set(Actor)


def test_a_job_takes_each_step_once_and_in_order(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        assert await (await rig.job()).result() == "closed"
        assert rig.steps.names() == ALL

    engine.play(play)


def test_a_failed_dataset_is_noted_and_does_not_fail_the_step_of_the_job(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        why = errors.ChecksumMismatch("'a' differs").failure("a.tar")
        rig.steps.datasets, rig.answers.failures = [PID, Q], {Q: (why,)}
        assert await (await rig.job()).result() == "closed"
        assert {each.pid: each.failures for each in rig.steps.outcomes} == {PID: (), Q: (why,)}

    engine.play(play)


@pytest.mark.parametrize("step", [each for each in ALL if each not in {"note_outcome", "close_job"}])
@pytest.mark.parametrize("error", EACH_WHO, ids=lambda error: error.code)
def test_an_error_that_does_not_pass_closes_the_job_with_it_at_once(
    engine: Engine, step: str, error: RetrieverError
) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.always_fail(step, error)
        assert await (await rig.job()).result() == error.code
        assert rig.steps.closed == [error.failure()]
        assert len(rig.steps.of(step)) == 1
        before, after = ALL[: ALL.index(step) + 1], rig.steps.names()
        assert after[: len(before)] == before
        assert set(after[len(before) :]) <= {"unsubscribe", "close_job"}

    engine.play(play)


@pytest.mark.parametrize(
    "error",
    [
        errors.CatalogueUnavailable("503"),
        errors.LedgerUnavailable("locked"),
        errors.EngineUnavailable("away"),
        errors.WorkerStopping("stops"),
    ],
    ids=lambda error: error.code,
)
def test_an_error_that_passes_costs_time_alone(engine: Engine, error: RetrieverError) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        for step in ALL:
            rig.steps.fail(step, error, error)
        assert await (await rig.job()).result() == "closed"
        assert rig.steps.names() == [each for each in ALL for _ in range(3)]
        assert rig.steps.closed == [None]

    engine.play(play)


def test_a_fault_of_our_own_is_tried_five_times(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.always_fail("open_job", KeyError("a fault"))
        with capture_logs() as said:
            assert await (await rig.job()).result() == "internal_error"
        assert [each["event"] for each in said].count("a step failed by a fault of the service") == 5
        assert [each.attempt for each in rig.steps.of("open_job")] == [1, 2, 3, 4, 5]
        (closed,) = rig.steps.closed
        assert closed is not None
        assert (closed.who, closed.message) == (Actor.OPERATOR, "open_job: KeyError: 'a fault'")

    engine.play(play)


def test_a_missing_right_is_believed_at_the_fourth_attempt(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.always_fail("open_job", errors.CatalogueForbidden("403"))
        assert await (await rig.job()).result() == "catalogue_forbidden"
        assert len(rig.steps.of("open_job")) == 4

    engine.play(play)


def test_scicat_is_asked_until_the_patience_for_it_is_over(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.always_fail("open_job", errors.CatalogueUnavailable("503"))
        flow = await rig.job()
        assert await flow.result() == "catalogue_unavailable"
        assert rig.limits.catalogue_timeout / 2 <= await rig.lasted(flow) * HOUR
        assert await rig.lasted(flow) * HOUR <= rig.limits.catalogue_timeout + 60
        asked = [each.at for each in rig.steps.of("open_job")]
        assert max(after - before for before, after in itertools.pairwise(asked)) <= timedelta(hours=1.5)

    engine.play(play)


def test_a_job_that_scicat_cannot_be_told_of_waits_for_days(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        away = [errors.CatalogueUnavailable("503")] * 70
        rig.steps.fail("report_job_started", *away)
        flow = await rig.job()
        assert await flow.result() == "closed"
        assert await rig.lasted(flow) > 48

    engine.play(play)


def test_a_job_waits_in_line_for_a_day_and_goes_on(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.fail("claim_job", *[errors.NoSpaceYet("2nd in the line")] * 24)
        flow = await rig.job()
        assert await flow.result() == "closed"
        assert 18 < await rig.lasted(flow) <= 30

    engine.play(play)


def test_a_job_that_waited_in_line_for_too_long_says_what_it_waited_for(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.always_fail("claim_job", errors.NoSpaceYet("2nd in the line"))
        flow = await rig.job()
        assert await flow.result() == "space_timed_out"
        assert rig.steps.closed == [errors.SpaceTimedOut("gave up: 2nd in the line").failure()]
        assert 46 <= await rig.lasted(flow) <= 48.1

    engine.play(play)


def test_a_dataset_whose_flow_is_silent_is_asked_for_again_twice_a_day(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.answers.silent.add(PID)
        flow = await rig.job()
        await rig.until(lambda: len(rig.answers.waiting) == 1)
        await rig.env.sleep(1.1 * DAY)
        assert len(rig.steps.of("subscribe")) == 3
        await rig.tell(flow, PID)
        assert await flow.result() == "closed"
        asked = [each.at for each in rig.steps.of("subscribe")]
        assert asked[1] - asked[0] >= timedelta(seconds=CHECK_SECONDS)

    engine.play(play)


def test_a_job_ends_at_its_deadline_and_lets_its_datasets_go(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.datasets = [PID, Q]
        rig.answers.silent = {PID, Q}
        flow = await rig.job()
        assert await flow.result() == "job_deadline_passed"
        (closed,) = rig.steps.closed
        assert closed is not None
        assert closed.code == "job_deadline_passed"
        assert [each.given[1] for each in rig.steps.of("unsubscribe")] == [PID, Q]
        assert 30 * 24 <= await rig.lasted(flow) <= 30 * 24 + 1

    engine.play(play)


def test_a_job_that_goes_on_keeps_its_deadline(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.answers.silent = {PID}
        deadline = (await rig.now()).timestamp() + HOUR
        flow = await rig.job(deadline=deadline, opened=True, datasets=1)
        assert await flow.result() == "job_deadline_passed"
        assert 0.9 <= await rig.lasted(flow) <= 1.1

    engine.play(play)


def test_a_job_that_goes_on_with_a_fresh_history_does_not_begin_anew(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.datasets = [PID, Q]
        assert await (await rig.job(opened=True, after=1, datasets=2)).result() == "closed"
        assert rig.steps.names() == ["datasets_to_retrieve", "subscribe", "note_outcome", "close_job"]
        assert rig.steps.of("datasets_to_retrieve")[0].given[1] == Page(1, WINDOW)

    engine.play(play)


def test_no_more_datasets_are_asked_for_at_once_than_is_set(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.datasets = [DatasetPid(f"20.500.12345/{number}") for number in range(10)]
        rig.answers.silent = set(rig.steps.datasets)
        flow = await rig.job()
        most = rig.limits.parallel_datasets
        for ended in range(len(rig.steps.datasets)):
            await rig.until(lambda: len(rig.answers.waiting) == min(most, 10 - ended))  # noqa: B023
            _, pid = rig.answers.waiting.pop(0)
            rig.answers.silent.discard(pid)
            await rig.tell(flow, pid)
        assert await flow.result() == "closed"
        assert rig.answers.most_waiting == most

    engine.play(play)


def test_a_dataset_that_did_not_bring_what_the_job_needs_is_asked_for_again(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.refused = 2
        assert await (await rig.job()).result() == "closed"
        assert rig.steps.names()[4:] == ["subscribe", "note_outcome"] * 3 + ["close_job"]

    engine.play(play)


def test_a_job_that_gave_its_space_back_stands_in_line_before_it_asks_again_also_for_what_was_there(
    engine: Engine,
) -> None:
    async def play(rig: Rig) -> None:
        rig.limits = replace(rig.limits, parallel_datasets=1)
        rig.steps.datasets = [PID, Q]
        rig.answers.passing = {Q: (errors.SpaceGivenBack("others wait").failure(),)}
        await rig.work()
        assert await (await rig.job()).result() == "closed"
        once = ["subscribe", "note_outcome"]
        # What was there before the job gave its space back is asked for again: the list is read from its start.
        assert rig.steps.names()[3:] == [
            "datasets_to_retrieve", *once, *once, "claim_job", *once, "datasets_to_retrieve", *once, "close_job"
        ]  # fmt: skip
        asked = [each.given[2] for each in rig.steps.of("subscribe")]
        assert [each.pid for each in asked if isinstance(each, DatasetTask)] == [PID, Q, Q, PID]
        assert rig.steps.retrieved == {PID, Q}
        assert rig.steps.closed == [None]

    engine.play(play)


@pytest.mark.parametrize("step", ALL[:-1])
def test_a_job_cancelled_during_a_step_takes_no_other(engine: Engine, step: str) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        hold = rig.steps.hold(step, deaf=step != "claim_job")
        flow = await rig.job()
        await rig.begun(hold)
        await rig.cancel(flow, "its owner")
        await rig.until_told_to_stop(flow)
        hold.released.set()
        assert await flow.result() == "job_cancelled"
        assert rig.steps.closed == [errors.JobCancelled("the job was cancelled by its owner").failure()]
        # An outcome that is noted is one that the job does not wait for any more.
        ends = ["unsubscribe", "close_job"] if step == "subscribe" else ["close_job"]
        assert rig.steps.names() == [*ALL[: ALL.index(step) + 1], *ends]

    engine.play(play)


def test_a_job_cancelled_while_a_dataset_is_retrieved_lets_it_go(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        flow = await rig.waiting_job(PID)
        await rig.cancel(flow)
        assert await flow.result() == "job_cancelled"
        assert rig.answers.waiting == []

    engine.play(play)


def test_a_job_cancelled_while_it_is_closed_stays_as_it_ended(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        hold = rig.steps.hold("close_job")
        flow = await rig.job()
        await rig.begun(hold)
        await rig.cancel(flow)
        hold.released.set()
        assert await flow.result() == "closed"
        assert rig.steps.closed == [None]

    engine.play(play)


def test_a_job_cancelled_before_its_first_step_takes_none(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        flow = await rig.job()
        await rig.cancel(flow)
        await rig.work()
        assert await flow.result() == "job_cancelled"
        assert set(rig.steps.names()) <= {"report_job_started", "close_job"}
        assert rig.steps.closed == [errors.JobCancelled("the job was cancelled by somebody").failure()]

    engine.play(play)


def test_a_job_whose_flow_is_cancelled_in_the_engine_is_closed(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        flow = await rig.waiting_job(PID)
        await flow.cancel()
        assert await flow.result() == "job_cancelled"
        assert rig.answers.waiting == []

    engine.play(play)


@pytest.mark.parametrize("step", ["claim_job", "note_outcome"])
def test_a_step_whose_worker_is_lost_is_taken_again(engine: Engine, step: str) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.fail(step, Lost())
        assert await (await rig.job()).result() == "closed"
        assert rig.steps.names() == [each for each in ALL for _ in range(1 + (each == step))]

    engine.play(play)


def test_a_signal_of_somebody_without_the_key_is_nothing(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        flow = await rig.waiting_job(PID)
        other = await Client.connect(rig.address, namespace=rig.env.client.namespace)
        await other.get_workflow_handle(flow.id).signal("cancel", "somebody else")
        await rig.tell(flow, PID)
        assert await flow.result() == "closed"

    engine.play(play)


def test_what_the_engine_keeps_of_a_job_tells_nothing_of_it(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.fail("open_job", errors.CatalogueRefused("words of SciCat"))
        flow = await rig.job()
        await flow.result()
        kept = str([event async for event in flow.fetch_history_events()])
        assert "open_job" in kept
        assert "20.500.12345" not in kept
        assert "words of SciCat" not in kept

    engine.play(play)
