"""The steps' tools, made of fakes, and a small archive to send through them."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from scicat_retriever.domain.dataset import (
    CataloguedDatablock,
    Datablock,
    FileEntry,
    RetrieveJob,
    Selection,
)
from scicat_retriever.domain.evidence import Copied, DatablockKey
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.pipeline.jobs import intake, plan
from scicat_retriever.pipeline.recalls import recall
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.reports.patience import Patience
from scicat_retriever.pipeline.reports.teller import Teller
from scicat_retriever.pipeline.staging import space
from scicat_retriever.pipeline.tools.archive_policy import ArchivePolicy
from scicat_retriever.pipeline.tools.cache_policy import CachePolicy
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from scicat_retriever.pipeline.tools.links import LinkSigner
from scicat_retriever.pipeline.tools.stores import DEFAULT_STORE, Stores
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer import copy as transfer
from scicat_retriever.pipeline.transfer import publish
from scicat_retriever.ports.datablock_record import DatablockRecord
from tests.fakes.catalogue import InMemoryCatalogue
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.long_term_store import InMemoryLongTermStore
from tests.fakes.staging_area import InMemoryStagingArea

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LIFETIME, RETENTION = timedelta(days=7), timedelta(days=8)
PATIENCE = Patience(backoff_initial=10, backoff_maximum=40, report_timeout=3600)
SECRET = b"a key of the tests, 32 bytes long"
BASE_URL = "https://retriever.example.org"
PID = DatasetPid("20.500.12345/p")
JOB = JobId("6f1c2a50-0000-4000-8000-000000000001")
CACHE = CachePolicy(evict_to=0.5, spared=3600.0)
SILENCE = timedelta(minutes=15)
FILES = {"run/a.dat": b"alpha" * 200, "run/b.dat": b"", "run/sub/c.dat": b"\0gamma"}


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


def tar(files: Mapping[str, bytes], mode: Any = "w") -> bytes:
    """Pack files, in their order; `mode` may be `w:gz`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def entries(files: Mapping[str, bytes]) -> tuple[FileEntry, ...]:
    """List files as a catalogue does, with their sha256."""
    return tuple(
        FileEntry(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in files.items()
    )


def without_checksums(files: Mapping[str, bytes]) -> tuple[FileEntry, ...]:
    return tuple(replace(entry, digest=None) for entry in entries(files))


@dataclass
class Rig:
    """The fakes and the tools made of them."""

    clock: HandClock = field(default_factory=HandClock)
    catalogue: InMemoryCatalogue = field(default_factory=InMemoryCatalogue)
    store: InMemoryLongTermStore = field(default_factory=InMemoryLongTermStore)
    staging: InMemoryStagingArea = field(default_factory=InMemoryStagingArea)
    policy: ChecksumPolicy = field(default_factory=ChecksumPolicy)
    cache: CachePolicy = CACHE
    stall_timeout: float = 10.0
    archives: ArchivePolicy = field(default_factory=ArchivePolicy)

    def __post_init__(self) -> None:
        self.ledger = InMemoryLedger(self.clock)
        self.links = LinkSigner([SECRET], BASE_URL)
        self.tools = Toolbox(
            catalogue=self.catalogue,
            stores=Stores({DEFAULT_STORE: self.store}),
            staging=self.staging,
            ledger=self.ledger,
            links=self.links,
            checksums=self.policy,
            silence=SILENCE,
            retention=RETENTION,
            margin=RETENTION - LIFETIME,
            cache=self.cache,
            stall_timeout=self.stall_timeout,
            clock=self.clock,
            archives=self.archives,
        )

    def archive(
        self,
        number: int = 0,
        pid: DatasetPid = PID,
        *,
        content: bytes | None = None,
        listed: tuple[FileEntry, ...] | None = None,
        archive_id: str | None = None,
        algorithm: str | None = "sha256",
    ) -> CataloguedDatablock:
        """Put an archive into the store and describe it as the catalogue would."""
        packed = tar(FILES) if content is None else content
        files = entries(FILES) if listed is None else listed
        name = archive_id or f"{pid.rpartition('/')[2]}-{number}.tar"
        self.store.put(name, packed)
        block = Datablock(
            DatablockId(f"block-{number}"),
            pid,
            ArchiveId(name),
            sum(file.size for file in files),
            len(packed),
            algorithm,
            len(files),
        )
        return CataloguedDatablock(block, files)

    def plan(
        self, *blocks: CataloguedDatablock, pid: DatasetPid = PID, run: str = "run-1"
    ) -> list[DatablockRecord]:
        """Register a dataset of these datablocks (one by default) and plan it."""
        self.catalogue.add_dataset(pid, blocks or (self.archive(pid=pid),))
        return self.plan_again(run, pid)

    def plan_again(self, run: str, pid: DatasetPid = PID) -> list[DatablockRecord]:
        plan.plan_dataset(pid, run, self.tools)
        return list(self.ledger.datablocks.of(pid))

    def copy(self, record: DatablockRecord) -> Copied:
        """Claim the space of its dataset, recall and copy one datablock."""
        space.claim_dataset(record.key.pid, self.tools)
        recalled = recall.recall(record, self.tools)
        return transfer.copy(recalled, record, self.tools, progress=lambda _: None, cancelled=lambda: False)

    def stage(self, record: DatablockRecord) -> DatablockKey:
        """Bring one datablock all the way."""
        self.copy(record)
        publish.verify_and_stage(self.record(record.key), self.tools)
        return record.key

    def staged_dataset(self, *blocks: CataloguedDatablock, pid: DatasetPid = PID) -> list[DatablockRecord]:
        """Plan and stage a whole dataset."""
        for record in self.plan(*blocks, pid=pid):
            self.stage(record)
        return list(self.ledger.datablocks.of(pid))

    def teller(self, name: str = "teller-1", patience: Patience = PATIENCE) -> Teller:
        return Teller(name, self.tools, patience)

    def deliver(self) -> None:
        """Have the catalogue told all that waits, of the datasets first."""
        for waiting in sorted(self.ledger.reports.find(), key=lambda each: each.subject.kind):
            self.teller().tell_now(waiting.subject)

    def record(self, key: DatablockKey) -> DatablockRecord:
        found = self.ledger.datablocks.get(key)
        assert found is not None
        return found

    def job(self, *pids: DatasetPid, name: JobId = JOB, group: str | None = None) -> JobId:
        """Have a job for these datasets in progress, which has its space."""
        self.submit(*pids, name=name, group=group)
        space.claim_job(name, self.tools)
        return name

    def submit(
        self, *pids: DatasetPid, name: JobId = JOB, group: str | None = None, measure: bool = True
    ) -> JobId:
        """Have a job for these datasets in progress, whose size is known and which has not asked for space yet."""
        job = RetrieveJob(name, "retrieve", tuple(Selection(pid) for pid in pids), owner_group=group)
        self.catalogue.add_job(job)
        intake.accept(job, self.ledger.jobs)
        self.ledger.jobs.move(name, JobState.IN_PROGRESS)
        if measure:
            space.measure_job(name, self.tools)
        return name

    def retrieved(self, *pids: DatasetPid, name: JobId = JOB) -> JobId:
        """Have a job that has brought all its datasets, one datablock each, and has ended."""
        for pid in pids:
            self.catalogue.add_dataset(pid, (self.archive(pid=pid),))
        self.job(*pids, name=name)
        for pid in pids:
            for record in self.plan_again(f"run of {name}", pid):
                if record.state is not DatablockState.STAGED:
                    self.stage(record)
            publish.publish(pid, self.tools)
            self.ledger.jobs.move_dataset(name, pid, DatasetState.RETRIEVED)
        report.close_job(name, None, self.tools)
        return name
