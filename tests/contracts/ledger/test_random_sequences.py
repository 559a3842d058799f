"""Whatever is asked in whatever order, the ledger in memory and the one in a file say the same."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.domain.evidence import DatablockKey, Integrity
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState, LifecycleWord
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.ledger import FlowName, Ledger
from scicat_retriever.ports.outbox import Subject
from tests.contracts.ledger.rig import book_of
from tests.contracts.ledger.samples import (
    FAILURE,
    FLOW,
    HOUR,
    JOB,
    START,
    HandClock,
    P,
    Q,
    bring_to,
    copied,
    entry,
    files,
    job,
    key,
    staged,
)
from tests.fakes.ledger import InMemoryLedger

BLOCKS = [key(0), key(1), key(2), key(0, Q)]
blocks = st.sampled_from(BLOCKS)
sizes = st.integers(0, 120)
hours = st.integers(-3, 6).map(lambda number: START + number * HOUR)
seals = st.sampled_from(["seal", "another"])
ANOTHER = JobId("another job, for P alone")
jobs = st.sampled_from([JOB, ANOTHER])
pids = st.sampled_from([P, Q])
numbers = st.integers(1, 12)
tellers = st.sampled_from(["teller-1", "teller-2"])
subjects = jobs.map(Subject.job) | pids.map(Subject.dataset)
updates = st.sampled_from(LifecycleWord).map(LifecycleUpdate)


class TwoLedgers(RuleBasedStateMachine):
    """Asks both ledgers the same and compares all that can be seen."""

    template: Path

    @initialize()
    def open(self) -> None:
        self.clock = HandClock()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(self.template, self.folder / "ledger.db")
        self.fake = InMemoryLedger(self.clock)
        self.sql = SqlLedger(f"sqlite:///{self.folder / 'ledger.db'}", self.clock)
        self.both(lambda ledger: ledger.add_job(job(JOB, P, Q), FLOW))
        self.both(lambda ledger: ledger.add_job(job(ANOTHER, P), FLOW))

    def teardown(self) -> None:
        self.sql.close()
        shutil.rmtree(self.folder)

    def both(self, ask: Callable[[Ledger], Any]) -> None:
        answers = [_answer(ask, ledger) for ledger in (self.fake, self.sql)]
        assert answers[0] == answers[1]

    @rule(
        chosen=st.lists(st.sampled_from(BLOCKS[:3]), unique=True),
        changed=st.sets(st.sampled_from(BLOCKS[:3])),
        run=st.sampled_from(["run-1", "run-2"]),
    )
    def plan(self, chosen: list[DatablockKey], changed: set[DatablockKey], run: str) -> None:
        listed = [
            entry(BLOCKS.index(block), listed_files=files(3, "b") if block in changed else files())
            for block in chosen
        ]
        self.both(lambda ledger: ledger.plan(P, iter(listed), run))

    @rule(run=st.sampled_from(["run-1", "run-2"]))
    def plan_another(self, run: str) -> None:
        self.both(lambda ledger: ledger.plan(Q, [entry(0, Q)], run))

    @rule(block=blocks, state=st.sampled_from(DatablockState), until=hours)
    def bring(self, block: DatablockKey, state: DatablockState, until: Any) -> None:
        self.both(lambda ledger: bring_to(ledger, block, state, until))

    @rule(block=blocks, state=st.sampled_from(DatablockState), reason=st.sampled_from(["", "on tape"]))
    def move(self, block: DatablockKey, state: DatablockState, reason: str) -> None:
        self.both(lambda ledger: ledger.move_datablock(block, state, reason))

    @rule(block=blocks, done=sizes, total=st.none() | sizes)
    def note_progress(self, block: DatablockKey, done: int, total: int | None) -> None:
        self.both(lambda ledger: ledger.note_progress(block, done, total))

    @rule(block=blocks, size=sizes, free=sizes)
    def reserve(self, block: DatablockKey, size: int, free: int) -> None:
        self.both(lambda ledger: ledger.reserve(block, size, free))

    @rule(block=blocks)
    def forget_reservation(self, block: DatablockKey) -> None:
        self.both(lambda ledger: ledger.forget_reservation(block))

    @rule(block=blocks, seal=seals)
    def save_copy(self, block: DatablockKey, seal: str) -> None:
        self.both(lambda ledger: ledger.save_copy(copied(block, 64, seal), seal.encode()))

    @rule(block=blocks, seal=seals, integrity=st.sampled_from(Integrity), until=hours)
    def save_staged(self, block: DatablockKey, seal: str, integrity: Integrity, until: Any) -> None:
        self.both(lambda ledger: ledger.save_staged(staged(copied(block, 64, seal), integrity), until))

    @rule(pid=st.sampled_from([P, Q]), until=hours)
    def keep(self, pid: Any, until: Any) -> None:
        self.both(lambda ledger: ledger.keep(pid, until))

    @rule(block=blocks, now=hours)
    def release_expired(self, block: DatablockKey, now: Any) -> None:
        self.both(lambda ledger: ledger.release_expired(block, now))

    @rule(block=blocks)
    def forget_files(self, block: DatablockKey) -> None:
        self.both(lambda ledger: ledger.forget_files(block))

    @rule(which=jobs, state=st.sampled_from(JobState), failed=st.booleans())
    def move_job(self, which: JobId, state: JobState, failed: bool) -> None:
        self.both(lambda ledger: ledger.move_job(which, state, "said", FAILURE if failed else None))

    @rule(which=jobs, pid=pids, state=st.sampled_from(DatasetState), failed=st.booleans())
    def move_job_dataset(self, which: JobId, pid: DatasetPid, state: DatasetState, failed: bool) -> None:
        self.both(lambda ledger: ledger.move_job_dataset(which, pid, state, [FAILURE] * failed))

    @rule(which=jobs)
    def mark_flow_started(self, which: JobId) -> None:
        self.both(lambda ledger: ledger.mark_flow_started(which))

    @rule(which=jobs, attempt=st.integers(1, 4))
    def restart_job(self, which: JobId, attempt: int) -> None:
        self.both(lambda ledger: ledger.restart_job(which, FlowName(str(attempt), "restarted"), attempt))

    @rule(which=jobs, chosen=st.none() | st.sets(pids))
    def retry_job(self, which: JobId, chosen: set[DatasetPid] | None) -> None:
        self.both(lambda ledger: ledger.retry_job(which, FlowName("retry", "retried"), chosen))

    @rule(which=jobs, by=st.sampled_from(["ada", "bob"]))
    def cancel_job(self, which: JobId, by: str) -> None:
        self.both(lambda ledger: ledger.cancel_job(which, by))

    @rule(which=jobs, attempt=st.integers(1, 2))
    def mark_cancel_told(self, which: JobId, attempt: int) -> None:
        self.both(lambda ledger: ledger.mark_cancel_told(which, attempt))

    @rule(pid=pids, reason=st.sampled_from(["", "SciCat", "space"]))
    def note_waiting(self, pid: DatasetPid, reason: str) -> None:
        self.both(lambda ledger: ledger.note_waiting(pid, reason))

    @rule(pid=pids, update=updates)
    def tell_dataset(self, pid: DatasetPid, update: LifecycleUpdate) -> None:
        self.both(lambda ledger: ledger.tell_dataset(pid, update))

    @rule(which=jobs)
    def tell_job_again(self, which: JobId) -> None:
        self.both(lambda ledger: ledger.tell_job_again(which))

    @rule(teller=tellers, subject=st.none() | subjects)
    def claim(self, teller: str, subject: Subject | None) -> None:
        self.both(lambda ledger: ledger.claim_report(teller, HOUR, subject))

    @rule(teller=tellers, chosen=st.sets(numbers))
    def renew(self, teller: str, chosen: set[int]) -> None:
        self.both(lambda ledger: ledger.renew_claims(teller, chosen, 2 * HOUR))

    @rule(number=numbers)
    def told(self, number: int) -> None:
        self.both(lambda ledger: ledger.told(number))

    @rule(number=numbers, due_at=hours)
    def postpone(self, number: int, due_at: datetime) -> None:
        self.both(lambda ledger: ledger.postpone(number, FAILURE, due_at))

    @rule(number=numbers)
    def park(self, number: int) -> None:
        self.both(lambda ledger: ledger.park(number, FAILURE))

    @rule(subject=st.none() | subjects)
    def unpark(self, subject: Subject | None) -> None:
        self.both(lambda ledger: ledger.unpark(subject))

    @rule(name=st.sampled_from(["catalogue", "engine"]), count=st.integers(0, 9))
    def note_finding(self, name: str, count: int) -> None:
        self.both(lambda ledger: ledger.note_finding(name, {"count": count}))

    @rule(by=st.sampled_from([-48, -2, -1, 0, 1, 2, 3, 48]))
    def advance(self, by: int) -> None:
        self.clock.advance(by * HOUR)

    @invariant()
    def all_that_can_be_seen_is_the_same(self) -> None:
        for ask in (
            lambda ledger: [ledger.job(JOB), ledger.job_datasets(JOB), ledger.progress_of(JOB)],
            lambda ledger: [ledger.job(ANOTHER), ledger.job_datasets(ANOTHER)],
            lambda ledger: [ledger.jobs_to_start(9), ledger.started_jobs(0, 9), ledger.jobs_to_cancel(9)],
            lambda ledger: [ledger.reports(), ledger.reports(Subject.dataset(P)), ledger.count_reports()],
            lambda ledger: [ledger.findings(), ledger.recent_job()],
            lambda ledger: [ledger.datablocks(pid) for pid in (P, Q)],
            lambda ledger: [ledger.datablock(block) for block in BLOCKS],
            lambda ledger: [(ledger.copied(block), ledger.manifest(block)) for block in BLOCKS],
            lambda ledger: [list(ledger.files(block)) for block in BLOCKS],
            lambda ledger: ledger.expired(self.clock(), 9),
            lambda ledger: ledger.left_behind(9),
        ):
            self.both(ask)
        # The changes of one step come in any order; those of one datablock in theirs.
        books = [sorted(book, key=lambda t: t.subject) for book in (self.fake.transitions, book_of(self.sql))]
        assert books[0] == books[1]


def _answer(ask: Callable[[Ledger], Any], ledger: Ledger) -> Any:
    try:
        return ask(ledger)
    except RetrieverError as error:
        return error.code


def test_random_sequences_give_the_same_answers_in_memory_and_in_a_file(sqlite_template: Path) -> None:
    machine = type("Machine", (TwoLedgers,), {"template": sqlite_template})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        ),
    )
