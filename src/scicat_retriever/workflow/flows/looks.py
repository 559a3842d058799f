"""The steps that the flows of schedules take, each declared once: the service looks after itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta

from temporalio.common import RetryPolicy

from scicat_retriever.workflow.flows.declaration import Look, declare

_DIFFERENCES = Look(attempt=timedelta(minutes=10))
# Space that is needed should not wait for long after a worker died a few times.
_SWEEP = Look(
    attempt=timedelta(hours=1),
    patience=timedelta(hours=2),
    retry=RetryPolicy(maximum_interval=timedelta(seconds=5)),
)


class Looks(ABC):
    """What the service looks for at intervals. Each gives how much it found."""

    @declare("sweep_staging", _SWEEP)
    @abstractmethod
    def sweep_staging(self) -> int:
        """End pins whose time is over, and remove what has to go from staging."""

    @declare("restart_lost_flows", _DIFFERENCES)
    @abstractmethod
    def restart_lost_flows(self) -> int:
        """Give jobs and datasets whose flows were lost new ones; clean up after datasets that nobody asks for any more."""

    @declare("reconcile_jobs", _DIFFERENCES)
    @abstractmethod
    def reconcile_jobs(self) -> int:
        """Look for jobs that the service was never told of, and for ends that SciCat missed."""

    @declare("check_staging", Look(attempt=timedelta(days=1)))
    @abstractmethod
    def check_staging(self) -> int:
        """Compare the ledger with what the staging area holds."""

    @declare("check_fixity", Look(attempt=timedelta(days=30)))
    @abstractmethod
    def check_fixity(self) -> int:
        """Read staged datablocks again, slowly, until none is due; gives how many were wrong."""
