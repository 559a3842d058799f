"""Connections to the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client, TLSConfig
from temporalio.service import RPCError, RPCStatusCode

from scicat_retriever.domain.errors import EngineUnavailable
from scicat_retriever.workflow.engine.sealed_values import sealing_converter

RETENTION = timedelta(days=90)
"""The time for which the own engine remembers flows that have ended."""
FIRST_WORD, NEXT_WORD = 3.0, 30.0
"""Seconds after which a process that waits for the engine says so, first and again."""
ONE_ATTEMPT = 5.0
"""Seconds that the engine may take to answer before it is asked again."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EngineAccess:
    """How to reach a Temporal service, and the keys by which only the service's own payloads are believed.

    Attributes:
        address: `host:port`.
        namespace: The namespace.
        keys: The texts that the keys of the seal are made from: the first seals, all open (`seal`). Empty for
            tests alone: everybody is believed then.
        tls: Whether to speak TLS.
        api_key: The API key, if it asks for one.
    """

    address: str
    namespace: str
    keys: Sequence[str] = field(repr=False)
    tls: bool = False
    api_key: str | None = field(default=None, repr=False)


async def connect(access: EngineAccess, *, lazy: bool = False) -> Client:
    """Connect to a Temporal service.

    Args:
        access: Where it is, and the keys.
        lazy: Whether to connect with the first call only, so that the engine may be down until then.

    Raises:
        EngineUnavailable: The engine does not answer.
    """
    try:
        return await Client.connect(
            access.address,
            namespace=access.namespace,
            tls=TLSConfig() if access.tls else False,
            api_key=access.api_key,
            data_converter=sealing_converter(access.keys),
            lazy=lazy,
        )
    except (RPCError, RuntimeError) as error:
        raise EngineUnavailable(
            f"the workflow engine at {access.address} does not answer: {error}"
        ) from error


async def connect_when_up(access: EngineAccess, *, patience: float) -> Client:
    """Connect to a Temporal service that may still be starting; gives up after `patience` seconds.

    The log says what it waits for: after a few seconds, then every half minute.

    Raises:
        EngineUnavailable: The engine did not answer in time.
    """
    loop = asyncio.get_running_loop()
    end, to_say = loop.time() + patience, loop.time() + FIRST_WORD
    while True:
        try:
            async with asyncio.timeout(ONE_ATTEMPT):
                client = await connect(access)
                await client.workflow_service.describe_namespace(
                    DescribeNamespaceRequest(namespace=access.namespace)
                )
                return client
        except (EngineUnavailable, RPCError, TimeoutError) as error:
            why = f"the workflow engine at {access.address} does not answer: {str(error) or 'it hangs'}"
            if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
                why = f"the workflow engine at {access.address} has no namespace {access.namespace}: make it there, or set "
                why += "engine.namespace"
            if loop.time() >= end:
                raise EngineUnavailable(why) from error
            if loop.time() >= to_say:
                to_say = loop.time() + NEXT_WORD
                log.warning("waiting for the workflow engine", why=why)
            await asyncio.sleep(0.1)


async def keep_history(client: Client) -> None:
    """Set the time for which the own engine remembers ended flows to `RETENTION`; its default is a day."""
    ttl = Duration()
    ttl.FromTimedelta(RETENTION)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=ttl)
        )
    )
