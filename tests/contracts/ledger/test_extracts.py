"""Extracts: which of them a dataset has, who needs them, and what they are not counted as."""

from dataclasses import replace

import pytest

from scicat_retriever.domain.dataset import CataloguedDatablock, RetrieveJob, Selection
from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, LifecycleWord
from scicat_retriever.onepass.manifest import SealedManifest
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.datablocks import Plan
from scicat_retriever.ports.jobs import FlowName
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.reports import Subject
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import HOUR, P, bring_to, entries, entry, files, key, part_of
from tests.contracts.ledger.space_samples import A, B, claim, wish

State = DatablockState
PART = DatablockKey(P, part_of().datablock.id)
GONE = LifecycleUpdate(LifecycleWord.NOTHING)


def choose(ledger: Ledger, name: JobId = A, part: CataloguedDatablock | None = None) -> JobId:
    """Have a job that chose a file which an extract holds, and that was started."""
    chosen = part or part_of()
    ledger.jobs.add(
        RetrieveJob(name, "retrieve", (Selection(P, ("a",)),), "ada", "p17"), FlowName(name, "flow")
    )
    ledger.needs.note_choice(name, P, [chosen.datablock.id], chosen.datablock.packed_size, None, [chosen])
    ledger.jobs.move_dataset(name, P, DatasetState.STARTED)
    return name


def planned(ledger: Ledger, run: str = "run-2", *, of: int = 3) -> Plan:
    return ledger.datablocks.plan(P, entries(of), run)


def record(ledger: Ledger, of: DatablockKey = PART) -> DatablockRecord:
    found = ledger.datablocks.get(of)
    assert found is not None
    return found


def ids(ledger: Ledger) -> list[str]:
    return [each.key.id for each in ledger.datablocks.of(P)]


@pytest.fixture
def chosen(ledger: Ledger) -> Ledger:
    """A dataset of three datablocks, of one of which a started job needs an extract."""
    planned(ledger, "run-1")
    choose(ledger)
    return ledger


@pytest.fixture
def staged(chosen: Ledger) -> Ledger:
    """The extract is staged for the job."""
    planned(chosen)
    bring_to(chosen, PART, State.STAGED, 70)
    return chosen


def test_an_extract_comes_back_as_it_was_noted(chosen: Ledger) -> None:
    assert record(chosen).datablock == part_of().datablock
    assert tuple(chosen.datablocks.files(PART)) == files(1)


def test_a_plan_places_extracts_after_the_datablocks_and_counts_them_apart(chosen: Ledger) -> None:
    assert planned(chosen) == Plan(3, 6, 3000, 1)
    assert ids(chosen) == ["block-0", "block-1", "block-2", PART.id]
    assert [each.position for each in chosen.datablocks.of(P)] == [0, 1, 2, 3]


def test_the_run_that_plans_an_extract_retrieves_it_alone_from_the_store_of_the_plan(chosen: Ledger) -> None:
    chosen.datablocks.plan(P, entries(3), "run-2", "vault")
    (wanted,) = [each for each in chosen.datablocks.of(P) if each.wanted]
    assert (wanted.key, wanted.run, wanted.store, wanted.bytes_total) == (PART, "run-2", "vault", 70)


def test_an_extract_that_is_chosen_while_a_run_goes_on_is_left_to_the_next(ledger: Ledger) -> None:
    planned(ledger, "run-1")
    wish(ledger, B, {P: 3000})
    ledger.jobs.move_dataset(B, P, DatasetState.STARTED)
    choose(ledger)
    claim(ledger, A, 100_000)
    assert not record(ledger).wanted
    assert [each.key for each in ledger.needs.datablocks(A, P)] == [PART]
    assert not ledger.needs.is_brought(A, P)
    planned(ledger)
    assert record(ledger).wanted


def test_a_step_that_plans_again_changes_nothing_of_an_extract(chosen: Ledger) -> None:
    planned(chosen)
    bring_to(chosen, PART, State.COPYING)
    before = record(chosen)
    planned(chosen)
    assert record(chosen) == before


def test_a_job_claims_the_bytes_of_the_extract(chosen: Ledger) -> None:
    planned(chosen)
    assert (chosen.claims.job_size(A), claim(chosen, A, 100_000).needed) == (70, 70)


def test_what_an_extract_wants_from_tape_is_the_whole_archive(chosen: Ledger) -> None:
    planned(chosen)
    chosen.recalls.want([PART])
    assert [(each.archive_id, each.bytes) for each in chosen.recalls.of_dataset(P)] == [
        ("archive-1.tar", 1000)
    ]


def test_a_staged_extract_is_what_its_job_needs(staged: Ledger) -> None:
    assert staged.needs.is_brought(A, P)
    (progress,) = staged.needs.progress(A)
    assert (progress.datablocks, progress.staged, progress.bytes_total) == (1, 1, 70)


def test_a_job_for_the_whole_dataset_needs_no_extract(staged: Ledger) -> None:
    wish(staged, B, {P: 3000})
    assert [each.key for each in staged.needs.datablocks(B, P)] == [key(0), key(1), key(2)]
    staged.jobs.move_dataset(B, P, DatasetState.STARTED)
    staged.jobs.move_dataset(A, P, DatasetState.RETRIEVED)
    planned(staged, "run-3")
    assert [each.key for each in staged.datablocks.of(P) if each.wanted] == [key(0), key(1), key(2)]


def test_a_dataset_is_retrieved_without_its_extracts_and_not_by_them(staged: Ledger) -> None:
    retrieved = LifecycleUpdate(LifecycleWord.RETRIEVED)
    with pytest.raises(TransitionIllegal):
        staged.reports.tell_dataset(P, retrieved)
    for number in range(3):
        bring_to(staged, key(number), State.STAGED)
    staged.datablocks.move(PART, State.RELEASED)
    staged.reports.tell_dataset(P, retrieved)
    assert [report.content for report in staged.reports.find(Subject.dataset(P))] == [retrieved]


def test_scicat_hears_nothing_when_an_extract_of_a_whole_dataset_is_evicted(rig: Rig) -> None:
    planned(rig.ledger, "run-1")
    choose(rig.ledger)
    planned(rig.ledger)
    for of in (PART, key(0), key(1), key(2)):
        bring_to(rig.ledger, of, State.STAGED)
    now = rig.clock.advance(HOUR)
    assert rig.ledger.cache.evict(PART, now, "full", GONE)
    assert rig.ledger.reports.find(Subject.dataset(P)) == []
    assert rig.ledger.cache.evict(key(0), now, "full", GONE)
    assert len(rig.ledger.reports.find(Subject.dataset(P))) == 1


def test_a_staged_extract_stays_for_those_who_choose_the_same_later(staged: Ledger) -> None:
    staged.jobs.move_dataset(A, P, DatasetState.RETRIEVED)
    planned(staged, "run-3")
    choose(staged, B)
    assert staged.needs.is_brought(B, P)


def test_an_extract_that_is_gone_and_nobody_asks_for_is_no_part_of_the_dataset_any_more(
    staged: Ledger,
) -> None:
    staged.jobs.move_dataset(A, P, DatasetState.RETRIEVED)
    staged.datablocks.move(PART, State.RELEASED)
    assert planned(staged, "run-3").extracts == 0
    assert ids(staged) == ["block-0", "block-1", "block-2"]
    assert not staged.needs.is_brought(A, P)


def test_an_extract_that_was_forgotten_can_be_chosen_again(staged: Ledger) -> None:
    staged.jobs.move_dataset(A, P, DatasetState.RETRIEVED)
    staged.datablocks.move(PART, State.RELEASED)
    planned(staged, "run-3")
    choose(staged, B)
    assert not record(staged).wanted
    assert planned(staged, "run-4").extracts == 1
    assert (record(staged).state, record(staged).run, record(staged).wanted) == (
        State.PLANNED,
        "run-4",
        True,
    )


@pytest.mark.parametrize("staging", [False, True], ids=["planned", "staged"])
@pytest.mark.parametrize("gone", [False, True], ids=["changed", "unlisted"])
def test_an_extract_goes_with_the_datablock_that_it_is_of(
    chosen: Ledger, *, staging: bool, gone: bool
) -> None:
    planned(chosen)
    if staging:
        bring_to(chosen, PART, State.STAGED, 70)
    changed = [] if gone else [entry(1, size=99)]
    assert chosen.datablocks.plan(P, [entry(0), *changed, entry(2)], "run-3").extracts == 0
    assert PART.id not in ids(chosen)
    assert not chosen.needs.is_brought(A, P)


def test_what_is_known_of_an_archive_is_the_manifest_of_its_last_copy(ledger: Ledger) -> None:
    planned(ledger, "run-1")
    assert ledger.copies.known_manifest(key(0)) is None
    bring_to(ledger, key(0), State.RELEASED)
    assert ledger.copies.known_manifest(key(0)) == SealedManifest(b"manifest of block-0", "seal", 2)


def test_nothing_is_known_of_an_archive_whose_entry_changed(ledger: Ledger) -> None:
    planned(ledger, "run-1")
    bring_to(ledger, key(0), State.RELEASED)
    ledger.datablocks.plan(P, [entry(0, size=99)], "run-2")
    assert ledger.copies.known_manifest(key(0)) is None


def test_an_extract_that_is_read_whole_has_all_that_the_datablock_has(chosen: Ledger) -> None:
    planned(chosen)
    bring_to(chosen, PART, State.COPIED, 70)
    chosen.datablocks.read_whole(PART, "not right")
    now = record(chosen)
    assert (now.state, now.reason, now.run, now.wanted) == (State.PLANNED, "not right", "run-2", True)
    assert (now.bytes_done, now.bytes_total, now.datablock.ranges) == (0, 1000, ())
    whole = record(chosen, key(1)).datablock
    assert replace(now.datablock, id=whole.id, extract=None) == whole
    assert tuple(chosen.datablocks.files(PART)) == tuple(chosen.datablocks.files(key(1)))


def test_where_members_lie_is_forgotten_once_an_extract_was_not_right(chosen: Ledger) -> None:
    planned(chosen)
    bring_to(chosen, key(1), State.RELEASED)
    bring_to(chosen, PART, State.COPIED)
    chosen.datablocks.read_whole(PART, "not right")
    assert chosen.copies.known_manifest(key(1)) is None


def test_a_copy_of_the_whole_keeps_its_manifest(chosen: Ledger) -> None:
    planned(chosen)
    bring_to(chosen, key(1), State.STAGED)
    chosen.datablocks.read_whole(PART, "not right")
    assert chosen.copies.manifest(key(1)) == b"manifest of block-1"


def test_what_is_read_whole_already_does_not_begin_anew(chosen: Ledger) -> None:
    planned(chosen)
    chosen.datablocks.read_whole(PART, "not right")
    bring_to(chosen, PART, State.COPYING)
    chosen.datablocks.read_whole(PART, "not right")
    assert record(chosen).state is State.COPYING


@pytest.mark.parametrize("state", [State.STAGED, State.RELEASED])
def test_what_is_not_on_its_way_is_not_read_whole(chosen: Ledger, state: DatablockState) -> None:
    planned(chosen)
    bring_to(chosen, PART, state)
    with pytest.raises(TransitionIllegal):
        chosen.datablocks.read_whole(PART, "not right")


@pytest.mark.parametrize("of", [key(0), key(9)], ids=["a datablock", "unknown"])
def test_only_an_extract_is_read_whole_in_place_of_a_part(chosen: Ledger, of: DatablockKey) -> None:
    with pytest.raises(TransitionIllegal):
        chosen.datablocks.read_whole(of, "not right")
