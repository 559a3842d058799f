"""What every ledger promises to many that share one staging area."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, JobState
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.staging_area import Room
from tests.contracts.ledger.other_process import done_or_refused, in_processes, in_threads
from tests.contracts.ledger.samples import FLOW, HOUR, START, P, bring_to, copied, key, staged
from tests.contracts.ledger.space_mix import BLOCKS, PIDS, claim_all, mix, mix_in_process, prepare_mix
from tests.contracts.ledger.space_samples import A, claim, grow, plan, stage, wish

State = DatablockState
REASON = "its space was needed"
ROUNDS = 10


def wishes(ledger: Ledger, count: int) -> list[JobId]:
    """Jobs of 100 bytes each."""
    return [
        wish(ledger, JobId(str(n)), {DatasetPid(f"p{n}"): 60, DatasetPid(f"q{n}"): 40}) for n in range(count)
    ]


def assert_sound(ledger: Ledger) -> None:
    """All sums and marks are those of the rows that they are made of."""
    assert ledger.inventory.recount() == 0
    pinned = {pin.pid for _, pin in ledger.pins.find()}
    blocks = [key(number, pid) for pid in PIDS for number in range(BLOCKS)]
    records = [record for block in blocks if (record := ledger.datablocks.get(block)) is not None]
    expected = [record.state is State.STAGED and record.key.pid in pinned for record in records]
    assert [record.pinned for record in records] == expected


def test_threads_never_claim_more_space_than_there_is(ledger: Ledger) -> None:
    names = wishes(ledger, 20)
    granted = in_threads(20, lambda thread: claim(ledger, names[thread], 750).granted)
    assert granted.count(True) == 7
    assert ledger.inventory.usage().claimed == 700
    assert len(ledger.claims.waiting_jobs()) == 13


def test_processes_never_claim_more_space_than_there_is(url: str, sql_ledger: SqlLedger) -> None:
    names = wishes(sql_ledger, 20)
    assert sum(in_processes(2, claim_all, url, [names[::2], names[1::2]], 750)) == 7
    assert sql_ledger.inventory.usage().claimed == 700


def test_datasets_that_grow_at_once_never_claim_more_space_than_there_is(ledger: Ledger) -> None:
    pids = [DatasetPid(f"p{number}") for number in range(20)]
    for pid in pids:
        plan(ledger, pid, 100)
    missing = in_threads(20, lambda thread: grow(ledger, pids[thread], Room(750, None)))
    assert missing.count(0) == 7
    assert ledger.inventory.usage().claimed == 700


def test_one_job_that_claims_many_times_at_once_has_its_space_once(ledger: Ledger) -> None:
    (name,) = wishes(ledger, 1)
    assert all(in_threads(8, lambda _: claim(ledger, name, 100).granted))
    assert ledger.inventory.usage().claimed == 100
    assert len(ledger.pins.find()) == 2


def test_a_datablock_is_evicted_by_one_of_many(ledger: Ledger) -> None:
    (block,) = stage(ledger, P, 10)
    evicted = in_threads(8, lambda _: ledger.cache.evict(block, START + HOUR, REASON))
    assert sorted(evicted) == [False] * 7 + [True]
    assert ledger.inventory.usage().staged == 10


def test_what_is_evicted_and_pinned_at_once_is_one_of_both(ledger: Ledger) -> None:
    for number in range(ROUNDS):
        pid = DatasetPid(f"p{number}")
        (block,) = stage(ledger, pid, 10)
        ways: list[Callable[[], Any]] = [
            partial(ledger.cache.evict, block, START + HOUR, REASON),
            partial(ledger.pins.pin, pid, "ada", START + HOUR),
        ]
        done = in_threads(2, lambda thread: ways[thread]())  # noqa: B023 - called at once
        found = ledger.datablocks.get(block)
        assert found is not None
        assert done in ([True, 0], [False, 1])
        staged_still = done == [False, 1]
        assert (found.state is State.STAGED, found.pinned) == (staged_still, staged_still)
        assert len(ledger.pins.find(pid)) == done[1]


def test_what_is_evicted_while_a_job_claims_it_is_kept_or_claimed(ledger: Ledger) -> None:
    for number in range(ROUNDS):
        pid = DatasetPid(f"p{number}")
        (block,) = stage(ledger, pid, 10)
        name = wish(ledger, JobId(str(number)), {pid: 10})
        ways: list[Callable[[], Any]] = [
            partial(ledger.cache.evict, block, START + HOUR, REASON),
            partial(claim, ledger, name, 1000),
        ]
        evicted, line = in_threads(2, lambda thread: ways[thread]())  # noqa: B023 - called at once
        assert line.needed == (10 if evicted else 0)
    assert ledger.inventory.recount() == 0


def test_what_is_staged_and_pinned_at_once_is_pinned(ledger: Ledger) -> None:
    for number in range(ROUNDS):
        pid = DatasetPid(f"p{number}")
        first, second = plan(ledger, pid, 10, 10)
        bring_to(ledger, first, State.STAGED)
        bring_to(ledger, second, State.COPIED)
        ways: list[Callable[[], Any]] = [
            partial(ledger.copies.save_staged, staged(copied(second))),
            partial(ledger.pins.pin, pid, "ada", START + HOUR),
        ]
        in_threads(2, lambda thread: ways[thread]())  # noqa: B023 - called at once
        assert [record.pinned for record in ledger.datablocks.of(pid)] == [True, True]


def test_pins_of_a_job_that_is_retried_while_they_lapse_are_there_when_it_has_its_space(
    ledger: Ledger,
) -> None:
    stage(ledger, P, 10)
    wish(ledger, A, {P: 10})

    def retry_and_claim() -> None:
        ledger.jobs.retry(A, FLOW)
        claim(ledger, A, 1000)

    for _ in range(ROUNDS):
        claim(ledger, A, 1000)
        ledger.jobs.move(A, JobState.UNSUCCESSFUL)
        for report in ledger.reports.find():
            ledger.reports.delivered(report.number)
        ways = [retry_and_claim, lambda: ledger.pins.lapse(START + HOUR, 9)]
        in_threads(2, lambda thread: done_or_refused(ways[thread]))  # noqa: B023 - called at once
        assert [pin.owner for _, pin in ledger.pins.find(P)] == [A]
        assert [record.pinned for record in ledger.datablocks.of(P)] == [True]


def test_whatever_is_done_at_once_blocks_nobody_and_leaves_all_sums_right(ledger: Ledger) -> None:
    prepare_mix(ledger)
    in_threads(6, lambda thread: mix(ledger, thread, 60))
    assert_sound(ledger)


def test_whatever_processes_do_at_once_blocks_nobody_and_leaves_all_sums_right(
    url: str, sql_ledger: SqlLedger
) -> None:
    prepare_mix(sql_ledger)
    in_processes(2, mix_in_process, url, 4, 60)
    assert_sound(sql_ledger)
