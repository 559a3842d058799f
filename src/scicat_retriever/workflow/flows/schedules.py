"""The schedules of the regular looks, driven by the engine: each look happens once for all workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.exceptions import ActivityError
from temporalio.service import RPCError, RPCStatusCode

from scicat_retriever.domain.errors import EngineNotOurs, EngineUnavailable
from scicat_retriever.workflow.engine.heart import FLOW_TIMEOUT
from scicat_retriever.workflow.flows.declaration import look
from scicat_retriever.workflow.flows.looks import Looks
from scicat_retriever.workflow.flows.subscriptions import RPC_TIMEOUT

SWEEP, RECONCILE, INVENTORY, FIXITY = "sweep-staging", "reconcile", "check-staging", "check-fixity"
"""The schedules' names; each follows on the task queue's name."""

_NOTE = "of the ledger "
"""The first words of a schedule's note; the identity of the ledger that it works for follows."""


@workflow.defn(name="SweepStaging")
class SweepStaging:
    """The sweep: ends pins whose time is over, evicts, and deletes files of released datablocks."""

    @workflow.run
    async def run(self) -> int:
        return await look(Looks.sweep_staging)


@workflow.defn(name="Reconcile")
class Reconcile:
    """The look for jobs that the service was never told of, ends that SciCat missed, and lost flows."""

    @workflow.run
    async def run(self) -> int:
        differences = 0
        for step in (Looks.restart_lost_flows, Looks.reconcile_jobs):
            try:
                differences += await look(step)
            except ActivityError as error:
                workflow.logger.warning("a look for differences failed: %s", error.cause)
        return differences


@workflow.defn(name="CheckStaging")
class CheckStaging:
    """The comparison of the ledger with the files in the staging area."""

    @workflow.run
    async def run(self) -> int:
        return await look(Looks.check_staging)


@workflow.defn(name="CheckFixity")
class CheckFixity:
    """The look that reads staged datablocks again, slowly, and compares them."""

    @workflow.run
    async def run(self) -> int:
        return await look(Looks.check_fixity)


FLOWS = (SweepStaging, Reconcile, CheckStaging, CheckFixity)
"""The flows of the schedules."""
_FLOW_OF = {SWEEP: "SweepStaging", RECONCILE: "Reconcile", INVENTORY: "CheckStaging", FIXITY: "CheckFixity"}


async def ensure(client: Client, queue: str, intervals: Mapping[str, float], ledger: str) -> None:
    """Make or update the schedules as set, and run the two comparisons (SciCat, staging) now.

    A schedule's note names the ledger that it works for: the steps of another ledger's flows would be
    answered from this ledger.

    Args:
        client: The engine.
        queue: The task queue of flows.
        intervals: Seconds between two runs of each schedule.
        ledger: The ledger's identity.
    """
    for word, flow in _FLOW_OF.items():
        name = f"{queue}-{word}"
        schedule = Schedule(
            action=ScheduleActionStartWorkflow(flow, id=name, task_queue=queue, task_timeout=FLOW_TIMEOUT),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=intervals[word]))]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
            state=ScheduleState(note=_NOTE + ledger),
        )
        try:
            await client.create_schedule(name, schedule)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(name).update(_to(schedule))
    for word in (RECONCILE, INVENTORY):
        await trigger(client, queue, word)


async def require_ours(client: Client, queue: str, ledger: str) -> None:
    """Require that the schedules of a task queue, if there are any, are this ledger's.

    Raises:
        EngineNotOurs: They are another ledger's.
    """
    for word in _FLOW_OF:
        try:
            found = await client.get_schedule_handle(f"{queue}-{word}").describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                continue
            raise EngineUnavailable(f"the workflow engine does not answer: {error.message}") from error
        note = found.schedule.state.note or ""
        if note.startswith(_NOTE) and note != _NOTE + ledger:
            raise EngineNotOurs(
                f"the workflow engine works for another ledger ({note.removeprefix(_NOTE)[:100]!r}) in the task queue "
                f"{queue!r}: give this service an engine.namespace of its own; or, where the data folder's engine.sqlite is "
                "left from another ledger, move it aside"
            )


async def trigger(client: Client, queue: str, word: str) -> None:
    """Run a schedule now; nothing happens where it runs already.

    Raises:
        EngineUnavailable: The engine does not answer, or no worker ever made the schedule.
    """
    try:
        await client.get_schedule_handle(f"{queue}-{word}").trigger(rpc_timeout=RPC_TIMEOUT)
    except (RPCError, RuntimeError) as error:  # RuntimeError: a lazy client cannot connect
        raise EngineUnavailable(f"the workflow engine cannot run {word} now: {error}") from error


def _to(schedule: Schedule) -> Callable[[ScheduleUpdateInput], ScheduleUpdate]:
    return lambda _: ScheduleUpdate(schedule)
