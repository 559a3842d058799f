"""The service as the ledger sees it: flows of jobs and datasets whose steps are those of the product, and no bytes.

What a flow asks of space, and what its outcome means to a job, is the product's own code on a real ledger. Catalogue, stores
and files are numbers. A step that is retried by the engine is a loop here, with a pause in which all others may go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from scicat_retriever.domain.dataset import CataloguedDatablock, Datablock, FileEntry, RetrieveJob, Selection
from scicat_retriever.domain.errors import (
    Failure,
    JobCancelled,
    NoSpaceYet,
    RetrieverError,
)
from scicat_retriever.domain.evidence import Copied, DatablockKey, Integrity, Recalled, Staged, Verified
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.pipeline.jobs import outcome
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.staging import eviction, space
from scicat_retriever.pipeline.tools.archive_policy import ArchivePolicy
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from scicat_retriever.pipeline.tools.links import LinkSigner
from scicat_retriever.pipeline.tools.stores import DEFAULT_STORE, Stores
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.jobs import FlowName
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.reports import Subject
from tests.fakes.catalogue import InMemoryCatalogue
from tests.fakes.long_term_store import InMemoryLongTermStore
from tests.fakes.staging_area import InMemoryStagingArea
from tests.liveness.cases import Case, Wish
from tests.liveness.play import Actor, Stage, Step
from tests.unit.pipeline.rig import CACHE

HOUR = timedelta(hours=1)
RETENTION = 24 * HOUR
LOOK_EVERY = 3
"""Steps after which the sums are looked at: that is as much work as the steps."""
OTHER_STORE = "other"
GROUP = "p17"
_NOT_ENDED = (DatasetState.SUBMITTED, DatasetState.STARTED)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class JobFlow:
    """What a job's flow knows: the datasets that it waits for, whether it has its space, and why it ends early."""

    waiting: list[DatasetPid] = field(default_factory=list)
    has_space: bool = False
    failure: Failure | None = None


class Run:
    """A dataset's flow.

    Args:
        name: Names the run in the ledger.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.jobs: set[JobId] = set()


class World:
    """Jobs and datasets under way on one ledger.

    Args:
        case: What is asked for.
        ledger: An empty ledger that goes by `clock`.
        clock: The time.
    """

    def __init__(self, case: Case, ledger: Ledger, clock: Clock) -> None:
        self.case = case
        self.ledger = ledger
        self.clock = clock
        self.stage = Stage(self._an_hour_later, self._look)
        self.runs: dict[DatasetPid, Run] = {}
        self.outcomes: dict[tuple[JobId, DatasetPid], tuple[Failure, ...]] = {}
        self.cancelled: set[JobId] = set()
        self.jobs = {JobId(f"job {number}"): wish for number, wish in enumerate(case.jobs)}
        self._flows = 0
        self.tools = Toolbox(
            catalogue=InMemoryCatalogue(),
            stores=Stores({DEFAULT_STORE: InMemoryLongTermStore(), OTHER_STORE: InMemoryLongTermStore()}),
            staging=InMemoryStagingArea(case.total, clock),
            ledger=ledger,
            links=LinkSigner([b"a key of the tests, 32 bytes long"], "https://retriever.example.org"),
            checksums=ChecksumPolicy(),
            archives=ArchivePolicy(check_packed_size=False),
            silence=3 * HOUR,
            retention=RETENTION,
            margin=timedelta(0),
            cache=replace(CACHE, default_quota=case.quota),
            stall_timeout=10.0,
            clock=clock,
        )
        for job_id, wish in self.jobs.items():
            selections = tuple(Selection(DatasetPid(pid), _files(chosen)) for pid, chosen in wish.items())
            ledger.jobs.add(RetrieveJob(job_id, "retrieve", selections, "ada", GROUP), FlowName("1", job_id))
            self._begin(job_id)

    def play(self, choose: Callable[[int], int | None] = lambda _: None) -> None:
        """Play all to their end.

        Raises:
            Stuck: They do not come to one.
            AssertionError: Something else is wrong then.
        """
        cues: dict[int, list[Callable[[], None]]] = {}
        for at, what, whom in self.case.events:
            job_id = JobId(f"job {whom % len(self.jobs)}")
            cues.setdefault(at, []).append(lambda what=what, job_id=job_id: EVENTS[what](self, job_id))  # type: ignore[misc]
        self.stage.play(choose, cues)
        for job_id in self.jobs:
            record = self.ledger.jobs.get(job_id)
            assert record is not None
            assert record.state.finished, f"{job_id} is {record.state}"
        self.ledger.claims.end_idle()
        usage = self.ledger.inventory.usage()
        assert (usage.claimed, usage.waiting_jobs, self.ledger.inventory.recount()) == (0, 0, 0)

    # What happens beside.

    def cancel(self, job_id: JobId) -> None:
        """Somebody cancels a job."""
        if self._is_under_way(job_id):
            self.cancelled.add(job_id)

    def retry(self, job_id: JobId) -> None:
        """Somebody retries a job that has ended."""
        if not self._is_under_way(job_id):
            self._tell(job_id)
            try:
                self.ledger.jobs.retry(job_id, self._new_flow())
            except RetrieverError:
                return
            self.cancelled.discard(job_id)
            self._begin(job_id)

    def restart(self, job_id: JobId) -> None:
        """The engine loses all flows: that of the job begins anew, as those of all others, and those of datasets are gone."""
        del job_id
        self.stage.actors.clear()
        lost, self.runs = self.runs, {}
        self.outcomes.clear()
        for name in self.jobs:
            record = self.ledger.jobs.get(name)
            if record is not None and not record.state.finished:
                self.ledger.job_flows.restart(name, self._new_flow(), record.attempt)
                self._begin(name)
        for pid, run in lost.items():
            self._discard(pid, run.name)

    def lose(self, job_id: JobId) -> None:
        """The file of a staged datablock is lost."""
        staged = self.ledger.inventory.staged_after(None, 100)
        if staged:
            self.ledger.cache.withdraw(
                staged[len(job_id + str(self.stage.steps)) % len(staged)].key, "its file is gone"
            )

    # The flow of a job.

    def _begin(self, job_id: JobId) -> None:
        self._flows += 1
        self.stage.enter(f"{job_id}, flow {self._flows}", self._retrieve_job(job_id, self.jobs[job_id]))

    def _retrieve_job(self, job_id: JobId, wish: Wish) -> Actor:
        flow = JobFlow()
        self.ledger.jobs.move(job_id, JobState.IN_PROGRESS)
        self._measure(job_id, wish)
        yield Step.DONE
        while flow.failure is None:
            if job_id in self.cancelled:
                flow.failure = JobCancelled("cancelled").failure()
            elif self._note_outcome(job_id, flow):
                yield Step.DONE
            elif not flow.has_space:
                yield self._claim(job_id, flow)
            elif self._ask_for_next(job_id, flow):
                yield Step.DONE
            elif flow.waiting:
                yield Step.WAITS
            else:
                break
        for pid in flow.waiting:
            if pid in self.runs:
                self.runs[pid].jobs.discard(job_id)
        self._check_brought(job_id)
        report.close_job(job_id, flow.failure, self.tools)
        self._tell(job_id)

    def _note_outcome(self, job_id: JobId, flow: JobFlow) -> bool:
        """Take note of a dataset that has ended; False where there is none."""
        ended = next((pid for pid in flow.waiting if (job_id, pid) in self.outcomes), None)
        if ended is None:
            return False
        flow.waiting.remove(ended)
        failures = self.outcomes.pop((job_id, ended))
        has_ended = outcome.note_outcome(job_id, ended, failures, self.tools)
        if not has_ended and outcome.gave_back(failures):
            flow.has_space = False
        return True

    def _claim(self, job_id: JobId, flow: JobFlow) -> Step:
        try:
            space.claim_job(job_id, self.tools)
        except NoSpaceYet:
            return Step.WAITS
        except RetrieverError as error:
            flow.failure = error.failure()
        else:
            flow.has_space = True
        return Step.DONE

    def _ask_for_next(self, job_id: JobId, flow: JobFlow) -> bool:
        """Ask for a dataset that has not ended for the job; False where there is none, or all that it may ask for are."""
        if len(flow.waiting) == self.case.parallel:
            return False
        for each in self.ledger.jobs.datasets(job_id):
            if each.state in _NOT_ENDED and each.pid not in flow.waiting:
                self.ledger.jobs.move_dataset(job_id, each.pid, DatasetState.STARTED)
                self._subscribe(job_id, each.pid)
                flow.waiting.append(each.pid)
                return True
        return False

    def _measure(self, job_id: JobId, wish: Wish) -> None:
        for pid, chosen in wish.items():
            name = DatasetPid(pid)
            if chosen:
                blocks = self.case.datasets[pid]
                ids = [key.id for key in (_key(name, number) for number in chosen)]
                size = sum(blocks[number].packed for number in chosen)
                self.ledger.needs.note_choice(job_id, name, ids, size, None)
            elif name in self.ledger.claims.datasets_without_size(job_id, 9):
                self.ledger.claims.note_sizes(job_id, {name: self.case.declared[pid]})

    # The flow of a dataset.

    def _subscribe(self, job_id: JobId, pid: DatasetPid) -> None:
        run = self.runs.get(pid)
        if run is None:
            self._flows += 1
            run = self.runs[pid] = Run(f"run {self._flows} of {pid}")
            self.stage.enter(run.name, self._retrieve_dataset(pid, run))
        run.jobs.add(job_id)

    def _retrieve_dataset(self, pid: DatasetPid, run: Run) -> Actor:
        failures: tuple[Failure, ...] = ()
        try:
            yield Step.DONE
            self.ledger.datablocks.plan(pid, self._entries(pid), run.name)
            yield from self._grow(pid, run)
            for record in self.ledger.datablocks.of(pid):
                if record.wanted and record.state is not DatablockState.STAGED:
                    yield from self._bring(record, run)
            self.ledger.claims.end(pid)
        except RetrieverError as error:
            failures = (error.failure(),)
            yield Step.DONE
            self._discard(pid, run.name)
        if self.runs.get(pid) is run:
            del self.runs[pid]
        for job_id in sorted(run.jobs):
            self.outcomes[job_id, pid] = failures

    def _bring(self, record: DatablockRecord, run: Run) -> Actor:
        key = record.key
        block = self.case.datasets[key.pid][int(key.id)]
        sizes = [("lts", block.real)] + ([] if block.other is None else [(OTHER_STORE, block.other)])
        for store, size in sizes:
            if store == OTHER_STORE:
                self.ledger.datablocks.read_from(key, store, "the first copy is no good")
            yield Step.DONE
            self._still_wanted(run)
            self.ledger.datablocks.move(key, DatablockState.RECALLING)
            if size != block.packed:
                self.ledger.datablocks.note_progress(key, 0, size)
                yield from self._grow(key.pid, run)
                self.ledger.datablocks.move(key, DatablockState.RECALLING)
            self.ledger.datablocks.move(key, DatablockState.COPYING)
            yield Step.DONE
            self.ledger.copies.save(_copied(key, size, f"{run.name} {key.id}"), b"manifest")
        yield Step.DONE
        copied = self.ledger.copies.get(key)
        assert copied is not None
        self.ledger.copies.save_staged(Staged(Verified(copied, Integrity.VERIFIED, 1)))

    def _grow(self, pid: DatasetPid, run: Run) -> Actor:
        while True:
            self._still_wanted(run)
            try:
                space.claim_dataset(pid, self.tools)
            except NoSpaceYet:
                yield Step.WAITS
            else:
                return

    def _still_wanted(self, run: Run) -> None:
        if not run.jobs:
            raise JobCancelled("nobody waits for it any longer")

    def _discard(self, pid: DatasetPid, run: str) -> None:
        for record in self.ledger.datablocks.of(pid):
            began = record.wanted or record.state is not DatablockState.PLANNED
            ended = record.state in {DatablockState.STAGED, DatablockState.RELEASED}
            if record.run == run and began and not ended:
                self.ledger.datablocks.move(record.key, DatablockState.FAILED, "its run failed")
        self.ledger.claims.end(pid)

    # What there is.

    def _entries(self, pid: DatasetPid) -> Sequence[CataloguedDatablock]:
        return [_entry(pid, number, block.packed) for number, block in enumerate(self.case.datasets[pid])]

    def _is_under_way(self, job_id: JobId) -> bool:
        record = self.ledger.jobs.get(job_id)
        return record is not None and not record.state.finished

    def _new_flow(self) -> FlowName:
        self._flows += 1
        return FlowName(str(self._flows), f"flow {self._flows}")

    def _tell(self, job_id: JobId) -> None:
        for told in self.ledger.reports.find(Subject.job(job_id)):
            self.ledger.reports.delivered(told.number)

    def _an_hour_later(self) -> None:
        self.clock.now += HOUR
        eviction.sweep(self.tools)

    def _look(self) -> None:
        if self.stage.steps % LOOK_EVERY == 0:
            usage = self.ledger.inventory.usage()
            assert usage.staged + usage.claimed <= self.case.total, "more is promised than there is"

    def _check_brought(self, job_id: JobId) -> None:
        if any(what in {"lose", "retry"} for _, what, _ in self.case.events):
            return
        for each in self.ledger.jobs.datasets(job_id):
            if each.state is DatasetState.RETRIEVED:
                assert self.ledger.needs.is_brought(job_id, each.pid), f"{each.pid} is not there for {job_id}"


EVENTS: dict[str, Callable[[World, JobId], None]] = {
    "cancel": World.cancel,
    "retry": World.retry,
    "restart": World.restart,
    "lose": World.lose,
}
"""What may happen beside, by name."""


def _files(chosen: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"file {number}" for number in chosen)


def _key(pid: DatasetPid, number: int) -> DatablockKey:
    return DatablockKey(pid, DatablockId(str(number)))


def _entry(pid: DatasetPid, number: int, packed: int) -> CataloguedDatablock:
    archive = ArchiveId(f"{pid}-{number}.tar")
    block = Datablock(_key(pid, number).id, pid, archive, packed, packed, "md5", 1)
    return CataloguedDatablock(block, (FileEntry(f"file {number}", packed, "0" * 32),))


def _copied(key: DatablockKey, size: int, token: str) -> Copied:
    recalled = Recalled(key, ArchiveId(f"{key.pid}-{key.id}.tar"), size)
    return Copied(recalled, size, "xxh3-128:" + "ab" * 16, "seal", 1, token, "receipt")
