"""The regular looks, done by the pipeline."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import timedelta

import structlog

from scicat_retriever.domain import errors
from scicat_retriever.pipeline.jobs import reconcile
from scicat_retriever.pipeline.reports import report, unclosable
from scicat_retriever.pipeline.staging import eviction, fixity, inventory
from scicat_retriever.pipeline.staging.fixity_pace import FixityPace
from scicat_retriever.pipeline.tools.stopping import stop_if
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer import publish
from scicat_retriever.ports.catalogue import Visibility
from scicat_retriever.workflow.engine.heart import is_stopped
from scicat_retriever.workflow.flows.looks import Looks
from scicat_retriever.workflow.steps.lost_flows import LostFlows

log = structlog.get_logger(__name__)


class RegularLooks(Looks):
    """The regular looks, bound to their ports. The last finding of each is kept in the ledger.

    Args:
        tools: The ports and policies.
        lost_flows: Finds jobs whose flows are lost.
        job_types: SciCat's job types that are carried out here.
        fixity_pace: How staged datablocks are read again.
        undeliverable_kept: How long a report is kept that SciCat can never take.
    """

    def __init__(
        self,
        tools: Toolbox,
        lost_flows: LostFlows,
        job_types: Collection[str],
        fixity_pace: FixityPace,
        undeliverable_kept: timedelta,
    ) -> None:
        self._tools = tools
        self._lost_flows = lost_flows
        self._job_types = job_types
        self._fixity = fixity_pace
        self._undeliverable_kept = undeliverable_kept

    def sweep_staging(self) -> int:
        swept = eviction.sweep(self._tools)
        return swept.evicted + swept.removed + inventory.mend(self._tools)

    def check_staging(self) -> int:
        try:
            found = inventory.check_staging(self._tools)
        except errors.StagingError as error:
            self._tools.ledger.findings.note(inventory.FINDING, {"error": error.code, "message": str(error)})
            raise
        self._tools.ledger.findings.note(inventory.FINDING, found.as_finding())
        if found.advice:
            log.error("the staging area is not what the ledger says", advice=found.advice)
        return found.withdrawn + found.removed

    def check_fixity(self) -> int:
        look = fixity.FixityLook(self._fixity, self._tools, is_stopped)
        found = look.run(lambda found: self._tools.ledger.findings.note(fixity.FINDING, found.as_finding()))
        stop_if(is_stopped)
        if found.advice:
            log.error("staged files have changed", advice=found.advice)
        return found.wrong

    def reconcile_jobs(self) -> int:
        unclosable.drop_undeliverable(self._undeliverable_kept, self._tools)
        try:
            found = reconcile.reconcile(self._job_types, self._tools)
        except errors.CatalogueError as error:
            self._tools.ledger.findings.note(reconcile.FINDING, {"error": error.code, "message": str(error)})
            raise
        self._tools.ledger.findings.note(reconcile.FINDING, found.as_finding())
        if found.visibility is Visibility.HIDDEN:
            log.error(
                "SciCat does not list jobs to the service's account: jobs it is not told of stay unseen; put a group of "
                "the account into UPDATE_JOB_PRIVILEGED_GROUPS"
            )
        return found.missed + found.told_again

    def restart_lost_flows(self) -> int:
        found = self._lost_flows.restart()
        self._tools.ledger.findings.note("engine", asdict(found))
        for pid, run in self._lost_flows.abandoned():
            log.warning(
                "a dataset's flow was lost, and no job asks for the dataset any more: what it left is deleted",
                pid=pid,
            )
            lost = errors.JobCancelled("nobody waits for the dataset any longer").failure()
            report.dataset_failed(pid, [lost], self._tools)
            publish.discard(pid, run, lost.code, self._tools, keep_verified=False)
        return found.restarted
