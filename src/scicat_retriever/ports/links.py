"""The links of retrievals: which are still good."""

from __future__ import annotations

from typing import Protocol

from scicat_retriever.domain.ids import JobId


class Links(Protocol):
    """The links of jobs. Promises and errors as of `ports.ledger.Ledger`."""

    def serial(self, job_id: JobId) -> int:
        """The number that a job's good links carry: how often its links were revoked."""
        ...

    def revoke(self, job_id: JobId) -> int:
        """End all links of a job that were made until now. Gives the number that later ones carry.

        Raises:
            JobNotFound: The ledger does not know the job.
        """
        ...
