"""Long flows go on with a fresh history, and begin nothing anew: on an engine that asks for one after a few steps.

It does not skip time: the engine that does never asks.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.workflow.flows.retrieve_job import WINDOW
from scicat_retriever.workflow.flows.tasks import Page
from tests.flows.fake_steps import PID
from tests.flows.rig import Engine, Rig

EVENTS = 10
"""Events in a history after which a fresh one is asked for: a few steps."""


@pytest.fixture(scope="module")
def forgetful() -> Iterator[Engine]:
    engine = Engine.forgetful(EVENTS)
    yield engine
    engine.close()


def test_a_long_job_goes_on_where_it_was(forgetful: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.datasets = [DatasetPid(f"20.500.12345/{number}") for number in range(WINDOW + 1)]
        rig.steps.retrieved = set(rig.steps.datasets[1:-1])
        assert await (await rig.job("long")).result() == "closed"
        assert rig.steps.names() == [
            "report_job_started",
            "open_job",
            "claim_job",
            *["datasets_to_retrieve", "subscribe", "note_outcome"] * 2,
            "close_job",
        ]
        pages = [each.given[1] for each in rig.steps.of("datasets_to_retrieve")]
        assert pages == [Page(0, WINDOW), Page(WINDOW, WINDOW)]
        first, second = rig.steps.runs("datasets_to_retrieve")
        assert [first] == rig.steps.runs("open_job") != [second]

    forgetful.play(play)


def test_a_long_dataset_goes_on_where_it_was_and_tells_all_that_asked(forgetful: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.use_dataset_flows()
        await rig.work()
        first, second = await rig.two_jobs()
        await rig.until(lambda: bool(rig.steps.of("look_at_recalls")))
        rig.steps.on_tape.clear()
        await rig.tell_of_recalls(PID)
        assert [await first.result(), await second.result()] == ["closed", "closed"]
        assert [name for name in rig.steps.names(rig.flow_of(PID).id) if name != "look_at_recalls"] == [
            "report_dataset_started",
            "plan_dataset",
            "prepare_datablocks",
            *["copy_datablocks"] * 3,
            "verify_datablocks",
            "publish_dataset",
        ]
        (copied,) = set(rig.steps.runs("copy_datablocks"))
        assert [copied] == rig.steps.runs("plan_dataset")
        assert copied not in rig.steps.runs("verify_datablocks")
        assert [each.failures for each in rig.steps.outcomes] == [(), ()]

    forgetful.play(play)
