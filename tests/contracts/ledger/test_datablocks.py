"""What every ledger promises of a datablock's way from planned to staged and on to released."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.evidence import NO_ODDITIES, Integrity, Oddities
from scicat_retriever.domain.likeness import Likeness, Matched
from scicat_retriever.domain.states import LEGAL_DATABLOCK, DatablockState
from scicat_retriever.onepass.manifest import SealedManifest
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import (
    HOUR,
    ODD,
    START,
    P,
    bring_to,
    copied,
    entries,
    key,
    staged,
)

State = DatablockState
MOVABLE = [state for state in State if state not in {State.COPIED, State.STAGED}]


@pytest.fixture
def planned(ledger: Ledger) -> Ledger:
    """A ledger with one planned datablock."""
    ledger.datablocks.plan(P, entries(1), "run-1")
    return ledger


def record(ledger: Ledger) -> DatablockRecord:
    found = ledger.datablocks.get(key())
    assert found is not None
    return found


@pytest.mark.parametrize("old", list(State))
def test_a_datablock_moves_where_the_table_of_states_allows(ledger: Ledger, old: DatablockState) -> None:
    allowed = [state for state in MOVABLE if state == old or state in LEGAL_DATABLOCK[old]]
    ledger.datablocks.plan(P, entries(len(allowed)), "run-1")
    for number, new in enumerate(allowed):
        bring_to(ledger, key(number), old)
        ledger.datablocks.move(key(number), new, "a reason")
    assert [(r.state, r.reason) for r in ledger.datablocks.of(P)] == [(new, "a reason") for new in allowed]


@pytest.mark.parametrize("old", list(State))
def test_a_datablock_stays_as_it_is_where_the_table_of_states_forbids(
    planned: Ledger, old: DatablockState
) -> None:
    bring_to(planned, key(), old)
    before = record(planned)
    for new in set(State) - LEGAL_DATABLOCK[old] - {old}:
        with pytest.raises(TransitionIllegal):
            planned.datablocks.move(key(), new, "a reason")
    assert record(planned) == before


@pytest.mark.parametrize("old", [State.COPYING, State.COPIED])
def test_no_datablock_becomes_staged_without_evidence(planned: Ledger, old: DatablockState) -> None:
    bring_to(planned, key(), old)
    with pytest.raises(TransitionIllegal):
        planned.datablocks.move(key(), State.STAGED)
    assert record(planned).state is old


def test_no_datablock_becomes_copied_without_evidence(planned: Ledger) -> None:
    bring_to(planned, key(), State.COPYING)
    with pytest.raises(TransitionIllegal):
        planned.datablocks.move(key(), State.COPIED)
    assert record(planned).state is State.COPYING


def test_an_unknown_datablock_cannot_be_moved(planned: Ledger) -> None:
    with pytest.raises(TransitionIllegal):
        planned.datablocks.move(key(7), State.RECALLING)
    with pytest.raises(TransitionIllegal):
        planned.copies.save(copied(key(7)), b"")
    with pytest.raises(TransitionIllegal):
        planned.copies.save_staged(staged(copied(key(7))))
    with pytest.raises(TransitionIllegal):
        planned.cache.withdraw(key(7), "damaged")


def test_the_reason_is_the_last_one_given(planned: Ledger) -> None:
    planned.datablocks.move(key(), State.WAITING_FOR_SPACE, ODD)
    assert record(planned).reason == ODD
    planned.datablocks.move(key(), State.RECALLING)
    assert record(planned).reason == ""


def test_every_change_of_a_datablock_is_in_the_book_with_its_time_and_reason(rig: Rig) -> None:
    rig.ledger.datablocks.plan(P, entries(1), "run-1")
    later = rig.clock.advance(HOUR)
    rig.ledger.datablocks.move(key(), State.RECALLING, "still on tape")
    rig.ledger.datablocks.move(key(), State.RECALLING, "still on tape, 2nd in line")
    rig.ledger.datablocks.note_progress(key(), 5)
    rig.ledger.datablocks.move(key(), State.COPYING)
    rig.ledger.copies.save(copied(key()), b"")
    rig.ledger.copies.save_staged(staged(copied(key())))
    rig.ledger.cache.evict(key(), later, "its space was needed")
    subject = ("", P, key().id)
    assert [(t.at, t.subject, t.old, t.new, t.reason) for t in rig.transitions()] == [
        (START, subject, "", "planned", ""),
        (later, subject, "planned", "recalling", "still on tape"),
        (later, subject, "recalling", "copying", ""),
        (later, subject, "copying", "copied", ""),
        (later, subject, "copied", "staged", ""),
        (later, subject, "staged", "released", "its space was needed"),
    ]


def test_progress_is_noted_and_the_whole_only_where_it_is_given(planned: Ledger) -> None:
    planned.datablocks.note_progress(key(), 0, 4096)
    planned.datablocks.note_progress(key(), 10)
    assert (record(planned).bytes_done, record(planned).bytes_total) == (10, 4096)


@pytest.mark.parametrize("state", [State.COPIED, State.STAGED, State.FAILED, State.RELEASED])
def test_progress_that_comes_late_is_dropped(planned: Ledger, state: DatablockState) -> None:
    bring_to(planned, key(), state)
    before = record(planned)
    planned.datablocks.note_progress(key(), 10, 20)
    assert record(planned) == before


def test_progress_of_an_unknown_datablock_is_dropped(planned: Ledger) -> None:
    planned.datablocks.note_progress(key(7), 10, 20)
    assert planned.datablocks.get(key(7)) is None


def test_going_back_before_copied_counts_bytes_from_0_and_keeps_the_whole(planned: Ledger) -> None:
    bring_to(planned, key(), State.COPIED)
    planned.datablocks.move(key(), State.COPYING)
    found = record(planned)
    assert (found.bytes_done, found.bytes_total, found.archive_checksum) == (0, 1024, None)


def test_a_finished_copy_is_kept_with_its_evidence_and_manifest(planned: Ledger) -> None:
    bring_to(planned, key(), State.COPYING)
    manifest = bytes(range(256)) * 100
    planned.copies.save(copied(key(), size=2**40), manifest)
    found = record(planned)
    assert (found.state, found.bytes_done, found.bytes_total) == (State.COPIED, 2**40, 2**40)
    assert found.archive_checksum == copied(key()).archive_checksum
    assert planned.copies.get(key()) == copied(key(), size=2**40)
    assert planned.copies.manifest(key()) == manifest


def test_a_copy_saved_again_replaces_the_one_before(planned: Ledger) -> None:
    bring_to(planned, key(), State.COPIED)
    planned.copies.save(copied(key(), seal="another"), b"another")
    assert planned.copies.get(key()) == copied(key(), seal="another")
    assert planned.copies.manifest(key()) == b"another"


@pytest.mark.parametrize(
    "state", [State.PLANNED, State.RECALLING, State.STAGED, State.FAILED, State.RELEASED]
)
def test_a_copy_is_saved_of_what_is_being_copied_alone(planned: Ledger, state: DatablockState) -> None:
    bring_to(planned, key(), state)
    before, manifest = record(planned), planned.copies.manifest(key())
    with pytest.raises(TransitionIllegal):
        planned.copies.save(copied(key(), seal="another"), b"another")
    assert (record(planned), planned.copies.manifest(key())) == (before, manifest)


@pytest.mark.parametrize("state", list(State))
def test_evidence_of_a_copy_is_given_while_copied_or_staged(planned: Ledger, state: DatablockState) -> None:
    bring_to(planned, key(), state)
    holds = state in {State.COPIED, State.STAGED}
    assert planned.copies.get(key()) == (copied(key()) if holds else None)


def test_a_staged_datablock_s_manifest_is_made_anew_with_its_seal(planned: Ledger) -> None:
    bring_to(planned, key(), State.STAGED)
    before = planned.copies.get(key())
    assert before is not None
    assert planned.copies.renew_manifest(key(), "seal", SealedManifest(b"renewed", "new seal", 3))
    assert planned.copies.known_manifest(key()) == SealedManifest(b"renewed", "new seal", 3)
    assert planned.copies.get(key()) == replace(before, manifest_seal="new seal", members=3)
    record = planned.datablocks.get(key())
    assert record is not None
    assert record.state is State.STAGED


def test_a_manifest_of_another_seal_is_not_made_anew(planned: Ledger) -> None:
    bring_to(planned, key(), State.STAGED)
    before = planned.copies.known_manifest(key())
    assert not planned.copies.renew_manifest(key(), "another", SealedManifest(b"renewed", "new seal", 3))
    assert planned.copies.known_manifest(key()) == before


@pytest.mark.parametrize("state", [state for state in State if state is not State.STAGED])
def test_a_manifest_of_what_is_not_staged_is_not_made_anew(planned: Ledger, state: DatablockState) -> None:
    bring_to(planned, key(), state)
    before = planned.copies.known_manifest(key())
    assert not planned.copies.renew_manifest(key(), "seal", SealedManifest(b"renewed", "new seal", 3))
    assert not planned.copies.renew_manifest(key(9), "seal", SealedManifest(b"renewed", "new seal", 3))
    assert planned.copies.known_manifest(key()) == before


def test_the_last_manifest_stays_when_the_copy_is_gone(planned: Ledger) -> None:
    assert planned.copies.manifest(key()) is None
    bring_to(planned, key(), State.RELEASED)
    planned.datablocks.plan(P, entries(1), "run-2")
    assert planned.copies.manifest(key()) == b"manifest of block-0"


@pytest.mark.parametrize("integrity", list(Integrity))
def test_a_staged_datablock_says_what_was_compared_and_when(rig: Rig, integrity: Integrity) -> None:
    rig.ledger.datablocks.plan(P, entries(1), "run-1")
    bring_to(rig.ledger, key(), State.COPIED)
    now = rig.clock.advance(HOUR)
    rig.ledger.copies.save_staged(staged(copied(key()), integrity))
    found = record(rig.ledger)
    assert (found.state, found.integrity) == (State.STAGED, integrity)
    assert (found.staged_at, found.used_at, found.checked_at) == (now, now, now)


def test_a_datablock_says_while_it_is_staged_what_was_spelled_otherwise(planned: Ledger) -> None:
    matched = (
        Matched(Likeness.FOLDER, 372, (("/data/a", "a"), ("/data/\u00e9", "e\u0301"))),
        Matched(Likeness.BYTES, 1, ((ODD, "\\xff"),)),
    )
    bring_to(planned, key(), State.COPIED)
    planned.copies.save_staged(staged(copied(key()), matched_by=matched))
    assert record(planned).matched_by == matched
    planned.datablocks.move(key(), State.RELEASED)
    assert record(planned).matched_by == ()


def test_a_datablock_says_while_it_is_staged_what_is_odd_of_its_archive(planned: Ledger) -> None:
    odd = Oddities(passed_over=3, replaced=1, tars=2)
    bring_to(planned, key(), State.COPIED)
    assert record(planned).oddities == NO_ODDITIES
    planned.copies.save_staged(staged(copied(key()), oddities=odd))
    assert record(planned).oddities == odd
    planned.datablocks.move(key(), State.RELEASED)
    assert record(planned).oddities == NO_ODDITIES


@pytest.mark.parametrize("state", [State.COPYING, State.FAILED, State.RELEASED])
def test_only_a_copied_datablock_becomes_staged(planned: Ledger, state: DatablockState) -> None:
    bring_to(planned, key(), state)
    with pytest.raises(TransitionIllegal):
        planned.copies.save_staged(staged(copied(key())))
    assert record(planned).state is state


@pytest.mark.parametrize("state", [State.COPIED, State.STAGED])
def test_evidence_of_another_copy_stages_nothing(planned: Ledger, state: DatablockState) -> None:
    bring_to(planned, key(), state)
    before = record(planned)
    with pytest.raises(TransitionIllegal):
        planned.copies.save_staged(staged(copied(key(), seal="another")))
    assert record(planned) == before


def test_staging_repeated_changes_nothing(rig: Rig) -> None:
    rig.ledger.datablocks.plan(P, entries(1), "run-1")
    bring_to(rig.ledger, key(), State.STAGED)
    before = record(rig.ledger)
    rig.clock.advance(HOUR)
    rig.ledger.copies.save_staged(staged(copied(key())))
    assert record(rig.ledger) == before


@pytest.mark.parametrize("state", [State.PLANNED, State.RELEASED])
def test_what_is_no_longer_staged_claims_nothing(planned: Ledger, state: DatablockState) -> None:
    bring_to(planned, key(), State.STAGED)
    planned.datablocks.move(key(), state)
    found = record(planned)
    assert (found.integrity, found.archive_checksum) == (None, None)
    assert (found.staged_at, found.used_at, found.checked_at) == (None, None, None)


def test_a_failed_datablock_is_brought_back_by_the_next_plan(planned: Ledger) -> None:
    bring_to(planned, key(), State.FAILED)
    planned.datablocks.plan(P, entries(1), "run-2")
    bring_to(planned, key(), State.STAGED)
    assert record(planned).state is State.STAGED


def test_a_copy_s_token_is_kept_while_it_is_copied_or_staged_or_its_files_may_be_there(
    planned: Ledger,
) -> None:
    tokens = []
    for state in (State.COPYING, State.COPIED, State.STAGED, State.RELEASED):
        bring_to(planned, key(), State.PLANNED)
        planned.datablocks.plan(P, entries(1), f"run-{state}")
        bring_to(planned, key(), state)
        tokens.append(record(planned).partial)
        if state is State.STAGED:
            planned.datablocks.move(key(), State.PLANNED)
    assert tokens == ["", "token", "token", "token"]
    planned.inventory.forget_files(key())
    assert record(planned).partial == ""


def test_evidence_of_another_file_stages_nothing(planned: Ledger) -> None:
    bring_to(planned, key(), State.COPIED)
    with pytest.raises(TransitionIllegal):
        planned.copies.save_staged(staged(copied(key(), partial="another")))
    assert record(planned).state is State.COPIED
