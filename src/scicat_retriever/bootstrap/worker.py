"""What a worker goes by: its pace and its limits."""

from __future__ import annotations

from datetime import timedelta

from scicat_retriever.pipeline.recalls.watch import DeskPace
from scicat_retriever.settings import Settings
from scicat_retriever.storage.lts.kinds import recall_policy
from scicat_retriever.workflow.flows import schedules
from scicat_retriever.workflow.steps.runner import Pace
from scicat_retriever.workflow.worker import WorkerLimits


def pace(settings: Settings) -> Pace:
    """Give the pace of repetitions: how they are spaced."""
    return Pace(settings.flow, settings.flow)


def worker_limits(settings: Settings) -> WorkerLimits:
    """Give the limits of a worker: how much it does at once, and how often its schedules run."""
    flow, cache = settings.flow, settings.cache
    return WorkerLimits(
        slots=flow,
        intervals={
            schedules.SWEEP: cache.sweep_interval,
            schedules.RECONCILE: flow.reconcile_interval,
            schedules.INVENTORY: cache.check_interval,
            # What is due is found soon; how often each datablock is due is another matter.
            schedules.FIXITY: cache.sweep_interval,
        },
        fixity_pace=cache,
        patience=flow,
        undeliverable_kept=timedelta(seconds=flow.undeliverable_kept),
        downloads_kept=timedelta(seconds=settings.api.downloads_kept),
        job_types=settings.job_types,
        recall_policies={name: recall_policy(store) for name, store in settings.all_stores.items()},
        desk_pace=DeskPace(flow),
    )
