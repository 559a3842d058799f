"""The flow of a dataset, alone: what is on tape, what fails, and what is read from another copy."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from temporalio.client import WorkflowHandle

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.domain.ids import DatablockId
from scicat_retriever.workflow.flows.copy_window import RECALLS
from scicat_retriever.workflow.flows.retrieve_dataset import (
    VERIFICATION_WINDOW,
    WINDOW,
    RetrieveDatasetFlow,
)
from scicat_retriever.workflow.flows.tasks import Page
from tests.flows.fake_steps import OTHER_STORE, PATIENCE, PID, STORE, Lost
from tests.flows.rig import HOUR, Engine, Rig

FIRST, SECOND = DatablockId("block-000"), DatablockId("block-001")
GOES_WELL = [
    "report_dataset_started",
    "plan_dataset",
    "prepare_datablocks",
    "copy_datablocks",
    "verify_datablocks",
    "publish_dataset",
]
ENDS = ["report_dataset_failed", "discard_dataset"]


async def retrieve(rig: Rig) -> WorkflowHandle[RetrieveDatasetFlow, None]:
    flow = await rig.dataset(PID)
    await flow.result()
    return flow


def test_a_dataset_takes_its_steps_in_order(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.set_datablocks(1)
        await rig.work()
        await retrieve(rig)
        assert rig.steps.names() == GOES_WELL

    engine.play(play)


def test_a_dataset_that_is_staged_already_is_published(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.is_staged = True
        await retrieve(rig)
        assert rig.steps.names() == ["report_dataset_started", "plan_dataset", "publish_dataset"]

    engine.play(play)


def test_a_dataset_without_space_waits_for_it_before_it_asks_the_store(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.set_datablocks(1)
        await rig.work()
        rig.steps.has_space = False
        rig.steps.fail("claim_dataset", *[errors.NoSpaceYet("1st in the line")] * 10)
        flow = await retrieve(rig)
        assert rig.steps.names() == [*GOES_WELL[:2], *["claim_dataset"] * 11, *GOES_WELL[2:]]
        assert await rig.lasted(flow) > 7

    engine.play(play)


@pytest.mark.parametrize("step", GOES_WELL)
@pytest.mark.parametrize(
    "error",
    [
        errors.CatalogueEntryInvalid("odd"),
        errors.ArchiveIdUnsafe("../x"),
        errors.CatalogueRefused("400"),
    ],
    ids=lambda error: error.code,
)
def test_an_error_that_does_not_pass_is_told_and_what_is_there_removed(
    engine: Engine, step: str, error: RetrieverError
) -> None:
    async def play(rig: Rig) -> None:
        rig.set_datablocks(1)
        await rig.work()
        rig.steps.always_fail(step, error)
        await retrieve(rig)
        its = [errors_of.code for _, failures in rig.steps.failed for errors_of in failures]
        assert its == [error.code]
        taken = [name for name in rig.steps.names() if name != "try_other_copy"]
        assert taken == [*GOES_WELL[: GOES_WELL.index(step) + 1], *ENDS]
        assert rig.steps.of("discard_dataset")[0].given[2] == rig.steps.failed[0][1][0]

    engine.play(play)


@pytest.mark.parametrize("step", GOES_WELL)
def test_an_error_that_passes_costs_time_alone(engine: Engine, step: str) -> None:
    async def play(rig: Rig) -> None:
        rig.set_datablocks(1)
        await rig.work()
        rig.steps.fail(step, errors.LedgerUnavailable("locked"), errors.CatalogueUnavailable("503"))
        await retrieve(rig)
        assert rig.steps.names() == [name for name in GOES_WELL for _ in range(3 if name == step else 1)]
        assert rig.steps.failed == []

    engine.play(play)


def test_what_is_not_there_to_be_published_fails_at_once(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.always_fail("publish_dataset", errors.StagedFileMissing("gone"))
        await retrieve(rig)
        assert len(rig.steps.of("publish_dataset")) == 1
        assert rig.steps.failed[0][1] == [errors.StagedFileMissing("gone").failure()]

    engine.play(play)


def test_a_failure_that_cannot_be_told_or_cleaned_up_does_not_hold_the_flow(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        for step in ("plan_dataset", *ENDS):
            rig.steps.always_fail(step, errors.CatalogueRefused("400"))
        await retrieve(rig)
        assert rig.steps.names()[1:] == ["plan_dataset", *ENDS]

    engine.play(play)


def test_datablocks_on_tape_are_copied_when_they_are_there_and_the_others_before(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.on_tape = {FIRST}
        flow = await rig.dataset(PID)
        await rig.until(lambda: len(rig.steps.copied) == 2 and bool(rig.steps.of("look_at_recalls")))
        await rig.env.sleep(40 * HOUR)
        assert len(rig.steps.copied) == 2
        rig.steps.on_tape.clear()
        await flow.result()
        assert len(rig.steps.copied) == 3
        looks = [each.at for each in rig.steps.of("look_at_recalls")]
        assert 40 <= len(looks) <= 43
        between = [after - before for before, after in itertools.pairwise(looks)]
        assert min(between) >= timedelta(seconds=PATIENCE - 1)

    engine.play(play)


def test_a_flow_that_is_told_of_its_recalls_looks_at_once(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.on_tape = {FIRST, SECOND}
        flow = await rig.dataset(PID)
        await rig.until(lambda: len(rig.steps.of("look_at_recalls")) == 1)
        rig.steps.on_tape.discard(FIRST)
        await rig.tell_of_recalls(PID)
        await rig.until(lambda: len(rig.steps.copied) == 2)
        rig.steps.on_tape.clear()
        await rig.tell_of_recalls(PID)
        await rig.until(lambda: len(rig.steps.copied) == 3)
        await flow.result()
        assert await rig.lasted(flow) < PATIENCE / HOUR

    engine.play(play)


def test_a_recall_that_is_given_up_is_read_from_the_other_copy_or_fails(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.on_tape = {FIRST, SECOND}
        rig.steps.recall_failed = {FIRST: errors.ArchiveLost("burnt")}
        rig.steps.other_copies = {FIRST}
        flow = await rig.dataset(PID)
        await rig.until(lambda: (FIRST, OTHER_STORE) in rig.steps.copied)
        rig.steps.recall_failed = {SECOND: errors.RecallTimedOut("gave up")}
        await flow.result()
        assert rig.steps.failed == [(PID, [errors.RecallTimedOut("gave up").failure("001.tar")])]

    engine.play(play)


def test_an_archive_that_cannot_be_read_is_read_from_the_other_copy(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.unreadable = {FIRST: errors.ReadFailed("bad sector")}
        rig.steps.other_copies = {FIRST}
        await retrieve(rig)
        assert sorted(rig.steps.copied) == [
            (FIRST, OTHER_STORE), (SECOND, STORE), ("block-002", STORE)
        ]  # fmt: skip
        assert rig.steps.failed == []

    engine.play(play)


def test_an_archive_that_cannot_be_had_stops_the_others(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.set_datablocks(20)
        await rig.work()
        rig.steps.unreadable = {FIRST: errors.ReadFailed("bad sector")}
        # They are held, since this engine cannot end a step in the moment in which it ends by itself.
        holds = [rig.steps.hold_copy(one.id) for one in rig.steps.blocks[PID][1:]]
        await retrieve(rig)
        assert rig.steps.failed == [(PID, [errors.ReadFailed("bad sector").failure("000.tar")])]
        assert sum(hold.entered.is_set() for hold in holds) == rig.limits.parallel_datablocks
        assert rig.steps.copied == []

    engine.play(play)


def test_an_archive_that_is_always_gone_when_it_is_to_be_read_is_no_endless_loop(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.set_datablocks(1)
        await rig.work()
        rig.steps.gone[FIRST] = 10**6
        await retrieve(rig)
        ((_, (failure,)),) = rig.steps.failed
        assert (failure.code, failure.archive_id) == ("read_failed", "000.tar")
        assert len(rig.steps.of("copy_datablocks")) == RECALLS

    engine.play(play)


def test_an_archive_that_went_back_to_tape_a_few_times_is_copied(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.gone[FIRST] = RECALLS - 1
        await retrieve(rig)
        assert (FIRST, STORE) in rig.steps.copied
        assert rig.steps.failed == []

    engine.play(play)


def test_a_datablock_that_is_not_right_is_copied_from_the_other_copy_and_verified_again(
    engine: Engine,
) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.wrong = {FIRST: errors.ChecksumMismatch("'a' differs")}
        rig.steps.other_copies = {FIRST}
        await retrieve(rig)
        assert [each for each in rig.steps.copied if each[0] == FIRST] == [(FIRST, OTHER_STORE)]
        assert rig.steps.names().count("verify_datablocks") == 2
        assert rig.steps.failed == []

    engine.play(play)


def test_twenty_failures_are_told_one_by_one_and_the_last_says_how_many_more(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.set_datablocks(30)
        await rig.work()
        rig.steps.wrong = {one.id: errors.ChecksumMismatch("differs") for one in rig.steps.blocks[PID]}
        await retrieve(rig)
        ((_, failures),) = rig.steps.failed
        assert len(failures) == 20
        assert failures[-1].message.endswith("(and 10 more datablocks failed)")

    engine.play(play)


def test_a_long_dataset_is_taken_up_window_by_window(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.set_datablocks(WINDOW + 1)
        rig.steps.batch = 50
        await rig.work()
        await retrieve(rig)
        assert [each.given[1] for each in rig.steps.of("prepare_datablocks")] == [
            Page(0, WINDOW), Page(WINDOW, WINDOW)
        ]  # fmt: skip
        verified = [each.given[1] for each in rig.steps.of("verify_datablocks")]
        assert verified == [
            Page(after, VERIFICATION_WINDOW) for after in range(0, WINDOW + 1, VERIFICATION_WINDOW)
        ]
        assert len(rig.steps.copied) == WINDOW + 1
        assert rig.steps.most_at_once <= rig.limits.parallel_datablocks

    engine.play(play)


def test_a_dataset_that_goes_on_with_a_fresh_history_does_not_begin_anew(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.set_datablocks(3)
        await rig.work()
        flow = await rig.dataset(PID, run="run-1", datablocks=3, copied=3, verified=0)
        await flow.result()
        assert rig.steps.names() == ["verify_datablocks", "publish_dataset"]

    engine.play(play)


def test_a_copy_whose_worker_is_lost_is_taken_again(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.set_datablocks(1)
        await rig.work()
        rig.steps.fail("copy_datablocks", Lost())
        await retrieve(rig)
        assert rig.steps.names().count("copy_datablocks") == 2
        assert rig.steps.copied == [(FIRST, STORE)]

    engine.play(play)


def test_a_copy_whose_worker_stops_goes_on_with_another_worker(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.set_datablocks(1)
        stop = await rig.work(keeps_flows=False)
        hold = rig.steps.hold("copy_datablocks", deaf=False)
        flow = await rig.dataset(PID)
        await rig.begun(hold)
        await stop()
        assert rig.steps.copied == []
        await rig.work()
        await flow.result()
        assert rig.steps.copied == [(FIRST, STORE)]
        assert rig.steps.failed == []

    engine.play(play)


def test_a_flow_cancelled_in_the_engine_cleans_up(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.on_tape = {FIRST}
        flow = await rig.dataset(PID)
        await rig.until(lambda: bool(rig.steps.of("look_at_recalls")))
        await rig.until_idle(flow)
        await flow.cancel()
        await flow.result()
        assert rig.steps.names()[-2:] == ENDS
        assert rig.steps.failed[0][1][0].code == "job_cancelled"

    engine.play(play)
