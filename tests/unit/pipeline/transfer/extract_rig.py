"""A datablock of several files that was retrieved whole once and evicted, and jobs that choose some of them."""

from __future__ import annotations

from collections.abc import Mapping

from scicat_retriever.domain.dataset import CataloguedDatablock, RetrieveJob, Selection
from scicat_retriever.domain.ids import JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.pipeline.staging import space
from scicat_retriever.pipeline.transfer import publish
from scicat_retriever.ports.datablock_record import DatablockRecord
from tests.unit.pipeline.rig import JOB, PID, Rig, entries, tar

CONTENT = {f"run/{name}.dat": name.encode() * 2000 for name in ("one", "two", "three", "four", "five")}


def evict(rig: Rig) -> None:
    """Have nothing of the dataset in staging."""
    for record in rig.ledger.datablocks.of(PID):
        if record.state is DatablockState.STAGED:
            rig.ledger.datablocks.move(record.key, DatablockState.RELEASED)
            rig.staging.delete(record.key)
            rig.ledger.inventory.forget_files(record.key)


def known(
    rig: Rig,
    files: Mapping[str, bytes] = CONTENT,
    content: bytes | None = None,
    archive_id: str | None = None,
) -> CataloguedDatablock:
    """Archive a dataset of one datablock, and have it copied once."""
    packed = tar(files) if content is None else content
    block = rig.archive(content=packed, listed=entries(files), archive_id=archive_id)
    rig.staged_dataset(block)
    rig.ledger.claims.end(PID)
    evict(rig)
    rig.store.read.clear()
    return block


def choose(rig: Rig, *names: str, job: JobId = JOB) -> None:
    """Have a job in progress that chose files of the dataset, and has its space."""
    wish = RetrieveJob(job, "retrieve", (Selection(PID, names),))
    rig.catalogue.add_job(wish)
    intake.accept(wish, rig.ledger.jobs)
    rig.ledger.jobs.move(job, JobState.IN_PROGRESS)
    space.measure_job(job, rig.tools)
    space.claim_job(job, rig.tools)


def begun(rig: Rig, *names: str) -> DatablockRecord:
    """Have a job that chose files, whose dataset's run has begun; gives the one datablock that it needs."""
    choose(rig, *names)
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.STARTED)
    rig.plan_again("run-2")
    (record,) = rig.ledger.needs.datablocks(JOB, PID)
    return record


def bring(rig: Rig, job: JobId = JOB, run: str = "run-2") -> publish.Published:
    """Stage and publish all that is wanted, as the dataset's flow does."""
    rig.ledger.jobs.move_dataset(job, PID, DatasetState.STARTED)
    for record in rig.plan_again(run):
        if record.wanted and record.state is not DatablockState.STAGED:
            rig.stage(record)
    published = publish.publish(PID, rig.tools)
    rig.ledger.jobs.move_dataset(job, PID, DatasetState.RETRIEVED)
    return published


def staged_content(rig: Rig, record: DatablockRecord) -> bytes:
    with rig.staging.open_staged(record.key, rig.record(record.key).partial) as file:
        return file.read()
