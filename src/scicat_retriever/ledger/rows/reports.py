"""The row of a report: written in the transaction that caused the report, read back as a record."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, insert

from scicat_retriever.domain.states import JobState, LifecycleWord
from scicat_retriever.ledger.database.schema import reports
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.reports import Report, ReportKind, Subject


def write_report(
    connection: Connection, now: datetime, subject: Subject, content: JobState | LifecycleUpdate
) -> None:
    """Write a report that is due `now` (UTC)."""
    connection.execute(
        insert(reports).values(
            kind=subject.kind,
            name=subject.name,
            told=content.value if isinstance(content, JobState) else _lifecycle_json(content),
            created_at=now,
            due_at=now,
            attempts=0,
            failure=(),
            parked=False,
            undeliverable=False,
            dropped="",
            teller="",
        )
    )


def is_about(subject: Subject) -> ColumnElement[bool]:
    """The condition that a row of `reports` is about a subject."""
    return and_(reports.c.kind == subject.kind, reports.c.name == subject.name)


def report_record(row: Any) -> Report:  # noqa: ANN401
    """Give a row of `reports` as a record."""
    kind = ReportKind(row.kind)
    return Report(
        number=row.number,
        subject=Subject(kind, row.name),
        content=JobState(row.told) if kind is ReportKind.JOB else _lifecycle(row.told),
        created_at=row.created_at,
        due_at=row.due_at,
        attempts=row.attempts,
        failure=row.failure[0] if row.failure else None,
        parked=row.parked,
        dropped=row.dropped,
    )


def _lifecycle_json(update: LifecycleUpdate) -> str:
    kept = [update.status, dict(update.return_message), update.retrievable, update.integrity_check]
    return json.dumps(kept)


def _lifecycle(text: str) -> LifecycleUpdate:
    status, return_message, retrievable, integrity_check = json.loads(text)
    word = None if status is None else LifecycleWord(status)
    return LifecycleUpdate(word, return_message, retrievable, integrity_check)
