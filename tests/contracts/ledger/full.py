"""A ledger with rows of every kind; run as a program it writes one down as the fixture of the schema of today.

    python -m tests.contracts.ledger.full >tests/contracts/ledger/released/r0006.sql

Do so before the schema is changed that a released version has: `test_releases.py` upgrades each of them.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from scicat_retriever.domain.dataset import RetrieveJob, Selection
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState, LifecycleWord, RecallPhase
from scicat_retriever.ledger.sql import open_ledger
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.downloads import Download, DownloadEnd
from scicat_retriever.ports.jobs import FlowName
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.long_term_store import TapePosition
from scicat_retriever.ports.recalls import RecallChange
from scicat_retriever.ports.reports import Subject
from scicat_retriever.ports.staging_area import Room
from scicat_retriever.ports.titles import Title
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
    part_of,
    tell_all,
)

SHORT, FAILED, CANCELLED, KEPT = JobId("short"), JobId("failed"), JobId("cancelled"), JobId("kept")
CHOSEN = JobId("chosen")
R, S = DatasetPid("20.500.12345/r"), DatasetPid("20.500.12345/s")
FAR = START.replace(year=2126)
ROOM = Room(100_000, None)


def fill(ledger: Ledger, clock: HandClock) -> None:
    """Write rows of every kind into an empty ledger."""
    _datablocks(ledger)
    _kept(ledger)
    ledger.remarks.note(P, ODD)
    ledger.jobs.add(job(SHORT), FlowName("0", "never started"))
    for name in (JOB, FAILED, CANCELLED):
        ledger.jobs.add(job(name, P, Q), FLOW)
        ledger.job_flows.mark_started([name])
        clock.advance(HOUR)
    ledger.jobs.move(JOB, JobState.IN_PROGRESS, ODD)
    ledger.jobs.move_dataset(JOB, P, DatasetState.STARTED)
    ledger.jobs.note_waiting(P, "waiting for SciCat")
    ledger.jobs.move_dataset(JOB, Q, DatasetState.FAILED, [FAILURE])
    ledger.jobs.move(FAILED, JobState.UNSUCCESSFUL, "too late", FAILURE)
    ledger.jobs.retry(FAILED, FlowName("2", "again"), [P])
    ledger.jobs.move(FAILED, JobState.UNSUCCESSFUL, "too late again", FAILURE)
    ledger.claims.note_sizes(JOB, {P: 3000, Q: 2000})
    ledger.claims.for_job(JOB, ROOM, silence=HOUR)
    ledger.claims.for_job(CANCELLED, Room(1000, None), silence=HOUR)
    ledger.jobs.cancel(CANCELLED, "ada")
    ledger.job_flows.mark_cancel_told(CANCELLED, 1)
    _recalls(ledger)
    _chosen(ledger)
    _reports(ledger)
    ledger.findings.note("catalogue", {"open": 3, "visibility": "visible"})
    ledger.ownership.identity()
    ledger.ownership.note_marked("/staging/of the last year")
    ledger.titles.note(P, Title(ODD, None))
    ledger.titles.note(R, Title("Battery, run 3", "/data/2026/battery"))
    ledger.links.revoke(KEPT)
    ledger.downloads.note(
        [Download("one", "link 1a2b", ODD, 0, 9, START, START + HOUR, KEPT, 10, DownloadEnd.WHOLE)]
    )


def _datablocks(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, entries(3), "run-1")
    bring_to(ledger, key(0), DatablockState.STAGED)
    ledger.inventory.want_check(key(0))
    bring_to(ledger, key(1), DatablockState.COPYING)
    ledger.datablocks.note_progress(key(1), 300, 2000)
    ledger.datablocks.plan(Q, [entry(0, Q, algorithm=None), entry(1, Q)], "run-1")
    bring_to(ledger, key(0, Q), DatablockState.RELEASED)
    bring_to(ledger, key(1, Q), DatablockState.FAILED)


def _kept(ledger: Ledger) -> None:
    """A job that has ended, and whose dataset is kept for a century; somebody else pins it, too."""
    ledger.datablocks.plan(R, entries(2, R), "run-1")
    ledger.jobs.add(job(KEPT, P, R), FLOW)
    ledger.job_flows.mark_started([KEPT])
    ledger.claims.for_job(KEPT, ROOM, silence=HOUR)
    ledger.jobs.move(KEPT, JobState.IN_PROGRESS)
    bring_to(ledger, key(0, R), DatablockState.STAGED)
    bring_to(ledger, key(1, R), DatablockState.STAGED)
    ledger.jobs.move_dataset(KEPT, P, DatasetState.FAILED, [FAILURE])
    ledger.jobs.move_dataset(KEPT, R, DatasetState.RETRIEVED)
    ledger.pins.keep_for_job(KEPT, FAR)
    ledger.pins.pin(R, "ada", START + HOUR)
    ledger.jobs.move(KEPT, JobState.WITH_DATASET_ERRORS)
    tell_all(ledger, Subject.job(KEPT))


def _recalls(ledger: Ledger) -> None:
    """A recall that the store was asked for, and one whose turn has not come."""
    ledger.recalls.want([key(2)])
    tape, expected = TapePosition("VB1234", 17), START + HOUR
    ledger.recalls.change([RecallChange(key(2), RecallPhase.ASKED, "request-1", tape, expected, reason=ODD)])
    ledger.datablocks.plan(S, entries(1, S), "run-1", "mirror")
    ledger.recalls.want([key(0, S)])
    ledger.recalls.set_priority(JOB, 3)
    ledger.recalls.lead("lts", "planner-1", HOUR)


def _chosen(ledger: Ledger) -> None:
    """A job that chose two files of a dataset, which has one of them, in an extract."""
    selection = Selection(S, ("run/frame_0.h5", ODD))
    ledger.jobs.add(RetrieveJob(CHOSEN, "retrieve", (selection,), "ada", "p17"), FLOW)
    ledger.job_flows.mark_started([CHOSEN])
    part = part_of(0, S)
    ledger.needs.note_choice(CHOSEN, S, [part.datablock.id], 70, FAILURE, [part])


def _reports(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, LifecycleUpdate(LifecycleWord.STARTED))
    ledger.reports.tell_dataset(
        Q, LifecycleUpdate(LifecycleWord.FAILED, {"message": ODD}, integrity_check=False)
    )
    first, second, *_ = ledger.reports.find()
    ledger.reports.park(first.number, FAILURE)
    ledger.reports.postpone(second.number, FAILURE, START + HOUR)
    ledger.reports.claim("teller-1", HOUR)


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
