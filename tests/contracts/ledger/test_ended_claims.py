"""What every ledger promises of claims that are given back: nothing is kept for nobody, and nothing is lost."""

from __future__ import annotations

import pytest

from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.staging_area import Room
from tests.contracts.ledger.samples import P, Q, bring_to
from tests.contracts.ledger.space_samples import A, B, claim, finish, grow, plan, wish

R = DatasetPid("20.500.12345/r")
State = DatablockState


def claimed(ledger: Ledger) -> int:
    return ledger.inventory.usage().claimed


def test_a_claim_ends_with_the_last_that_asks_for_it(ledger: Ledger) -> None:
    for name in (A, B):
        claim(ledger, wish(ledger, name, {P: 60}), 100)
    ledger.claims.end(P)
    assert claimed(ledger) == 60
    finish(ledger, A)
    ledger.claims.end(P)
    assert claimed(ledger) == 60
    finish(ledger, B)
    ledger.claims.end(P)
    assert claimed(ledger) == 0


def test_a_claim_that_others_still_need_stays_and_never_grows(ledger: Ledger) -> None:
    for name in (A, B):
        claim(ledger, wish(ledger, name, {P: 100}), 100)
    first, second = plan(ledger, P, 60, 40)
    bring_to(ledger, first, State.STAGED, 60)
    bring_to(ledger, second, State.FAILED)
    ledger.datablocks.move(first, State.RELEASED, "another datablock failed")
    finish(ledger, A)
    ledger.claims.end(P)
    assert claimed(ledger) == 40


def test_of_a_claim_that_is_still_asked_for_what_is_too_much_is_given_back(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 100}), 200)
    plan(ledger, P, 90, 50)
    grow(ledger, P, Room(200, None))
    plan(ledger, P, 90, 20)
    ledger.claims.end(P)
    assert claimed(ledger) == 110


def test_a_claim_that_is_not_there_is_not_made_by_giving_it_back(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 0, Q: 10}), 100)
    ledger.claims.end(R)
    assert claimed(ledger) == 10


@pytest.mark.parametrize(("state", "stays"), [(s, s in {State.COPYING, State.COPIED}) for s in State])
@pytest.mark.parametrize("asked_for", [False, True])
def test_a_claim_is_not_given_back_while_a_file_is_being_written(
    ledger: Ledger, state: DatablockState, stays: bool, asked_for: bool
) -> None:
    if asked_for:
        claim(ledger, wish(ledger, A, {P: 5}), 100)
    block, _ = plan(ledger, P, 60, 5)
    grow(ledger, P, Room(100, None))
    bring_to(ledger, block, state, 60)
    plan(ledger, P, 60)
    before = claimed(ledger)
    ledger.claims.end(P)
    assert (claimed(ledger) == before) == (
        stays or (asked_for and before <= 60 and state is not State.STAGED)
    )


@pytest.mark.parametrize("gave_back", [False, True])
def test_a_claim_stays_for_a_dataset_that_was_started_whether_its_job_has_its_space_or_not(
    ledger: Ledger, gave_back: bool
) -> None:
    claim(ledger, wish(ledger, A, {P: 60, Q: 40}), 100)
    ledger.jobs.move_dataset(A, P, DatasetState.STARTED)
    if gave_back:
        ledger.claims.give_back(A, Q)
    for pid in (P, Q):
        ledger.claims.end(pid)
    assert claimed(ledger) == (60 if gave_back else 100)
    assert ledger.claims.end_idle() == 0
    ledger.jobs.move(A, JobState.UNSUCCESSFUL)
    assert ledger.claims.end_idle() == (1 if gave_back else 2)


def test_a_job_that_waits_for_space_keeps_nobody_s_claim(ledger: Ledger) -> None:
    plan(ledger, P, 60)
    grow(ledger, P, Room(60, None))
    claim(ledger, wish(ledger, A, {P: 60, Q: 60}), 100)
    ledger.claims.end(P)
    assert claimed(ledger) == 0


def test_idle_claims_are_given_back_and_counted(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 10, Q: 20}), 100)
    claim(ledger, wish(ledger, B, {Q: 20, R: 30}), 100)
    assert ledger.claims.end_idle() == 0
    finish(ledger, A)
    assert ledger.claims.end_idle() == 1
    assert claimed(ledger) == 50
    finish(ledger, B)
    assert ledger.claims.end_idle() == 2
    assert claimed(ledger) == 0


@pytest.mark.parametrize(("state", "stays"), [(s, s in {State.COPYING, State.COPIED}) for s in State])
def test_an_idle_claim_stays_while_a_file_is_being_written(
    ledger: Ledger, state: DatablockState, stays: bool
) -> None:
    (block,) = plan(ledger, P, 60)
    grow(ledger, P, Room(60, None))
    bring_to(ledger, block, state, 60)
    assert ledger.claims.end_idle() == (0 if stays else 1)


def test_a_job_moved_to_its_end_leaves_its_claim_to_whoever_ends_it(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 60}), 100)
    ledger.jobs.move(A, JobState.UNSUCCESSFUL)
    assert claimed(ledger) == 60
