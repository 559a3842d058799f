"""The book of remarks on datasets that are retrieved all the same."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, insert, select

from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.schema import job_datasets, remarks


class SqlRemarks(Book):
    """Remarks, as `ports.remarks.Remarks` promises."""

    def note(self, pid: DatasetPid, remark: str) -> None:
        """Note a remark on a dataset, for those who get it."""
        its = remarks.c.pid == pid
        with self._database.reading() as connection:
            if (connection.execute(select(remarks.c.remark).where(its)).scalar() or "") == remark:
                return
        with self._database.writing() as connection:
            self._database.lock(connection, "remark", pid)
            connection.execute(delete(remarks).where(its))
            if remark:
                connection.execute(insert(remarks).values(pid=pid, remark=remark))

    def of(self, job_id: JobId) -> Mapping[DatasetPid, str]:
        """The remarks on the datasets of a job."""
        c = job_datasets.c
        wanted = (
            select(remarks)
            .join(job_datasets, c.pid == remarks.c.pid)
            .where(c.job_id == job_id)
            .order_by(c.position)
        )
        with self._database.reading() as connection:
            return {DatasetPid(row.pid): row.remark for row in connection.execute(wanted)}
