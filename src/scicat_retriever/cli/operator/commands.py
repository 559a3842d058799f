"""The commands for operators of a running service. They ask its API, at the address in its settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import typer

from scicat_retriever.cli.operator import downloads, jobs, links, recalls, reports, staging
from scicat_retriever.cli.operator.api import Api, LoadSettings

if TYPE_CHECKING:
    import httpx2


def commands(
    load: LoadSettings,
    transport: httpx2.BaseTransport | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Mapping[str, typer.Typer]:
    """Make the groups of commands, by their names.

    Args:
        load: Reads the settings, or ends the program with a message.
        transport: Carries requests in place of the network.
        pause: Waits for a number of seconds.
    """
    api = Api(load, transport)
    return {
        "downloads": downloads.commands(api),
        "jobs": jobs.commands(api),
        "links": links.commands(api),
        "recalls": recalls.commands(api),
        "reports": reports.commands(api),
        "staging": staging.commands(api, pause),
    }
