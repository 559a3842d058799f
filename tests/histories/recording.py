"""Histories of flows as they are kept: canonical JSON, compressed, without what tells of the machine they ran on."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext

from scicat_retriever.workflow.engine.connection import EngineAccess
from scicat_retriever.workflow.engine.seal import Seal, SealKey, is_refused

FOLDER = Path(__file__).parent
IDENTITY = "a-worker"
"""What stands in place of `pid@host`, by which workers and clients name themselves to the engine."""
_PID_AND_HOST = re.compile(r"[0-9]+@.+")


async def opened(history: WorkflowHistory, access: EngineAccess) -> WorkflowHistory:
    """Break the seal of all that flows and steps were given: what is kept is replayed without any key."""
    seal = Seal([SealKey.of(text) for text in access.keys])
    space, flow = access.namespace, history.workflow_id
    flows, steps = {flow}, set[str]()
    for event in history.events:
        flows.add(
            event.signal_external_workflow_execution_initiated_event_attributes.workflow_execution.workflow_id
        )
        steps.add(event.activity_task_scheduled_event_attributes.activity_type.name)
    contexts = [WorkflowSerializationContext(space, each) for each in flows] + [
        ActivitySerializationContext(space, None, step, None, flow, None, is_local=False) for step in steps
    ]
    seals = [seal.with_context(context) for context in contexts]

    async def look(value: Any) -> Any:
        match value:
            case {"metadata": {"encoding": _}}:
                sealed = ParseDict(value, Payload())
                for each in seals:
                    (payload,) = await each.decode([sealed])
                    if not is_refused(payload):
                        return MessageToDict(payload)
                return value
            case dict():
                return {key: await look(each) for key, each in value.items()}
            case list():
                return [await look(each) for each in value]
            case _:
                return value

    return WorkflowHistory.from_json(flow, {"events": await look(history.to_json_dict()["events"])})


def scrubbed(history: WorkflowHistory, replacements: Mapping[str, str]) -> WorkflowHistory:
    """Take out who ran a flow and where. What a replay compares stays: kinds of events, names and ids of steps.

    Args:
        history: A flow's history.
        replacements: Texts to replace, as paths and the machine's name, also within what flows and steps were given.
    """
    events = [_scrubbed(event, replacements) for event in history.to_json_dict()["events"]]
    return WorkflowHistory.from_json(history.workflow_id, {"events": events})


def _scrubbed(value: Any, replacements: Mapping[str, str]) -> Any:
    match value:
        case dict():
            return {key: _field(key, each, replacements) for key, each in value.items()}
        case list():
            return [_scrubbed(each, replacements) for each in value]
        case str():
            return IDENTITY if _PID_AND_HOST.fullmatch(value) else _replaced(value, replacements)
        case _:
            return value


def _field(key: str, value: Any, replacements: Mapping[str, str]) -> Any:
    match key:
        case "stackTrace":
            return ""
        case "data" if isinstance(value, str):
            text = base64.b64decode(value).decode()
            return base64.b64encode(_replaced(text, replacements).encode()).decode()
        case _:
            return _scrubbed(value, replacements)


def _replaced(text: str, replacements: Mapping[str, str]) -> str:
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text


def write(history: WorkflowHistory, file: Path) -> None:
    """Write a history so that the same one gives the same bytes."""
    text = json.dumps(history.to_json_dict(), sort_keys=True, separators=(",", ":"))
    file.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def read(file: Path) -> WorkflowHistory:
    """Read what `write` wrote."""
    content = json.loads(gzip.decompress(file.read_bytes()))
    started = content["events"][0]["workflowExecutionStartedEventAttributes"]
    return WorkflowHistory.from_json(started["workflowId"], content)


def everything_said(file: Path) -> str:
    """Give a kept history as text, with what flows and steps were given readable."""
    said: list[str] = []

    def look(value: Any) -> None:
        match value:
            case dict():
                for key, each in value.items():
                    look(base64.b64decode(each).decode() if key == "data" and isinstance(each, str) else each)
            case list():
                for each in value:
                    look(each)
            case _:
                said.append(str(value))

    look(json.loads(gzip.decompress(file.read_bytes())))
    return "\n".join(said)
