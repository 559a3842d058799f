"""Titles, links and downloads in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from threading import Lock

from scicat_retriever.domain.errors import JobNotFound
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.ports.downloads import Download, DownloadEnd, DownloadSum
from scicat_retriever.ports.jobs import JobDatasetRecord
from scicat_retriever.ports.titles import Title


class InMemoryTitles:
    """Keeps what SciCat calls each dataset.

    Args:
        datasets: Gives the datasets of a job.
    """

    def __init__(self, datasets: Callable[[JobId], Sequence[JobDatasetRecord]]) -> None:
        self._datasets = datasets
        self._titles: dict[DatasetPid, Title] = {}

    def note(self, pid: DatasetPid, title: Title) -> None:
        self._titles[pid] = title

    def of(self, job_id: JobId) -> Mapping[DatasetPid, Title]:
        return {
            each.pid: self._titles[each.pid] for each in self._datasets(job_id) if each.pid in self._titles
        }


class InMemoryLinks:
    """Counts how often the links of each job were revoked.

    Args:
        job: Gives a job; None where there is none.
    """

    def __init__(self, job: Callable[[JobId], object | None]) -> None:
        self._job = job
        self._revoked: Counter[JobId] = Counter()

    def serial(self, job_id: JobId) -> int:
        return self._revoked[job_id]

    def revoke(self, job_id: JobId) -> int:
        if self._job(job_id) is None:
            raise JobNotFound(f"the ledger has no job {job_id}")
        self._revoked[job_id] += 1
        return self._revoked[job_id]


class InMemoryDownloads:
    """Keeps downloads in a dict."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._count = 0
        self._kept: dict[str, tuple[int, Download]] = {}

    def note(self, downloads: Sequence[Download]) -> None:
        with self._lock:
            for each in downloads:
                number, known = self._kept.get(each.id, (0, None))
                if not number:
                    self._count += 1
                    number = self._count
                if known is None or known.end is DownloadEnd.RUNNING:
                    self._kept[each.id] = number, each

    def find(
        self, job_id: JobId | None = None, before: int | None = None, limit: int = 100
    ) -> Sequence[tuple[int, Download]]:
        with self._lock:
            rows = [
                (number, each)
                for number, each in sorted(self._kept.values(), key=lambda row: -row[0])
                if (before is None or number < before) and job_id in (None, each.job_id)
            ]
        return rows[:limit]

    def sums(self, job_ids: Sequence[JobId]) -> Sequence[DownloadSum]:
        with self._lock:
            of = {job_id: [e for _, e in self._kept.values() if e.job_id == job_id] for job_id in job_ids}
        return [
            DownloadSum(job_id, len(its), sum(e.sent or 0 for e in its), max(e.began for e in its))
            for job_id, its in of.items()
            if its
        ]

    def forget(self, before: datetime, limit: int) -> int:
        with self._lock:
            old = sorted((e.began, e.id) for _, e in self._kept.values() if e.began < before)[:limit]
            for _, its in old:
                del self._kept[its]
        return len(old)
