"""Jobs, datablocks and evidence to fill a ledger with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from scicat_retriever.domain.dataset import (
    CataloguedDatablock,
    Datablock,
    Extract,
    FileEntry,
    RetrieveJob,
    Selection,
)
from scicat_retriever.domain.errors import Actor, Cause, Failure
from scicat_retriever.domain.evidence import (
    NO_ODDITIES,
    Copied,
    DatablockKey,
    Integrity,
    Oddities,
    Recalled,
    Staged,
    Verified,
)
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid, JobId
from scicat_retriever.domain.likeness import Matched
from scicat_retriever.domain.states import DatablockState, JobState
from scicat_retriever.ports.jobs import FlowName
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.reports import Subject

START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
JOB = JobId("6f1c2a50-0000-4000-8000-000000000001")
FLOW = FlowName("11111111-1111-4111-8111-111111111111", "retrieve one")
P = DatasetPid("20.500.12345/p")
Q = DatasetPid("20.500.12345/q")
FAILURE = Failure("checksum_mismatch", "The file a/b differs.", Actor.OPERATOR, Cause.DATA, "archive-1.tar")
ODD = 'ä\\u0041 "quoted" \n\0 \ud800 \\ end'
"""Text that a database may trip over: NUL, a lone surrogate, backslashes, what looks like an escape."""


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> datetime:
        self.now += by
        return self.now


def job(job_id: str = JOB, *pids: DatasetPid) -> RetrieveJob:
    return RetrieveJob(JobId(job_id), "retrieve", tuple(Selection(pid) for pid in pids), "ada", "p17")


def key(number: int = 0, pid: DatasetPid = P) -> DatablockKey:
    return DatablockKey(pid, DatablockId(f"block-{number}"))


def files(count: int = 2, tag: str = "") -> tuple[FileEntry, ...]:
    return tuple(FileEntry(f"run{tag}/frame_{i}.h5", 10 + i, f"{i:032x}") for i in range(count))


def entry(
    number: int = 0,
    pid: DatasetPid = P,
    *,
    archive_id: str | None = None,
    size: int = 21,
    packed_size: int = 1000,
    algorithm: str | None = "md5",
    listed_files: Sequence[FileEntry] | None = None,
) -> CataloguedDatablock:
    entries = files() if listed_files is None else tuple(listed_files)
    name = ArchiveId(f"archive-{number}.tar" if archive_id is None else archive_id)
    block = Datablock(key(number, pid).id, pid, name, size, packed_size, algorithm, len(entries))
    return CataloguedDatablock(block, entries)


def entries(count: int, pid: DatasetPid = P) -> list[CataloguedDatablock]:
    return [entry(number, pid) for number in range(count)]


def part_of(number: int = 1, pid: DatasetPid = P) -> CataloguedDatablock:
    """An extract of a datablock with the first of its files."""
    whole = entry(number, pid).datablock
    block = replace(
        whole,
        id=DatablockId(f"{whole.id}~0123456789abcdef"),
        size=10,
        packed_size=70,
        file_count=1,
        extract=Extract(whole.id, whole.packed_size, ((0, 512), (2048, 1536))),
    )
    return CataloguedDatablock(block, files(1))


def copied(of: DatablockKey, size: int = 1024, seal: str = "seal", partial: str = "token") -> Copied:
    recalled = Recalled(of, ArchiveId(f"archive of {of.id}"), size)
    return Copied(recalled, size, "xxh3-128:" + "ab" * 16, seal, 2, partial, f"bytes:{size}")


def staged(
    of: Copied,
    integrity: Integrity = Integrity.VERIFIED,
    matched_by: tuple[Matched, ...] = (),
    oddities: Oddities = NO_ODDITIES,
) -> Staged:
    return Staged(Verified(of, integrity, 2, matched_by, oddities))


def bring_to(ledger: Ledger, of: DatablockKey, state: DatablockState, size: int = 1024) -> None:
    """Bring a planned datablock to a state, by the way that the flow takes; its copy has so many bytes."""
    if state in {DatablockState.FAILED, DatablockState.WAITING_FOR_SPACE}:
        ledger.datablocks.move(of, state)
    way = [DatablockState.RECALLING, DatablockState.COPYING, DatablockState.COPIED, DatablockState.STAGED]
    goal = DatablockState.STAGED if state is DatablockState.RELEASED else state
    for step in way[: way.index(goal) + 1] if goal in way else []:
        if step is DatablockState.COPIED:
            ledger.copies.save(copied(of, size), b"manifest of " + of.id.encode())
        elif step is DatablockState.STAGED:
            ledger.copies.save_staged(staged(copied(of, size)))
        else:
            ledger.datablocks.move(of, step)
    if state is DatablockState.RELEASED:
        ledger.datablocks.move(of, state)


def end(ledger: Ledger, job_id: JobId = JOB, state: JobState = JobState.UNSUCCESSFUL) -> None:
    """Bring a submitted job to an end that SciCat knows of."""
    if state is not JobState.UNSUCCESSFUL:
        ledger.jobs.move(job_id, JobState.IN_PROGRESS)
    ledger.jobs.move(job_id, state)
    tell_all(ledger, Subject.job(job_id))


def tell_all(ledger: Ledger, subject: Subject) -> None:
    """Have all that waits of a subject told."""
    for report in ledger.reports.find(subject):
        ledger.reports.delivered(report.number)
