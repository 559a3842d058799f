"""The steps of the regular looks, which flows of schedules take; each is declared once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta

from temporalio.common import RetryPolicy

from scicat_retriever.workflow.flows.declaration import Look, declare

_DIFFERENCES = Look(attempt=timedelta(minutes=10))
# Jobs that need space should not wait for long after a worker died a few times.
_SWEEP = Look(
    attempt=timedelta(hours=1),
    patience=timedelta(hours=2),
    retry=RetryPolicy(maximum_interval=timedelta(seconds=5)),
)


class Looks(ABC):
    """The regular looks. Each gives how much it found."""

    @declare("sweep_staging", _SWEEP)
    @abstractmethod
    def sweep_staging(self) -> int:
        """End pins whose time is over, evict, and delete files of released datablocks."""

    @declare("restart_lost_flows", _DIFFERENCES)
    @abstractmethod
    def restart_lost_flows(self) -> int:
        """Start lost flows of jobs and datasets again; clean up after datasets that no job asks for."""

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
