"""The recall desks of a worker: one for each long-term store, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.pipeline.recalls.desk import RecallDesk
from scicat_retriever.pipeline.recalls.watch import DeskPace
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.recall_planner.planner import RecallPlanner
from scicat_retriever.recall_planner.requests import RecallPolicy

STOP_SECONDS = 2.0
"""Seconds that a desk may take to end when the worker stops."""


class RecallDesks:
    """The desks of a worker, made and run here.

    Args:
        holder: The name of this worker among all workers.
        policies: How each store is used, by its name.
        tools: The ports.
        tell: Called with a dataset when there is news of its recalls.
        pace: How often a store is asked.
    """

    def __init__(
        self,
        holder: str,
        policies: Mapping[str, RecallPolicy],
        tools: Toolbox,
        tell: Callable[[DatasetPid], None],
        pace: DeskPace,
    ) -> None:
        self._desks = {
            name: RecallDesk(name, holder, RecallPlanner(policy), tools, tell, pace)
            for name, policy in policies.items()
        }

    def ring(self) -> None:
        """Say that a recall is wanted."""
        for desk in self._desks.values():
            desk.ring()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""
        threads = [
            threading.Thread(target=desk.run, args=(stop,), name=f"recalls from {name}", daemon=True)
            for name, desk in self._desks.items()
        ]
        for thread in threads:
            thread.start()
        stop.wait()
        # A desk that waits for a slow store is left alone: the next desk does its work again.
        for thread in threads:
            thread.join(STOP_SECONDS)
