"""Whatever is asked in whatever order, the ledger in memory and the one in a file say the same."""

from __future__ import annotations

import pickle
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from scicat_retriever.domain.dataset import Selection
from scicat_retriever.domain.errors import DatasetUnknown, Failure, RetrieverError
from scicat_retriever.domain.evidence import DatablockKey, Integrity
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState, LifecycleWord, RecallPhase
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.onepass.manifest import SealedManifest
from scicat_retriever.ports.cache import EvictionOrder
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.jobs import FlowName
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.long_term_store import TapePosition
from scicat_retriever.ports.recalls import RecallChange
from scicat_retriever.ports.reports import Subject
from scicat_retriever.ports.staging_area import Room
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
    part_of,
    staged,
)
from tests.examples import examples
from tests.fakes.ledger import InMemoryLedger

PART = part_of()
BLOCKS = [key(0), key(1), key(2), key(0, Q), DatablockKey(P, PART.datablock.id)]
blocks = st.sampled_from(BLOCKS)
sizes = st.integers(0, 120)
hours = st.integers(-3, 6).map(lambda number: START + number * HOUR)
seals = st.sampled_from(["seal", "another"])
ANOTHER = JobId("another job, for P alone")
CHOOSER = JobId("a job that chose files of P")
JOBS = [JOB, ANOTHER, CHOOSER]
REFUSED = JobId("a job that is refused")
GONE = DatasetUnknown("SciCat has no such dataset").failure()
jobs = st.sampled_from(JOBS)
pids = st.sampled_from([P, Q])
numbers = st.integers(1, 12)
spaces = st.sampled_from([0, 64, 500, 1024, 3000])
rooms = st.builds(Room, spaces.map(lambda size: 2 * size), st.none() | spaces, st.just(0) | spaces)
owners = st.sampled_from(["ada", JOB, ANOTHER])
tellers = st.sampled_from(["teller-1", "teller-2"])
subjects = jobs.map(Subject.job) | pids.map(Subject.dataset)
updates = st.sampled_from(LifecycleWord).map(LifecycleUpdate)
stores = st.sampled_from(["lts", "mirror"])
recall_changes = st.builds(
    RecallChange,
    blocks,
    phase=st.none() | st.sampled_from(RecallPhase),
    request=st.none() | st.sampled_from(["", "request-1"]),
    tape=st.none() | st.sampled_from([TapePosition(""), TapePosition("VB1234", 7)]),
    expected_at=st.none() | hours,
    is_missing=st.none() | st.booleans(),
    reason=st.none() | st.sampled_from(["", "in the queue"]),
)


HOLDS_NOTHING = {"_lock", "_clock", *(book.name for book in fields(Ledger))}
"""The attributes of the fake that are not what it holds: its books are ways to that."""


class TwoLedgers(RuleBasedStateMachine):
    """Asks both ledgers the same and compares all that can be seen."""

    template: Path

    @initialize()
    def open(self) -> None:
        self.clock = HandClock()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(self.template, self.folder / "ledger.db")
        self.fake = InMemoryLedger(self.clock)
        self.file = sqlite3.connect(self.folder / "ledger.db", check_same_thread=False)
        self.compared: object = None
        self.sql = SqlLedger.at(f"sqlite:///{self.folder / 'ledger.db'}", self.clock)
        self.both(lambda ledger: ledger.jobs.add(job(JOB, P, Q), FLOW))
        self.both(lambda ledger: ledger.jobs.add(job(ANOTHER, P), FLOW))
        chosen = replace(job(CHOOSER), datasets=(Selection(P, ("a",)),))
        self.both(lambda ledger: ledger.jobs.add(chosen, FLOW))

    def teardown(self) -> None:
        self.sql.close()
        self.file.close()
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
        self.both(lambda ledger: ledger.datablocks.plan(P, iter(listed), run))

    @rule(run=st.sampled_from(["run-1", "run-2"]))
    def plan_another(self, run: str) -> None:
        self.both(lambda ledger: ledger.datablocks.plan(Q, [entry(0, Q)], run))

    @rule(block=blocks, state=st.sampled_from(DatablockState), size=spaces)
    def bring(self, block: DatablockKey, state: DatablockState, size: int) -> None:
        self.both(lambda ledger: bring_to(ledger, block, state, size))

    @rule(block=blocks, state=st.sampled_from(DatablockState), reason=st.sampled_from(["", "on tape"]))
    def move(self, block: DatablockKey, state: DatablockState, reason: str) -> None:
        self.both(lambda ledger: ledger.datablocks.move(block, state, reason))

    @rule(block=blocks, done=sizes, total=st.none() | sizes)
    def note_progress(self, block: DatablockKey, done: int, total: int | None) -> None:
        self.both(lambda ledger: ledger.datablocks.note_progress(block, done, total))

    @rule(block=blocks, seal=seals)
    def save_copy(self, block: DatablockKey, seal: str) -> None:
        self.both(lambda ledger: ledger.copies.save(copied(block, 64, seal), seal.encode()))

    @rule(block=blocks, seal=seals, integrity=st.sampled_from(Integrity))
    def save_staged(self, block: DatablockKey, seal: str, integrity: Integrity) -> None:
        self.both(lambda ledger: ledger.copies.save_staged(staged(copied(block, 64, seal), integrity)))

    @rule(chosen=st.lists(blocks, max_size=3))
    def want_recalls(self, chosen: list[DatablockKey]) -> None:
        self.both(lambda ledger: ledger.recalls.want(chosen))

    @rule(changes=st.lists(recall_changes, max_size=4))
    def change_recalls(self, changes: list[RecallChange]) -> None:
        self.both(lambda ledger: ledger.recalls.change(changes))

    @rule(store=stores)
    def forget_recalls(self, store: str) -> None:
        self.both(lambda ledger: ledger.recalls.forget(ledger.recalls.of_store(store)))

    @rule(store=stores, holder=tellers)
    def lead_recalls(self, store: str, holder: str) -> None:
        self.both(lambda ledger: ledger.recalls.lead(store, holder, HOUR))

    @rule(holder=tellers)
    def leave_recalls(self, holder: str) -> None:
        self.both(lambda ledger: ledger.recalls.leave(holder))

    @rule(block=blocks, store=stores)
    def read_from(self, block: DatablockKey, store: str) -> None:
        self.both(lambda ledger: ledger.datablocks.read_from(block, store, "lost on tape"))

    @rule(which=jobs, priority=st.integers(-1, 2))
    def set_priority(self, which: JobId, priority: int) -> None:
        self.both(lambda ledger: ledger.recalls.set_priority(which, priority))

    @rule(which=jobs, sizes=st.dictionaries(pids, spaces))
    def note_sizes(self, which: JobId, sizes: dict[DatasetPid, int]) -> None:
        self.both(lambda ledger: ledger.claims.note_sizes(which, sizes))

    @rule(which=jobs | st.just(CHOOSER), pid=pids, held=st.sets(blocks), size=spaces, some=st.booleans())
    def note_choice(
        self, which: JobId, pid: DatasetPid, held: set[DatablockKey], size: int, some: bool
    ) -> None:
        ids = [block.id for block in held if block.pid == pid]
        unknown = FAILURE if some else None
        parts = [PART] if PART.datablock.id in ids else []
        self.both(lambda ledger: ledger.needs.note_choice(which, pid, ids, size, unknown, parts))

    @rule(block=blocks)
    def read_whole(self, block: DatablockKey) -> None:
        self.both(lambda ledger: ledger.datablocks.read_whole(block, "not right"))

    @rule(which=jobs, room=rooms, wait=st.integers(0, 3), quota=st.none() | spaces)
    def claim_job(self, which: JobId, room: Room, wait: int, quota: int | None) -> None:
        self.both(lambda ledger: ledger.claims.for_job(which, room, silence=wait * HOUR, quota=quota))

    @rule(pid=pids, room=rooms, wait=st.integers(0, 3))
    def claim_dataset(self, pid: DatasetPid, room: Room, wait: int) -> None:
        self.both(lambda ledger: ledger.claims.for_dataset(pid, room, silence=wait * HOUR))

    @rule(which=jobs, pid=pids)
    def give_space_back(self, which: JobId, pid: DatasetPid) -> None:
        self.both(lambda ledger: ledger.claims.give_back(which, pid))

    @rule(pid=pids)
    def end_claim(self, pid: DatasetPid) -> None:
        self.both(lambda ledger: ledger.claims.end(pid))

    @rule()
    def end_idle_claims(self) -> None:
        self.both(lambda ledger: ledger.claims.end_idle())

    @rule(pid=pids, owner=owners, until=hours)
    def pin(self, pid: DatasetPid, owner: str, until: datetime) -> None:
        self.both(lambda ledger: ledger.pins.pin(pid, owner, until))

    @rule(which=jobs, until=hours)
    def keep_for_job(self, which: JobId, until: datetime) -> None:
        self.both(lambda ledger: ledger.pins.keep_for_job(which, until))

    @rule(owner=owners, pid=st.none() | pids)
    def unpin(self, owner: str, pid: DatasetPid | None) -> None:
        self.both(lambda ledger: ledger.pins.unpin(owner, pid))

    @rule(now=hours, limit=st.integers(0, 3))
    def lapse_pins(self, now: datetime, limit: int) -> None:
        self.both(lambda ledger: ledger.pins.lapse(now, limit))

    @rule(pid=pids, block=st.none() | blocks)
    def note_used(self, pid: DatasetPid, block: DatablockKey | None) -> None:
        self.both(lambda ledger: ledger.cache.note_used(pid, block))

    @rule(block=blocks, unused_since=hours, tell=st.none() | updates)
    def evict(self, block: DatablockKey, unused_since: datetime, tell: LifecycleUpdate | None) -> None:
        self.both(lambda ledger: ledger.cache.evict(block, unused_since, "its space was needed", tell))

    @rule(block=blocks)
    def withdraw(self, block: DatablockKey) -> None:
        self.both(lambda ledger: ledger.cache.withdraw(block, "damaged"))

    @rule(block=blocks)
    def note_checked(self, block: DatablockKey) -> None:
        self.both(lambda ledger: ledger.inventory.note_checked(block))

    @rule(block=blocks)
    def want_check(self, block: DatablockKey) -> None:
        self.both(lambda ledger: ledger.inventory.want_check(block))

    @rule(block=blocks, old=st.sampled_from(["seal", "another"]))
    def renew_manifest(self, block: DatablockKey, old: str) -> None:
        renewed = SealedManifest(b"renewed", "another", 2)
        self.both(lambda ledger: ledger.copies.renew_manifest(block, old, renewed))

    @rule(block=blocks)
    def forget_files(self, block: DatablockKey) -> None:
        self.both(lambda ledger: ledger.inventory.forget_files(block))

    @rule(which=jobs, state=st.sampled_from(JobState), failed=st.booleans())
    def move_job(self, which: JobId, state: JobState, failed: bool) -> None:
        self.both(lambda ledger: ledger.jobs.move(which, state, "said", FAILURE if failed else None))

    @rule(which=jobs, pid=pids, state=st.sampled_from(DatasetState), failed=st.booleans())
    def move_job_dataset(self, which: JobId, pid: DatasetPid, state: DatasetState, failed: bool) -> None:
        self.both(lambda ledger: ledger.jobs.move_dataset(which, pid, state, [FAILURE] * failed))

    @rule(which=jobs)
    def mark_flow_started(self, which: JobId) -> None:
        self.both(lambda ledger: ledger.job_flows.mark_started([which]))

    @rule(which=jobs, attempt=st.integers(1, 4))
    def restart_job(self, which: JobId, attempt: int) -> None:
        self.both(
            lambda ledger: ledger.job_flows.restart(which, FlowName(str(attempt), "restarted"), attempt)
        )

    @rule(which=jobs, chosen=st.none() | st.sets(pids))
    def retry_job(self, which: JobId, chosen: set[DatasetPid] | None) -> None:
        self.both(lambda ledger: ledger.jobs.retry(which, FlowName("retry", "retried"), chosen))

    @rule(which=jobs, by=st.sampled_from(["ada", "bob"]))
    def cancel_job(self, which: JobId, by: str) -> None:
        self.both(lambda ledger: ledger.jobs.cancel(which, by))

    @rule(which=jobs, attempt=st.integers(1, 2))
    def mark_cancel_told(self, which: JobId, attempt: int) -> None:
        self.both(lambda ledger: ledger.job_flows.mark_cancel_told(which, attempt))

    @rule(pid=pids, reason=st.sampled_from(["", "SciCat", "space"]))
    def note_waiting(self, pid: DatasetPid, reason: str) -> None:
        self.both(lambda ledger: ledger.jobs.note_waiting(pid, reason))

    @rule(pid=pids, update=updates)
    def tell_dataset(self, pid: DatasetPid, update: LifecycleUpdate) -> None:
        self.both(lambda ledger: ledger.reports.tell_dataset(pid, update))

    @rule(which=jobs)
    def tell_job_again(self, which: JobId) -> None:
        self.both(lambda ledger: ledger.reports.tell_job_again(which))

    @rule(teller=tellers, subject=st.none() | subjects)
    def claim(self, teller: str, subject: Subject | None) -> None:
        self.both(lambda ledger: ledger.reports.claim(teller, HOUR, subject))

    @rule(teller=tellers, chosen=st.sets(numbers))
    def renew(self, teller: str, chosen: set[int]) -> None:
        self.both(lambda ledger: ledger.reports.renew(teller, chosen, 2 * HOUR))

    @rule(number=numbers)
    def delivered(self, number: int) -> None:
        self.both(lambda ledger: ledger.reports.delivered(number))

    @rule(number=numbers, due_at=hours)
    def postpone(self, number: int, due_at: datetime) -> None:
        self.both(lambda ledger: ledger.reports.postpone(number, FAILURE, due_at))

    @rule(number=numbers, failure=st.sampled_from([FAILURE, GONE]))
    def park(self, number: int, failure: Failure) -> None:
        self.both(lambda ledger: ledger.reports.park(number, failure))

    @rule(chosen=st.sets(numbers, max_size=2))
    def drop(self, chosen: set[int]) -> None:
        self.both(lambda ledger: ledger.reports.drop(chosen, "why"))

    @rule(before=hours)
    def drop_undeliverable(self, before: datetime) -> None:
        self.both(lambda ledger: ledger.reports.drop_undeliverable(before, "too old"))

    @rule(job_id=st.sampled_from([*JOBS, REFUSED]))
    def refuse(self, job_id: JobId) -> None:
        self.both(lambda ledger: ledger.jobs.refuse(job(job_id, P), FLOW, FAILURE))

    @rule(subject=st.none() | subjects)
    def unpark(self, subject: Subject | None) -> None:
        self.both(lambda ledger: ledger.reports.unpark(subject))

    @rule(name=st.sampled_from(["catalogue", "engine"]), count=st.integers(0, 9))
    def note_finding(self, name: str, count: int) -> None:
        self.both(lambda ledger: ledger.findings.note(name, {"count": count}))

    @rule(by=st.sampled_from([-48, -2, -1, 0, 1, 2, 3, 48]))
    def advance(self, by: int) -> None:
        self.clock.advance(by * HOUR)

    def all_that_answers_come_from(self) -> object:
        """Differs as soon as the file was written to, the fake holds something else or time has passed."""
        (version,) = self.file.execute("PRAGMA data_version").fetchone()
        held = {name: each for name, each in vars(self.fake).items() if name not in HOLDS_NOTHING}
        return version, pickle.dumps(held), self.clock()

    @invariant()
    def all_that_can_be_seen_is_the_same(self) -> None:
        # Two of three steps are refused and change nothing, of which the answers are those compared before.
        if (now := self.all_that_answers_come_from()) == self.compared:
            return
        for ask in (
            lambda ledger: [ledger.jobs.get(JOB), ledger.jobs.datasets(JOB), ledger.needs.progress(JOB)],
            lambda ledger: [
                ledger.jobs.get(ANOTHER),
                ledger.jobs.datasets(ANOTHER),
                ledger.jobs.get(REFUSED),
            ],
            lambda ledger: [ledger.jobs.datasets(CHOOSER), ledger.needs.progress(CHOOSER)],
            lambda ledger: [(ledger.needs.datablocks(each, P), ledger.needs.waits(each)) for each in JOBS],
            lambda ledger: [ledger.needs.is_brought(each, pid) for each in JOBS for pid in (P, Q)],
            lambda ledger: [
                ledger.job_flows.to_start(9),
                ledger.job_flows.started(0, 9),
                ledger.job_flows.to_cancel(9),
            ],
            lambda ledger: [
                ledger.reports.find(),
                ledger.reports.find(Subject.dataset(P)),
                ledger.reports.count(),
            ],
            lambda ledger: [ledger.reports.find(dropped=False), ledger.reports.count_undeliverable()],
            lambda ledger: [ledger.findings.latest(), ledger.jobs.recent(), ledger.recalls.counts()],
            lambda ledger: [
                ledger.recalls.of_store("lts"),
                ledger.recalls.of_store("mirror"),
                ledger.recalls.of_dataset(P),
            ],
            lambda ledger: [ledger.datablocks.of(pid) for pid in (P, Q)],
            lambda ledger: [ledger.datablocks.get(block) for block in BLOCKS],
            lambda ledger: [(ledger.copies.get(block), ledger.copies.manifest(block)) for block in BLOCKS],
            lambda ledger: [ledger.copies.known_manifest(block) for block in BLOCKS],
            lambda ledger: [list(ledger.datablocks.files(block)) for block in BLOCKS],
            lambda ledger: [
                ledger.inventory.usage(),
                ledger.claims.waiting_jobs(),
                ledger.inventory.recount(),
            ],
            lambda ledger: [ledger.claims.is_in_line(each) for each in JOBS],
            lambda ledger: [
                (ledger.claims.job_size(each), ledger.claims.datasets_without_size(each, 9)) for each in JOBS
            ],
            lambda ledger: [
                ledger.pins.find(),
                ledger.pins.find(P),
                ledger.pins.find(owner=JOB),
                ledger.pins.bytes_by_group(),
            ],
            lambda ledger: [ledger.cache.datablocks(order, self.clock(), 9) for order in EvictionOrder],
            lambda ledger: [
                ledger.inventory.left_behind(9),
                ledger.inventory.left_behind(9, BLOCKS[1]),
                ledger.inventory.being_copied(),
                ledger.inventory.wanted_checks(),
            ],
            lambda ledger: [
                ledger.inventory.staged_after(None, 9),
                ledger.inventory.staged_after(BLOCKS[1], 9),
            ],
            lambda ledger: [
                ledger.inventory.next_to_check(self.clock(), but) for but in ((), BLOCKS[:1], BLOCKS[1:])
            ],
            lambda ledger: [ledger.cache.size(self.clock() - n * HOUR) for n in (0, 2)],
            lambda ledger: [
                ledger.pins.jobs_to_mend(9),
                sorted(ledger.inventory.known_tokens(["token", "", "?"])),
            ],
        ):
            self.both(ask)
        # The changes of one step come in any order; those of one datablock in theirs.
        books = [sorted(book, key=lambda t: t.subject) for book in (self.fake.transitions, book_of(self.sql))]
        assert books[0] == books[1]
        self.the_sums_are_those_of_the_parts()
        self.compared = now

    def the_sums_are_those_of_the_parts(self) -> None:
        records = [record for block in BLOCKS if (record := self.sql.datablocks.get(block)) is not None]
        pinned = {pin.pid for _, pin in self.sql.pins.find()}
        staged = [record for record in records if record.state is DatablockState.STAGED]
        assert [record.pinned for record in staged] == [record.key.pid in pinned for record in staged]
        usage = self.sql.inventory.usage()
        assert usage.pinned == sum(record.bytes_total for record in staged if record.pinned)
        assert usage.cached == sum(record.bytes_total for record in staged if not record.pinned)
        assert usage.staged >= usage.pinned + usage.cached
        assert usage.claimed >= usage.written >= 0


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
            max_examples=examples(25),
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        ),
    )
