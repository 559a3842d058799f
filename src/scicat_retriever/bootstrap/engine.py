"""The engine, and what the flows in it go by."""

from __future__ import annotations

from scicat_retriever.bootstrap.keys import engine_keys
from scicat_retriever.settings import Settings, SettingsInvalid
from scicat_retriever.workflow.engine.connection import EngineAccess
from scicat_retriever.workflow.flows.tasks import FlowLimits


def engine_access(settings: Settings) -> EngineAccess:
    """Give the access to the engine: where it is, how to log in, and the keys that seal what it is given.

    Raises:
        SettingsInvalid: The engine's address is missing, or a key.
    """
    engine = settings.engine
    if engine.address is None:
        raise SettingsInvalid("engine.address is missing: name a Temporal, or use `retriever serve`")
    return EngineAccess(
        engine.address,
        engine.namespace,
        engine_keys(settings),
        tls=engine.tls,
        api_key=None if engine.api_key is None else engine.api_key.get_secret_value(),
    )


def flow_limits(settings: Settings) -> FlowLimits:
    """Give the limits that new flows go by."""
    return FlowLimits.of(settings.flow, settings.flow, settings.engine.task_queue)
