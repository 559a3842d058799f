"""What every ledger promises to many threads, and the databases to many processes."""

from __future__ import annotations

from functools import partial
from itertools import chain
from pathlib import Path

from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState, LifecycleWord
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.jobs import FlowName, JobDatasetRecord
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.reports import Subject
from scicat_retriever.ports.staging_area import Room
from tests.contracts.ledger.other_process import (
    add_the_same_job,
    done_or_refused,
    in_processes,
    in_threads,
    move_or_be_refused,
    open_new_ledger_and_add_job,
    tell_all,
)
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import (
    FLOW,
    HOUR,
    JOB,
    START,
    P,
    Q,
    bring_to,
    copied,
    end,
    entries,
    entry,
    job,
    key,
    staged,
)
from tests.contracts.ledger.space_samples import grow
from tests.integration.postgres import Postgres

State = DatablockState
STARTED = LifecycleUpdate(LifecycleWord.STARTED)
ROOM = Room(100_000, None)


def test_one_job_added_by_twenty_threads_is_one_row_and_one_answer(rig: Rig) -> None:
    answers = in_threads(20, lambda thread: rig.ledger.jobs.add(job(JOB, P), FlowName(str(thread), "flow")))
    assert answers == [answers[0]] * 20
    assert [each.job_id for each in rig.ledger.job_flows.to_start(99)] == [JOB]
    assert [t.new for t in rig.transitions()] == ["jobSubmitted", "submitted"]


def test_the_same_jobs_stored_at_once_in_any_order_have_one_answer_each(rig: Rig) -> None:
    ids = [f"job-{number}" for number in range(30)]

    def add(thread: int) -> list[tuple[str, str]]:
        turned = ids[thread:] + ids[:thread] if thread % 2 else ids[::-1]
        given = [(job(job_id, P), FlowName(f"{thread} {job_id}", "flow")) for job_id in turned]
        return sorted((record.job.id, record.flow.uuid) for record in rig.ledger.jobs.add_all(given))

    answers = in_threads(10, add)
    assert answers == [answers[0]] * 10
    assert len(rig.ledger.job_flows.to_start(99)) == 30


def test_of_two_ways_that_exclude_one_another_one_is_taken(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, entries(1), "run-1")
    bring_to(ledger, key(), State.COPYING)
    ways = [State.FAILED, State.RECALLING]
    for _ in range(10):
        moved = in_threads(2, lambda thread: move_or_be_refused(ledger, ways[thread]))
        found = ledger.datablocks.get(key())
        assert found is not None
        # Failed first refuses the other; recalling first lets failed follow.
        assert moved[0]
        assert found.state is State.FAILED
        ledger.datablocks.plan(P, entries(1), f"run-{_ + 2}")
        bring_to(ledger, key(), State.COPYING)


def test_plans_of_one_dataset_at_once_leave_one_whole_plan(ledger: Ledger) -> None:
    def plan(thread: int) -> None:
        changed = [entry(number, archive_id=f"{thread}-{number}.tar") for number in range(50)]
        ledger.datablocks.plan(P, changed, f"run-{thread}")

    in_threads(4, plan)
    records = ledger.datablocks.of(P)
    winners = {record.run for record in records}
    assert len(winners) == 1
    prefix = winners.pop().removeprefix("run-")
    assert [r.datablock.archive_id for r in records] == [f"{prefix}-{number}.tar" for number in range(50)]


def test_all_steps_on_one_dataset_at_once_block_nobody(ledger: Ledger) -> None:
    count = 6
    ledger.datablocks.plan(P, entries(count), "run-1")

    def work(thread: int) -> None:
        block = key(thread)
        for round_number in range(3):
            ledger.datablocks.move(block, State.RECALLING)
            grow(ledger, P, ROOM)
            ledger.datablocks.move(block, State.COPYING)
            ledger.datablocks.note_progress(block, 50)
            ledger.copies.save(copied(block), b"manifest")
            ledger.copies.save_staged(staged(copied(block)))
            ledger.pins.pin(P, f"owner {thread}", START + HOUR)
            ledger.cache.note_used(P)
            ledger.cache.evict(key((thread + 1) % count), START, "its space was needed")
            ledger.pins.unpin(f"owner {thread}")
            ledger.claims.end(P)
            ledger.datablocks.plan(P, entries(count), "run-1")
            ledger.datablocks.move(block, State.PLANNED, f"round {round_number}")

    in_threads(count, work)
    assert [record.state for record in ledger.datablocks.of(P)] == [State.PLANNED] * count


def test_each_report_is_claimed_by_one_of_many(ledger: Ledger) -> None:
    for number in range(20):
        ledger.reports.tell_dataset(DatasetPid(f"p{number}"), STARTED)

    def claim_all(thread: int) -> list[int]:
        claimed = []
        while report := ledger.reports.claim(f"teller-{thread}", HOUR):
            claimed.append(report.number)
        return claimed

    claimed = chain.from_iterable(in_threads(8, claim_all))
    assert sorted(claimed) == [report.number for report in ledger.reports.find()]


def test_a_report_that_is_claimed_by_its_name_is_claimed_by_one_of_many(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    subject = Subject.dataset(P)
    claimed = in_threads(8, lambda thread: ledger.reports.claim(f"teller-{thread}", HOUR, subject))
    assert [report for report in claimed if report is not None] == list(ledger.reports.find())


def test_reports_that_are_written_at_once_each_have_a_number(ledger: Ledger) -> None:
    in_threads(20, lambda _: ledger.reports.tell_dataset(P, STARTED))
    assert len({report.number for report in ledger.reports.find()}) == 20


def test_a_job_that_lost_its_flow_is_restarted_by_one_of_many(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    restarted = in_threads(8, lambda thread: ledger.job_flows.restart(JOB, FlowName(str(thread), "flow"), 1))
    assert sorted(restarted) == [False] * 7 + [True]
    assert [record.attempt for record in ledger.job_flows.to_start(9)] == [2]


def test_a_job_is_retried_by_one_of_many(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    end(ledger)
    retried = in_threads(8, lambda _: done_or_refused(lambda: ledger.jobs.retry(JOB, FLOW)))
    assert sorted(retried) == [False] * 7 + [True]
    assert [record.attempt for record in ledger.job_flows.to_start(9)] == [2]


def test_a_job_is_told_again_once_though_many_ask_for_it(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    assert sorted(in_threads(8, lambda _: ledger.reports.tell_job_again(JOB))) == [False] * 7 + [True]


def test_a_job_is_cancelled_or_ends_whatever_comes_first(ledger: Ledger) -> None:
    for number in range(5):
        name = JobId(f"job {number}")
        ledger.jobs.add(job(name, P), FLOW)
        steps = [
            partial(ledger.jobs.cancel, name, "ada"),
            partial(ledger.jobs.move, name, JobState.UNSUCCESSFUL),
        ]
        done = in_threads(2, lambda thread: done_or_refused(steps[thread]))  # noqa: B023 - called at once
        record = ledger.jobs.get(name)
        assert record is not None
        assert done == [record.cancelled_by == "ada", True]


def test_a_finding_that_many_note_is_one(ledger: Ledger) -> None:
    in_threads(8, lambda thread: ledger.findings.note("catalogue", {"thread": thread}))
    assert list(ledger.findings.latest()) == ["catalogue"]


def test_tellers_in_two_processes_tell_each_report_once_and_in_its_order(
    url: str, sql_ledger: SqlLedger
) -> None:
    for _ in range(5):
        for number in range(6):
            sql_ledger.reports.tell_dataset(DatasetPid(f"p{number}"), STARTED)
    expected = [report.number for report in sql_ledger.reports.find()]
    told = in_processes(2, tell_all, url, "teller")
    assert sorted(told[0] + told[1]) == expected
    assert sql_ledger.reports.find() == []


def test_one_job_added_by_two_processes_is_one_row_and_one_answer(url: str, sql_ledger: SqlLedger) -> None:
    first, second = in_processes(2, add_the_same_job, url)
    assert len(first) == 1
    assert first == second
    assert len(sql_ledger.job_flows.to_start(99)) == 1
    submitted = DatasetState.SUBMITTED
    assert sql_ledger.jobs.datasets(JOB) == [JobDatasetRecord(P, submitted), JobDatasetRecord(Q, submitted)]


def test_processes_that_start_at_once_on_a_new_file_all_find_the_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    assert max(in_processes(4, open_new_ledger_and_add_job, url)) == 4


def test_processes_that_start_at_once_on_a_new_database_all_find_the_tables(postgres: Postgres) -> None:
    url = postgres.make_database("new_ledger")
    assert max(in_processes(4, open_new_ledger_and_add_job, url)) == 4
