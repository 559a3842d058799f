"""What every ledger promises whoever compares it with the staging area, or reads staged bytes again."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import HOUR, START, P, Q, bring_to, copied, entries, entry, key, staged
from tests.contracts.ledger.space_samples import A, B, claim, plan, stage, wish

State = DatablockState


def test_a_released_datablock_is_listed_until_its_files_are_gone(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    assert ledger.inventory.left_behind(9) == []
    ledger.datablocks.move(key(), State.RELEASED)
    assert ledger.inventory.left_behind(9) == [key()]
    ledger.inventory.forget_files(key())
    assert ledger.inventory.left_behind(9) == []


def test_what_is_left_behind_is_paged_by_name(ledger: Ledger) -> None:
    stage(ledger, P, 1, 1, 1, 1)
    stage(ledger, Q, 1)
    left = [key(0), key(2), key(3), key(0, Q)]
    for block in reversed(left):
        ledger.datablocks.move(block, State.RELEASED)
    assert ledger.inventory.left_behind(9) == left
    assert ledger.inventory.left_behind(2) == left[:2]
    assert ledger.inventory.left_behind(2, key(2)) == left[2:]
    assert ledger.inventory.left_behind(9, key(1)) == left[1:]
    assert ledger.inventory.left_behind(9, key(0, Q)) == []


def test_what_the_catalogue_no_longer_lists_may_have_left_files(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, entries(2), "run-1")
    bring_to(ledger, key(1), State.COPIED)
    ledger.datablocks.plan(P, entries(1), "run-2")
    assert ledger.inventory.left_behind(9) == [key(1)]


def test_a_released_datablock_that_is_asked_for_again_left_no_files(ledger: Ledger) -> None:
    stage(ledger, P, 10)
    ledger.datablocks.move(key(), State.RELEASED)
    plan(ledger, P, 11)
    assert ledger.inventory.left_behind(9) == []


@pytest.mark.parametrize("state", [state for state in State if state is not State.RELEASED])
def test_files_of_what_is_not_released_are_not_forgotten(ledger: Ledger, state: DatablockState) -> None:
    plan(ledger, P, 10)
    bring_to(ledger, key(), state)
    before = (ledger.datablocks.get(key()), ledger.inventory.usage())
    ledger.inventory.forget_files(key())
    assert (ledger.datablocks.get(key()), ledger.inventory.usage()) == before


def test_forgetting_the_files_of_an_unknown_datablock_changes_nothing(ledger: Ledger) -> None:
    ledger.inventory.forget_files(key(7))
    assert ledger.datablocks.get(key(7)) is None


def test_staged_datablocks_are_paged_by_name(ledger: Ledger) -> None:
    stage(ledger, Q, 1, 1)
    plan(ledger, P, 1, 1, 1)
    for number in (2, 0):
        bring_to(ledger, key(number), State.STAGED)
    expected = [key(0), key(2), key(0, Q), key(1, Q)]
    assert [record.key for record in ledger.inventory.staged_after(None, 9)] == expected
    assert [record.key for record in ledger.inventory.staged_after(key(0), 2)] == expected[1:3]
    assert [record.key for record in ledger.inventory.staged_after(key(1, Q), 9)] == []
    assert ledger.inventory.staged_after(None, 1) == [ledger.datablocks.get(key(0))]


def test_a_token_is_known_from_the_copy_until_the_files_are_gone(ledger: Ledger) -> None:
    plan(ledger, P, 10, 10, 10)
    for number, token in enumerate(("one", "two", "three")):
        bring_to(ledger, key(number), State.COPYING)
        ledger.copies.save(copied(key(number), 10 + number, partial=token), b"")
    for number, token in ((1, "two"), (2, "three")):
        ledger.copies.save_staged(staged(copied(key(number), 10 + number, partial=token)))
    ledger.datablocks.move(key(2), State.RELEASED)
    asked = ["one", "two", "three", "unknown", ""]
    assert set(ledger.inventory.known_tokens(asked)) == {"one", "two", "three"}
    ledger.inventory.forget_files(key(2))
    assert set(ledger.inventory.known_tokens(asked)) == {"one", "two"}
    ledger.datablocks.move(key(1), State.RELEASED)
    ledger.datablocks.plan(P, [entry(1, packed_size=11)], "run-2")
    assert set(ledger.inventory.known_tokens(asked)) == {"one"}
    assert set(ledger.inventory.known_tokens([])) == set()
    many = [f"{number:016x}" for number in range(1200)]
    assert set(ledger.inventory.known_tokens([*many, "one"])) == {"one"}


def test_what_left_the_catalogue_as_a_copy_is_known_by_its_token(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, entries(2), "run-1")
    bring_to(ledger, key(1), State.COPIED)
    ledger.datablocks.plan(P, entries(1), "run-2")
    assert set(ledger.inventory.known_tokens(["token"])) == {"token"}
    ledger.inventory.forget_files(key(1))
    assert set(ledger.inventory.known_tokens(["token"])) == set()


def test_what_is_being_copied_is_listed_by_name(ledger: Ledger) -> None:
    plan(ledger, P, 1, 1, 1)
    plan(ledger, Q, 1)
    for block in (key(0, Q), key(2), key(0)):
        bring_to(ledger, block, State.COPYING)
    bring_to(ledger, key(1), State.COPIED)
    assert ledger.inventory.being_copied() == [key(0), key(2), key(0, Q)]


def test_what_was_checked_longest_ago_is_checked_next(rig: Rig) -> None:
    ledger = rig.ledger
    plan(ledger, P, 1, 1)
    for number in (1, 0):
        bring_to(ledger, key(number), State.STAGED)
        rig.clock.advance(HOUR)
    assert ledger.inventory.next_to_check(START) is None
    assert ledger.inventory.next_to_check(START + 9 * HOUR) == ledger.datablocks.get(key(1))
    ledger.inventory.note_checked(key(1))
    found = ledger.datablocks.get(key(1))
    assert found is not None
    assert found.checked_at == START + 2 * HOUR
    assert ledger.inventory.next_to_check(START + 9 * HOUR) == ledger.datablocks.get(key(0))


def test_what_cannot_be_checked_now_is_left_out(rig: Rig) -> None:
    ledger, later = rig.ledger, START + 9 * HOUR
    plan(ledger, P, 1, 1, 1)
    for number in (1, 0, 2):
        bring_to(ledger, key(number), State.STAGED)
        rig.clock.advance(HOUR)
    assert ledger.inventory.next_to_check(later, [key(1)]) == ledger.datablocks.get(key(0))
    assert ledger.inventory.next_to_check(later, {key(0), key(1), key(0, Q)}) == ledger.datablocks.get(key(2))
    assert ledger.inventory.next_to_check(START + HOUR, [key(1)]) is None
    assert ledger.inventory.next_to_check(later, [key(number) for number in range(3)]) is None


def test_what_is_wanted_is_checked_first_in_the_order_in_which_it_was_asked_for(ledger: Ledger) -> None:
    plan(ledger, P, 1, 1, 1)
    for number in range(3):
        bring_to(ledger, key(number), State.STAGED)
    for number in (2, 0, 2):
        ledger.inventory.want_check(key(number))
    assert [record.key for record in ledger.inventory.wanted_checks()] == [key(2), key(0)]
    assert ledger.inventory.next_to_check(START) == ledger.datablocks.get(key(2))
    assert ledger.inventory.next_to_check(START, [key(2)]) == ledger.datablocks.get(key(0))
    assert ledger.inventory.next_to_check(START, [key(2), key(0)]) is None
    later = ledger.inventory.next_to_check(START + HOUR, [key(2), key(0)])
    assert later == ledger.datablocks.get(key(1))
    ledger.inventory.note_checked(key(2))
    assert [record.key for record in ledger.inventory.wanted_checks()] == [key(0)]
    ledger.datablocks.move(key(0), State.RELEASED)
    assert (ledger.inventory.wanted_checks(), ledger.inventory.next_to_check(START)) == ([], None)


@pytest.mark.parametrize("state", [state for state in State if state is not State.STAGED])
def test_no_check_is_wanted_of_what_is_not_staged(ledger: Ledger, state: DatablockState) -> None:
    plan(ledger, P, 10)
    bring_to(ledger, key(), state)
    ledger.inventory.want_check(key())
    ledger.inventory.want_check(key(7))
    assert ledger.inventory.wanted_checks() == []


@pytest.mark.parametrize("state", [state for state in State if state is not State.STAGED])
def test_what_is_not_staged_is_not_checked(ledger: Ledger, state: DatablockState) -> None:
    plan(ledger, P, 10)
    bring_to(ledger, key(), state)
    before = ledger.datablocks.get(key())
    ledger.inventory.note_checked(key())
    ledger.inventory.note_checked(key(7))
    assert ledger.datablocks.get(key()) == before
    assert ledger.inventory.next_to_check(START + 99 * HOUR) is None


def test_a_sum_that_is_right_stays(ledger: Ledger) -> None:
    stage(ledger, P, 10, 20)
    assert ledger.inventory.recount() == 0
    assert ledger.inventory.usage().staged == 30


@pytest.mark.parametrize("wrong", [0, 1000])
def test_a_sum_that_is_wrong_is_made_right(sql_ledger: SqlLedger, wrong: int) -> None:
    stage(sql_ledger, P, 10, 20)
    with sql_ledger.database.writing() as connection:
        connection.execute(text("UPDATE space SET staged = :wrong"), {"wrong": wrong})
    assert sql_ledger.inventory.usage().staged == wrong
    assert sql_ledger.inventory.recount() == abs(30 - wrong)
    assert sql_ledger.inventory.usage().staged == 30
    assert sql_ledger.inventory.recount() == 0


def test_a_sum_of_claims_that_is_wrong_is_made_right(sql_ledger: SqlLedger) -> None:
    claim(sql_ledger, wish(sql_ledger, A, {P: 10, Q: 20}), 100)
    with sql_ledger.database.writing() as connection:
        connection.execute(text("UPDATE space SET claimed = 7"))
    assert claim(sql_ledger, wish(sql_ledger, B, {DatasetPid("r"): 93}), 100).granted
    assert sql_ledger.inventory.recount() == 23
    assert sql_ledger.inventory.usage().claimed == 123
    assert sql_ledger.inventory.recount() == 0


def test_a_copy_s_receipt_is_kept(ledger: Ledger) -> None:
    plan(ledger, P, 10)
    bring_to(ledger, key(), State.COPIED, 10)
    found = ledger.copies.get(key())
    assert found is not None
    assert found.receipt == "bytes:10"
