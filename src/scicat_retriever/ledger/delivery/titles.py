"""The book of titles: what SciCat calls datasets."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, insert, select

from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.schema import job_datasets, titles
from scicat_retriever.ports.titles import Title


class SqlTitles(Book):
    """Titles, as `ports.titles.Titles` promises."""

    def note(self, pid: DatasetPid, title: Title) -> None:
        """Note a dataset's title, in place of the former one."""
        its = titles.c.pid == pid
        with self._database.reading() as connection:
            known = connection.execute(select(titles).where(its)).first()
        if known is not None and Title(known.name, known.source_folder) == title:
            return
        with self._database.writing() as connection:
            self._database.lock(connection, "title", pid)
            connection.execute(delete(titles).where(its))
            connection.execute(
                insert(titles).values(pid=pid, name=title.name, source_folder=title.source_folder)
            )

    def of(self, job_id: JobId) -> Mapping[DatasetPid, Title]:
        """The titles of a job's datasets."""
        c = job_datasets.c
        wanted = (
            select(titles)
            .join(job_datasets, c.pid == titles.c.pid)
            .where(c.job_id == job_id)
            .order_by(c.position)
        )
        with self._database.reading() as connection:
            return {
                DatasetPid(row.pid): Title(row.name, row.source_folder) for row in connection.execute(wanted)
            }
