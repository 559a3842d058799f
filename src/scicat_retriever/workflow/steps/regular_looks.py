"""The regular looks, done by the pipeline."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import timedelta

from scicat_retriever.pipeline.delivery import audit
from scicat_retriever.pipeline.jobs import reconcile
from scicat_retriever.pipeline.reports import abandoned, unclosable
from scicat_retriever.pipeline.staging import eviction, fixity, inventory
from scicat_retriever.pipeline.staging.fixity_pace import FixityPace
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.workflow.engine.heart import is_stopped
from scicat_retriever.workflow.flows.looks import Looks
from scicat_retriever.workflow.steps.lost_flows import LostFlows


class RegularLooks(Looks):
    """The regular looks, bound to their ports. The last finding of each is kept in the ledger.

    Args:
        tools: The ports and policies.
        lost_flows: Finds jobs whose flows are lost.
        job_types: SciCat's job types that are carried out here.
        fixity_pace: How staged datablocks are read again.
        undeliverable_kept: How long a report is kept that SciCat can never take.
        downloads_kept: How long the row of a download is kept.
    """

    def __init__(
        self,
        tools: Toolbox,
        lost_flows: LostFlows,
        job_types: Collection[str],
        fixity_pace: FixityPace,
        undeliverable_kept: timedelta,
        downloads_kept: timedelta,
    ) -> None:
        self._tools = tools
        self._lost_flows = lost_flows
        self._job_types = job_types
        self._fixity = fixity_pace
        self._undeliverable_kept = undeliverable_kept
        self._downloads_kept = downloads_kept

    def sweep_staging(self) -> int:
        audit.forget_old(self._downloads_kept, self._tools)
        swept = eviction.sweep(self._tools)
        return swept.evicted + swept.removed + inventory.mend(self._tools)

    def check_staging(self) -> int:
        return inventory.look(self._tools)

    def check_fixity(self) -> int:
        return fixity.look(self._fixity, self._tools, is_stopped)

    def reconcile_jobs(self) -> int:
        unclosable.drop_undeliverable(self._undeliverable_kept, self._tools)
        return reconcile.look(self._job_types, self._tools)

    def restart_lost_flows(self) -> int:
        found = self._lost_flows.restart()
        self._tools.ledger.findings.note("engine", asdict(found))
        for pid, run in self._lost_flows.abandoned():
            abandoned.clean_up(pid, run, self._tools)
        return found.restarted
