"""What every ledger promises of quotas: what the jobs of an owner group may have pinned in all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scicat_retriever.domain.errors import QuotaExceeded
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ports.claims import PlaceInLine
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.staging_area import Room
from tests.contracts.ledger.samples import FLOW, HOUR, JOB, START, P, Q, job
from tests.contracts.ledger.space_samples import A, B, C, claim, finish, grow, owners, plan, stage, wish

R = DatasetPid("20.500.12345/r")
State = DatablockState


def claimed(ledger: Ledger) -> int:
    return ledger.inventory.usage().claimed


def test_what_was_retrieved_for_a_job_and_is_gone_is_neither_pinned_nor_counted(ledger: Ledger) -> None:
    wish(ledger, A, {P: 60, Q: 40})
    first, second = stage(ledger, P, 30, 30)
    finish(ledger, A, P)
    ledger.jobs.retry(A, FLOW, [Q])
    ledger.datablocks.move(second, State.RELEASED)
    assert claim(ledger, A, 999, quota=40) == PlaceInLine(0, 0, 40)
    assert [pin.pid for _, pin in ledger.pins.find()] == [Q]
    assert ledger.cache.size(START) == 30
    assert ledger.inventory.left_behind(9) == [second]
    assert first in [record.key for record in ledger.inventory.staged_after(None, 9)]


def test_what_is_gone_for_a_job_and_pinned_by_others_counts_for_their_group(ledger: Ledger) -> None:
    wish(ledger, A, {P: 60, Q: 40})
    (block,) = stage(ledger, P, 60)
    finish(ledger, A, P)
    ledger.datablocks.move(block, State.RELEASED)
    claim(ledger, wish(ledger, B, {P: 60}), 999)
    ledger.jobs.retry(A, FLOW, [Q])
    with pytest.raises(QuotaExceeded):
        claim(ledger, A, 999, quota=99)
    assert claim(ledger, A, 999, quota=100).granted


def test_a_quota_counts_what_the_group_has_pinned_and_what_the_job_asks_for(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 60}), 1000)
    wish(ledger, B, {Q: 50})
    with pytest.raises(QuotaExceeded):
        claim(ledger, B, 1000, quota=109)
    assert claimed(ledger) == 60
    assert ledger.claims.waiting_jobs() == []
    assert owners(ledger) == [A]
    assert claim(ledger, B, 1000, quota=110).granted
    assert ledger.pins.bytes_by_group() == {"p17": 110}


def test_a_quota_counts_what_is_staged_already(ledger: Ledger) -> None:
    stage(ledger, P, 60)
    with pytest.raises(QuotaExceeded):
        claim(ledger, wish(ledger, A, {P: 60}), 1000, quota=59)


def test_a_quota_counts_a_dataset_once_however_many_jobs_pin_it(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 60}), 1000)
    claim(ledger, wish(ledger, B, {P: 60}), 1000)
    assert ledger.pins.bytes_by_group() == {"p17": 60}
    assert claim(ledger, wish(ledger, C, {P: 60, Q: 10}), 1000, quota=70).granted


def test_groups_do_not_count_for_one_another_and_persons_for_none(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 60}, "p17"), 1000)
    claim(ledger, wish(ledger, B, {Q: 60}, None), 1000, quota=1)
    stage(ledger, R, 60)
    ledger.pins.pin(R, "ada", ledger.pins.find()[0][1].created_at + HOUR)
    assert claim(ledger, wish(ledger, C, {R: 60}, "p18"), 1000, quota=60).granted
    assert ledger.pins.bytes_by_group() == {"p17": 60, "p18": 60}


def test_a_quota_counts_what_was_planned_where_that_is_more_than_was_noted(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 60}), 1000)
    plan(ledger, P, 50, 30)
    grow(ledger, P, Room(1000, None))
    assert ledger.pins.bytes_by_group() == {"p17": 80}


def test_a_group_that_came_later_counts(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB), FLOW)
    wish(ledger, A, {P: 60}, None)
    ledger.jobs.complete(A, replace(job(A), owner_group="p18"))
    ledger.jobs.complete(JOB, replace(job(JOB), owner_group="p18"))
    records = [ledger.jobs.get(name) for name in (A, JOB)]
    assert [record and record.job.owner_group for record in records] == ["p18", "p17"]
    with pytest.raises(QuotaExceeded):
        claim(ledger, A, 1000, quota=59)
