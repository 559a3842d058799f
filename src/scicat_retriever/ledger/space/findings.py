"""The book of findings: the last one of each regular look."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import delete, insert, select

from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.schema import findings
from scicat_retriever.ports.findings import Finding


class SqlFindings(Book):
    """Findings, as `ports.findings.Findings` promises."""

    def note(self, name: str, found: Mapping[str, int | str]) -> None:
        """Keep what a look found, in place of what it found before."""
        with self._database.writing() as connection:
            self._database.lock(connection, "finding", name)
            connection.execute(delete(findings).where(findings.c.name == name))
            connection.execute(
                insert(findings).values(name=name, at=self._clock(), found=json.dumps(dict(found)))
            )

    def latest(self) -> Mapping[str, Finding]:
        """What each look found last."""
        with self._database.reading() as connection:
            rows = connection.execute(select(findings)).all()
        return {row.name: Finding(row.at, json.loads(row.found)) for row in rows}
