"""A ledger with rows of every kind; run as a program it writes one down as the fixture of the schema of today.

    python -m tests.contracts.ledger.full >tests/contracts/ledger/released/r0002.sql

Do so before the schema is changed that a released version has: `test_releases.py` upgrades each of them.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from scicat_retriever.domain.ids import JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState, LifecycleWord
from scicat_retriever.ledger.sql import open_ledger
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.ledger import FlowName, Ledger
from tests.contracts.ledger.samples import (
    FAILURE,
    FLOW,
    HOUR,
    JOB,
    ODD,
    START,
    HandClock,
    P,
    Q,
    bring_to,
    entries,
    entry,
    job,
    key,
)

SHORT, FAILED, CANCELLED = JobId("short"), JobId("failed"), JobId("cancelled")


def fill(ledger: Ledger, clock: HandClock) -> None:
    """Write rows of every kind into an empty ledger."""
    _datablocks(ledger)
    ledger.add_job(job(SHORT), FlowName("0", "never started"))
    for name in (JOB, FAILED, CANCELLED):
        ledger.add_job(job(name, P, Q), FLOW)
        ledger.mark_flow_started(name)
        clock.advance(HOUR)
    ledger.move_job(JOB, JobState.IN_PROGRESS, ODD)
    ledger.move_job_dataset(JOB, P, DatasetState.STARTED)
    ledger.note_waiting(P, "waiting for SciCat")
    ledger.move_job_dataset(JOB, Q, DatasetState.FAILED, [FAILURE])
    ledger.move_job(FAILED, JobState.UNSUCCESSFUL, "too late", FAILURE)
    ledger.retry_job(FAILED, FlowName("2", "again"), [P])
    ledger.move_job(FAILED, JobState.UNSUCCESSFUL, "too late again", FAILURE)
    ledger.cancel_job(CANCELLED, "ada")
    ledger.mark_cancel_told(CANCELLED, 1)
    _reports(ledger)
    ledger.note_finding("catalogue", {"open": 3, "visibility": "visible"})


def _datablocks(ledger: Ledger) -> None:
    ledger.plan(P, entries(3), "run-1")
    bring_to(ledger, key(0), DatablockState.STAGED)
    bring_to(ledger, key(1), DatablockState.COPYING)
    ledger.note_progress(key(1), 300, 2000)
    ledger.reserve(key(1), 2000, 10_000)
    ledger.plan(Q, [entry(0, Q, algorithm=None), entry(1, Q)], "run-1")
    bring_to(ledger, key(0, Q), DatablockState.RELEASED)
    bring_to(ledger, key(1, Q), DatablockState.FAILED)


def _reports(ledger: Ledger) -> None:
    ledger.tell_dataset(P, LifecycleUpdate(LifecycleWord.STARTED))
    ledger.tell_dataset(Q, LifecycleUpdate(LifecycleWord.FAILED, {"message": ODD}, integrity_check=False))
    first, second, *_ = ledger.reports()
    ledger.park(first.number, FAILURE)
    ledger.postpone(second.number, FAILURE, START + HOUR)
    ledger.claim_report("teller-1", HOUR)


def dump(file: Path) -> str:
    """Fill a new SQLite ledger and give its dump."""
    clock = HandClock()
    ledger = open_ledger(f"sqlite:///{file}", clock)
    fill(ledger, clock)
    ledger.close()
    with closing(sqlite3.connect(file)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(dump(Path(folder) / "ledger.db"))
