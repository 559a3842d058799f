"""Many that share one staging area at once, in this process or another."""

from __future__ import annotations

import random
from collections.abc import Callable

from scicat_retriever.domain.errors import (
    JobEnded,
    JobNotEnded,
    NothingToRetry,
    QuotaExceeded,
    TransitionIllegal,
)
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState, RecallPhase
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.ports.cache import EvictionOrder
from scicat_retriever.ports.jobs import FlowName
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.recalls import RecallChange
from scicat_retriever.ports.staging_area import Room
from tests.contracts.ledger.other_process import in_threads, now
from tests.contracts.ledger.samples import FAILURE, HOUR, bring_to, copied, entries, key, staged
from tests.contracts.ledger.space_samples import claim, grow, wish

PIDS = [DatasetPid(f"20.500.12345/{number}") for number in range(6)]
JOBS = [JobId(f"job {number}") for number in range(5)]
BLOCKS = 3
_REFUSED = (TransitionIllegal, QuotaExceeded, JobEnded, JobNotEnded, NothingToRetry)


def prepare_mix(ledger: Ledger) -> None:
    """Jobs that ask for some datasets each, all of which are planned."""
    for number, name in enumerate(JOBS):
        wish(ledger, name, {PIDS[(number + each) % len(PIDS)]: 3000 for each in range(4)})
    for pid in PIDS:
        ledger.datablocks.plan(pid, entries(BLOCKS, pid), "run-1")


def mix(ledger: Ledger, seed: int, steps: int) -> None:
    """Do random things; what the ledger refuses for good reasons is no error, a deadlock is."""
    chance = random.Random(seed)
    for _ in range(steps):
        try:
            chance.choice(_STEPS)(ledger, chance)
        except _REFUSED:
            continue


def mix_in_process(url: str, process: int, threads: int, steps: int) -> None:
    ledger = SqlLedger.at(url, now)
    try:
        in_threads(threads, lambda thread: mix(ledger, 100 * process + thread, steps))
    finally:
        ledger.close()


def claim_all(url: str, process: int, names: list[list[JobId]], total: int) -> int:
    """Have all jobs of this process claim their space at once; gives how many got it."""
    ledger = SqlLedger.at(url, now)
    mine = names[process]
    try:
        return sum(in_threads(len(mine), lambda thread: claim(ledger, mine[thread], total).granted))
    finally:
        ledger.close()


def _block(chance: random.Random) -> DatablockKey:
    return key(chance.randrange(BLOCKS), chance.choice(PIDS))


def _claim(ledger: Ledger, chance: random.Random) -> None:
    quota = chance.choice([None, 9000])
    room = Room(20_000, chance.choice([None, 15_000]))
    ledger.claims.for_job(chance.choice(JOBS), room, silence=HOUR, quota=quota)


def _stage(ledger: Ledger, chance: random.Random) -> None:
    block = _block(chance)
    grow(ledger, block.pid, Room(20_000, None))
    bring_to(ledger, block, DatablockState.COPIED)
    ledger.datablocks.note_progress(block, 5)
    ledger.copies.save_staged(staged(copied(block)))


def _plan(ledger: Ledger, chance: random.Random) -> None:
    pid = chance.choice(PIDS)
    ledger.datablocks.plan(pid, entries(chance.randrange(1, BLOCKS + 1), pid), f"run-{chance.randrange(2)}")


def _evict(ledger: Ledger, chance: random.Random) -> None:
    for record in ledger.cache.datablocks(chance.choice(list(EvictionOrder)), now() + HOUR, 2):
        ledger.cache.evict(record.key, now() + HOUR, "its space was needed")
    for left in ledger.inventory.left_behind(2):
        ledger.inventory.forget_files(left)


def _pin(ledger: Ledger, chance: random.Random) -> None:
    owner = f"owner {chance.randrange(3)}"
    ledger.pins.pin(chance.choice(PIDS), owner, now())
    if chance.random() < 0.5:
        ledger.pins.unpin(owner)
    else:
        ledger.pins.lapse(now(), 5)


def _end(ledger: Ledger, chance: random.Random) -> None:
    name, again = chance.choice(JOBS), FlowName("2", "again")
    state = chance.choice([DatasetState.RETRIEVED, DatasetState.FAILED])
    ledger.jobs.move_dataset(name, chance.choice(PIDS), state, [FAILURE])
    ledger.pins.keep_for_job(name, now())
    ledger.jobs.move(name, JobState.UNSUCCESSFUL, "ended", FAILURE)
    ledger.claims.end_idle()
    for report in ledger.reports.find(limit=20):
        ledger.reports.delivered(report.number)
    ledger.jobs.retry(name, again)


def _restart(ledger: Ledger, chance: random.Random) -> None:
    name = chance.choice(JOBS)
    ledger.claims.note_sizes(name, dict.fromkeys(PIDS, 3000))
    record = ledger.jobs.get(name)
    assert record is not None
    ledger.job_flows.restart(name, FlowName("3", "restarted"), record.attempt)


def _look(ledger: Ledger, chance: random.Random) -> None:
    block = _block(chance)
    ledger.cache.note_used(block.pid, chance.choice([None, block]))
    ledger.inventory.note_checked(block)
    ledger.cache.withdraw(block, "its bytes differ")
    ledger.claims.end(block.pid)
    ledger.inventory.recount()


def _recall(ledger: Ledger, chance: random.Random) -> None:
    store = chance.choice(["lts", "mirror"])
    planner = f"planner {chance.randrange(2)}"
    ledger.recalls.set_priority(chance.choice(JOBS), chance.randrange(3))
    ledger.recalls.forget([record for record in ledger.recalls.of_store(store) if not record.is_wanted])
    news = [RecallChange(_block(chance), chance.choice(list(RecallPhase)), reason=planner) for _ in range(8)]
    ledger.recalls.change(news)
    if not ledger.recalls.lead(store, planner, HOUR):
        ledger.recalls.leave(planner)
    if chance.random() < 0.3:
        ledger.datablocks.read_from(_block(chance), store, "lost on tape")
    ledger.recalls.want([_block(chance) for _ in range(4)])


_STEPS: list[Callable[[Ledger, random.Random], None]] = [
    _claim,
    _claim,
    _stage,
    _stage,
    _stage,
    _plan,
    _evict,
    _pin,
    _end,
    _restart,
    _look,
    _recall,
    _recall,
]
