"""Another user of the service's machine, who speaks to its engine: `python -m tests.acceptance.hostile_user PORT ATTACK ...`.

He has the SDK, knows the source of the service, and can read all that the engine keeps. He has no key. Run as root, the
program becomes a user without any rights first.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    RecordActivityTaskHeartbeatByIdRequest,
    ResetWorkflowExecutionRequest,
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskFailedByIdRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from tests.integration.test_days_of_waiting import LIMITS

WORDS = "HOSTILE WORDS"
NOBODY = 65534
FAILURE = {"code": WORDS, "message": WORDS, "who": "user", "cause": "data", "archive_id": WORDS}
REFERENCE = Payload(metadata={"encoding": b"json/external-storage-reference"}, data=b"{}")
MARKED = Payload(
    metadata={"encoding": b"json/plain", "__temporal_external_storage_reference": b"true"}, data=b'"x"'
)


async def plain(*values: object) -> Payloads:
    return await DataConverter.default.encode_wrapper(values)


async def newest_run(client: Client, flow: str) -> str:
    """Look up the last run of a flow."""
    return (await client.get_workflow_handle(flow).describe()).run_id


async def start_flows(client: Client, flow: str, pid: str) -> None:
    """Start flows of his own, one that goes on with another's run and is to discard it, and jobs."""
    run = await newest_run(client, flow)
    discarding = {
        "pid": pid,
        "limits": asdict(LIMITS),
        "run": run,
        "datablocks": 2,
        "copied": 2,
        "verified": 2,
    }
    for task in (discarding, {"pid": pid, "limits": asdict(LIMITS)}):
        handle = await client.start_workflow(
            "RetrieveDataset",
            task,
            id=flow,
            task_queue="retriever",
            start_signal="subscribe",
            start_signal_args=["somebody"],
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        with suppress(RPCError):  # it may have ended by then
            await handle.signal("unsubscribe", "somebody")
    for failing in ("job-1", WORDS):
        await client.start_workflow(
            "RetrieveJob",
            {"job_id": failing, "limits": asdict(LIMITS)},
            id=f"his-{failing}",
            task_queue="retriever",
        )


async def signal(client: Client, flow: str, pid: str) -> None:
    """Tell a running flow whatever it listens to."""
    outcome = {"pid": pid, "failures": [FAILURE]}
    for name, values in {
        "dataset_ended": await plain(outcome),
        "cancel": await plain(WORDS),
        "unsubscribe": await plain(WORDS),
        "subscribe": Payloads(payloads=[REFERENCE]),
        "recalls_changed": Payloads(payloads=[MARKED]),
        "no_such_signal": await plain(WORDS),
    }.items():
        await client.workflow_service.signal_workflow_execution(
            SignalWorkflowExecutionRequest(
                namespace="default",
                workflow_execution=WorkflowExecution(workflow_id=flow),
                signal_name=name,
                input=values,
            )
        )


async def end_steps(client: Client, flow: str, pid: str) -> None:
    """Say of each step that a flow waits for how it ended: now that it succeeded, then that it failed."""
    service = client.workflow_service
    ways: list[Callable[[str], Awaitable[object]]] = [
        lambda step: service.record_activity_task_heartbeat_by_id(
            RecordActivityTaskHeartbeatByIdRequest(
                namespace="default", workflow_id=flow, activity_id=step, details=lie
            )
        ),
        lambda step: service.respond_activity_task_completed_by_id(
            RespondActivityTaskCompletedByIdRequest(
                namespace="default", workflow_id=flow, activity_id=step, result=lie
            )
        ),
        lambda step: service.respond_activity_task_failed_by_id(
            RespondActivityTaskFailedByIdRequest(
                namespace="default", workflow_id=flow, activity_id=step, failure=failure
            )
        ),
    ]
    lie = await plain(FAILURE)
    failure = Failure(
        message=WORDS,
        application_failure_info=ApplicationFailureInfo(type=WORDS, non_retryable=True, details=lie),
    )
    for way in ways:
        await try_with_running_step(client, flow, way)


async def try_with_running_step(client: Client, flow: str, way: Callable[[str], Awaitable[object]]) -> None:
    """Do something to a step that runs, the next one if the first has just ended."""
    while True:
        try:
            described = await client.get_workflow_handle(flow).describe()
            for step in described.raw_description.pending_activities:
                await way(step.activity_id)
                return
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        await asyncio.sleep(0.05)


async def replay(client: Client, flow: str, pid: str) -> None:
    """Send again what the service itself sealed: to other flows, and for other purposes."""
    history = await client.get_workflow_handle(flow).fetch_history()
    sealed = history.events[0].workflow_execution_started_event_attributes.input
    for other, kind in ((f"his-{flow}", "RetrieveDataset"), (f"his-job-{flow}", "RetrieveJob")):
        await client.workflow_service.start_workflow_execution(
            StartWorkflowExecutionRequest(
                namespace="default",
                workflow_id=other,
                workflow_type=WorkflowType(name=kind),
                task_queue=TaskQueue(name="retriever"),
                input=sealed,
                request_id=other,
            )
        )


async def reset_and_cancel(client: Client, flow: str, pid: str) -> None:
    """Have a flow that ended well go back to before each of its steps, and cancel it there."""
    run = await newest_run(client, flow)
    history = await client.get_workflow_handle(flow).fetch_history()
    steps = [
        event.event_id
        for event in history.events
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    for at in steps:
        answer = await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace="default",
                workflow_execution=WorkflowExecution(workflow_id=flow, run_id=run),
                workflow_task_finish_event_id=at,
                request_id=f"his-{at}",
                reason=WORDS,
            )
        )
        await client.get_workflow_handle(flow, run_id=answer.run_id).cancel()


async def impostor(client: Client, flow: str, pid: str) -> None:
    """Take a flow's name before the service does, where nobody works."""
    await client.start_workflow("RetrieveDataset", {}, id=flow, task_queue="nobody-works-here")


async def all_of_his_have_failed(client: Client, flow: str, pid: str) -> None:
    """Wait until each flow that was begun by nobody of the service has failed, before a step."""
    await all_have_ended(client, flow, pid)
    async for each in client.list_workflows("WorkflowId STARTS_WITH 'his-'"):
        history = await client.get_workflow_handle(each.id, run_id=each.run_id).fetch_history()
        assert history.events[-1].HasField("workflow_execution_failed_event_attributes"), history.events[-1]
        assert not any(event.HasField("activity_task_scheduled_event_attributes") for event in history.events)


async def all_have_ended(client: Client, flow: str, pid: str) -> None:
    """Wait until no flow of a job or a dataset runs."""
    running = "ExecutionStatus = 'Running' AND WorkflowType IN ('RetrieveJob', 'RetrieveDataset')"
    while [each async for each in client.list_workflows(running)]:  # noqa: ASYNC110 - the engine tells nobody
        await asyncio.sleep(0.1)


ATTACKS: Mapping[str, Callable[[Client, str, str], Awaitable[None]]] = {
    each.__name__: each
    for each in (
        start_flows,
        signal,
        end_steps,
        replay,
        reset_and_cancel,
        impostor,
        all_of_his_have_failed,
        all_have_ended,
    )
}


async def main(port: str, name: str, *about: str) -> None:
    client = await Client.connect(f"127.0.0.1:{port}")
    await ATTACKS[name](client, *about)


if __name__ == "__main__":
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    arguments: list[Any] = sys.argv[1:]
    try:
        asyncio.run(main(*arguments))
    except RPCError as error:
        sys.stderr.write(f"the engine refused: {error}\n")
        sys.stderr.flush()
        os._exit(1)  # the client's threads do not always let the interpreter end by itself
    sys.stdout.flush()
    os._exit(0)
