"""The book of links: how often the links of each job were revoked."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from scicat_retriever.domain.ids import JobId
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.schema import revoked_links
from scicat_retriever.ledger.rows.jobs import lock_job


class SqlLinks(Book):
    """Links, as `ports.links.Links` promises."""

    def serial(self, job_id: JobId) -> int:
        """The number that a job's good links carry."""
        wanted = select(revoked_links.c.times).where(revoked_links.c.job_id == job_id)
        with self._database.reading() as connection:
            return connection.scalar(wanted) or 0

    def revoke(self, job_id: JobId) -> int:
        """End all links of a job that were made until now."""
        its = revoked_links.c.job_id == job_id
        with self._database.writing() as connection:
            lock_job(connection, job_id)
            times = (connection.scalar(select(revoked_links.c.times).where(its)) or 0) + 1
            if times == 1:
                connection.execute(insert(revoked_links).values(job_id=job_id, times=1, at=self._clock()))
            else:
                connection.execute(update(revoked_links).where(its).values(times=times, at=self._clock()))
            return times
