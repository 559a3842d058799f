"""SciCat as the pipeline's catalogue."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from types import TracebackType
from typing import Self

import httpx2
import structlog

from scicat_retriever.catalogue.datablocks.datablocks import Datablocks
from scicat_retriever.catalogue.datasets.datasets import Datasets
from scicat_retriever.catalogue.datasets.lifecycle import Lifecycle
from scicat_retriever.catalogue.datasets.original_files import OriginalFiles
from scicat_retriever.catalogue.jobs.jobs import Jobs
from scicat_retriever.catalogue.jobs.open_jobs import OpenJobs
from scicat_retriever.catalogue.session import Session
from scicat_retriever.catalogue.settings import ScicatSettings
from scicat_retriever.domain.dataset import CataloguedDatablock, Dataset, OriginalFile, RetrieveJob
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.ports.catalogue import JobUpdate, LifecycleUpdate, ListedJob, Visibility

log = structlog.get_logger(__name__)


class Scicat:
    """A SciCat backend, over HTTP; keeps the promises of the port `Catalogue`. May be used from any thread.

    Only SciCat's own habits are met here: a request is repeated once after a fresh login, and an update that
    was answered with an error is looked for once, since it may be stored all the same. Trying again later is
    the caller's business.
    """

    def __init__(
        self,
        settings: ScicatSettings,
        *,
        clock: Callable[[], float] = time.time,
        transport: httpx2.BaseTransport | None = None,
        longest_job: int | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the client; nothing is sent yet.

        Args:
            settings: Where SciCat is, and the account.
            clock: Gives seconds since the epoch, by which the login is renewed.
            transport: Carries the requests in place of the network.
            longest_job: Most bytes of a job that is carried out; None takes any.
            monotonic: Gives the seconds of a clock that is never set, by which answers are bounded.
        """
        if settings.can_be_overheard:
            log.warning(
                "SciCat is spoken to over http: whoever is on the way reads the account's password and tokens; use https",
                url=settings.root,
            )
        self._session = Session(settings, clock, transport, monotonic)
        self._datasets = Datasets(self._session)
        self._datablocks = Datablocks(self._session, self._datasets)
        self._original_files = OriginalFiles(self._session)
        self._jobs = Jobs(self._session, longest_job)
        self._open_jobs = OpenJobs(self._session, self._jobs)
        self._lifecycle = Lifecycle(self._session, self._datasets)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def job(self, job_id: JobId) -> RetrieveJob:
        """Read a job with its dataset list; see `Catalogue.job`."""
        return self._jobs.read(job_id)

    def open_jobs(self, types: Collection[str]) -> Iterator[ListedJob]:
        """Give all open jobs; see `Catalogue.open_jobs`. Nothing is sent before the first is asked for."""
        return self._open_jobs.read(types)

    def visibility(self, witness: JobId | None) -> Visibility:
        """Say whether an empty list of jobs can be believed; see `Catalogue.visibility`."""
        return self._open_jobs.visibility(witness)

    def account(self) -> str | None:
        """Give the name that SciCat records for our updates; see `Catalogue.account`."""
        return self._session.account

    def dataset(self, pid: DatasetPid) -> Dataset:
        """Read what the catalogue declares of a dataset; see `Catalogue.dataset`."""
        return self._datasets.read(pid)

    def datablocks(self, pid: DatasetPid) -> Iterator[CataloguedDatablock]:
        """Give all datablocks of a dataset; see `Catalogue.datablocks`.

        Nothing is sent before the first is asked for.
        """
        return self._datablocks.read(pid)

    def original_files(self, pid: DatasetPid) -> Iterator[OriginalFile]:
        """Give the files as they were before the dataset was archived; see `Catalogue.original_files`."""
        return self._original_files.read(pid)

    def update_job(self, job_id: JobId, update: JobUpdate) -> None:
        """Tell SciCat a job's state; see `Catalogue.update_job`."""
        self._jobs.update(job_id, update)

    def update_lifecycle(self, pid: DatasetPid, update: LifecycleUpdate) -> None:
        """Tell SciCat a dataset's state; see `Catalogue.update_lifecycle`."""
        self._lifecycle.update(pid, update)
