"""The book of downloads: a row for each request that was answered with bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from scicat_retriever.domain.ids import JobId
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.schema import downloads
from scicat_retriever.ledger.database.statements import batches, total
from scicat_retriever.ports.downloads import Download, DownloadEnd, DownloadSum

_CHANGED = (
    update(downloads)
    .where(downloads.c.id == bindparam("its"), downloads.c.end == DownloadEnd.RUNNING)
    .values(sent=bindparam("its_sent"), end=bindparam("its_end"), seen=bindparam("its_seen"))
)


class SqlDownloads(Book):
    """Downloads, as `ports.downloads.Downloads` promises."""

    def note(self, given: Sequence[Download]) -> None:
        """Note downloads, each in place of what was noted under its id."""
        latest = {each.id: each for each in sorted(given, key=_is_ended)}
        with self._database.writing() as connection:
            for batch in batches(latest.values()):
                known = set(
                    connection.scalars(
                        select(downloads.c.id).where(downloads.c.id.in_([x.id for x in batch]))
                    )
                )
                if new := [_row(each) for each in batch if each.id not in known]:
                    connection.execute(insert(downloads), new)
                if changed := [_change(each) for each in batch if each.id in known]:
                    connection.execute(_CHANGED, changed)

    def find(
        self, job_id: JobId | None = None, before: int | None = None, limit: int = 100
    ) -> Sequence[tuple[int, Download]]:
        """Downloads with their numbers, the last one first."""
        page = select(downloads).order_by(downloads.c.number.desc()).limit(limit)
        if job_id is not None:
            page = page.where(downloads.c.job_id == job_id)
        if before is not None:
            page = page.where(downloads.c.number < before)
        with self._database.reading() as connection:
            return list(_numbered(connection.execute(page)))

    def sums(self, job_ids: Sequence[JobId]) -> Sequence[DownloadSum]:
        """The sums of these jobs."""
        c = downloads.c
        found: list[DownloadSum] = []
        with self._database.reading() as connection:
            for batch in batches(job_ids):
                wanted = select(
                    c.job_id,
                    func.count().label("requests"),
                    func.coalesce(total(c.sent), 0).label("sent"),
                    func.max(c.began).label("last"),
                )
                rows = connection.execute(wanted.where(c.job_id.in_(batch)).group_by(c.job_id))
                found += [
                    DownloadSum(JobId(row.job_id), row.requests, int(row.sent), row.last) for row in rows
                ]
        return found

    def forget(self, before: datetime, limit: int) -> int:
        """Remove downloads that began before a time."""
        old = (
            select(downloads.c.number)
            .where(downloads.c.began < before)
            .order_by(downloads.c.began)
            .limit(limit)
        )
        removed = 0
        with self._database.writing() as connection:
            for batch in batches(connection.scalars(old).all()):
                removed += connection.execute(delete(downloads).where(downloads.c.number.in_(batch))).rowcount
        return removed


def _row(each: Download) -> dict[str, Any]:
    return {
        "id": each.id,
        "job_id": each.job_id,
        "who": each.who,
        "what": each.what,
        "first": each.first,
        "last": each.last,
        "began": each.began,
        "seen": each.seen,
        "sent": each.sent,
        "end": each.end,
    }


def _change(each: Download) -> dict[str, Any]:
    return {"its": each.id, "its_sent": each.sent, "its_end": each.end, "its_seen": each.seen}


def _is_ended(each: Download) -> bool:
    return each.end is not DownloadEnd.RUNNING


def _numbered(rows: Iterable[Any]) -> Iterable[tuple[int, Download]]:
    for row in rows:
        job_id = None if row.job_id is None else JobId(row.job_id)
        yield (
            row.number,
            Download(
                row.id,
                row.who,
                row.what,
                row.first,
                row.last,
                row.began,
                row.seen,
                job_id,
                row.sent,
                DownloadEnd(row.end),
            ),
        )
