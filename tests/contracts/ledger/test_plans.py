"""What every ledger promises of plans: datablocks taken down from the catalogue, once and again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scicat_retriever.domain.dataset import CataloguedDatablock, EntryKind, FileEntry
from scicat_retriever.domain.errors import CatalogueEntryInvalid, CatalogueUnavailable
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.database.packing import Fingerprint, unpack_files
from scicat_retriever.ports.cache import EvictionOrder
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.datablocks import Plan
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.needs import DatasetProgress
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import (
    FLOW,
    HOUR,
    JOB,
    ODD,
    START,
    P,
    Q,
    bring_to,
    entries,
    entry,
    files,
    job,
    key,
)

State = DatablockState
CHANGES = {
    "archiveId": entry(archive_id="other.tar"),
    "size": entry(size=22),
    "packed size": entry(packed_size=1001),
    "algorithm": entry(algorithm="sha256"),
    "no algorithm": entry(algorithm=None),
    "a file's name": entry(listed_files=[FileEntry("run/other.h5", 10, f"{0:032x}"), files()[1]]),
    "a file's size": entry(listed_files=[FileEntry("run/frame_0.h5", 11, f"{0:032x}"), files()[1]]),
    "a file's checksum": entry(listed_files=[FileEntry("run/frame_0.h5", 10, None), files()[1]]),
    "order of files": entry(listed_files=tuple(reversed(files()))),
    "fewer files": entry(listed_files=files(1)),
}


def states(ledger: Ledger) -> list[tuple[str, DatablockState]]:
    return [(record.datablock.id, record.state) for record in ledger.datablocks.of(P)]


def test_a_plan_counts_datablocks_files_and_bytes(ledger: Ledger) -> None:
    assert ledger.datablocks.plan(P, iter(entries(3)), "run-1") == Plan(
        datablocks=3, files=6, packed_size=3000
    )


def test_a_planned_datablock_is_given_as_catalogued(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, [entry(0), entry(1, algorithm=None)], "run-1")
    expected = DatablockRecord(entry(1, algorithm=None).datablock, 1, State.PLANNED, 0, 1000, run="run-1")
    assert ledger.datablocks.of(P) == [
        DatablockRecord(entry(0).datablock, 0, State.PLANNED, 0, 1000, run="run-1"),
        expected,
    ]
    assert ledger.datablocks.get(key(1)) == expected
    assert expected.key == key(1)


def test_an_unknown_datablock_has_no_record_and_no_files(ledger: Ledger) -> None:
    assert ledger.datablocks.get(key()) is None
    assert ledger.datablocks.of(P) == []
    assert list(ledger.datablocks.files(key())) == []


def test_files_come_back_in_the_catalogue_s_order(ledger: Ledger) -> None:
    odd = [
        FileEntry(ODD, 0, None),
        FileEntry("z", 2**53, "00"),
        FileEntry("a", 1, None),
        FileEntry("a", 1, None),
        FileEntry("d", 4096, None, EntryKind.FOLDER),
        FileEntry("l", 1, None, EntryKind.LINK),
        FileEntry("f", 1, None, EntryKind.FILE),
    ]
    many = files(5000)
    ledger.datablocks.plan(
        P, [entry(0, listed_files=odd), entry(1, listed_files=many), entry(2, listed_files=[])], "run"
    )
    assert list(ledger.datablocks.files(key(0))) == odd
    assert tuple(ledger.datablocks.files(key(1))) == many
    assert list(ledger.datablocks.files(key(2))) == []


def test_a_regular_file_that_is_told_by_its_permissions_changes_no_datablock() -> None:
    """Earlier releases did not read that: what they staged must not count as changed."""

    def digest_of(kind: EntryKind | None) -> str:
        fingerprint = Fingerprint(
            entry(0, listed_files=[FileEntry("a", 1, None, kind), FileEntry("b", 1, "00")])
        )
        told, _ = unpack_files(fingerprint.chunks())
        assert told.kind is kind
        return fingerprint.hexdigest()

    assert digest_of(EntryKind.FILE) == digest_of(None)
    assert len({digest_of(kind) for kind in EntryKind}) == len(EntryKind)


def test_datablocks_are_paged_by_position_in_the_catalogue_s_order(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, [entry(number) for number in (4, 2, 0, 3, 1)], "run-1")
    assert [(r.position, r.datablock.id) for r in ledger.datablocks.of(P, 1, 2)] == [
        (1, "block-2"),
        (2, "block-0"),
    ]
    assert [r.position for r in ledger.datablocks.of(P, 3)] == [3, 4]
    assert ledger.datablocks.of(P, 5, 2) == []


@pytest.mark.parametrize("state", list(State))
def test_a_plan_repeated_by_the_same_run_changes_nothing(rig: Rig, state: DatablockState) -> None:
    rig.ledger.datablocks.plan(P, entries(2), "run-1")
    bring_to(rig.ledger, key(1), state)
    before, book = rig.ledger.datablocks.of(P), list(rig.transitions())
    assert rig.ledger.datablocks.plan(P, entries(2), "run-1") == Plan(2, 4, 2000)
    assert rig.ledger.datablocks.of(P) == before
    assert rig.transitions() == book


@pytest.mark.parametrize("state", [state for state in State if state is not State.STAGED])
def test_another_run_plans_anew_what_is_not_staged(ledger: Ledger, state: DatablockState) -> None:
    ledger.datablocks.plan(P, entries(1), "run-1")
    bring_to(ledger, key(), state)
    ledger.datablocks.plan(P, entries(1), "run-2")
    # What an archive turned out to have is not forgotten: its space is claimed in the line from now on.
    size = 1024 if state in {State.COPIED, State.RELEASED} else 1000
    assert ledger.datablocks.of(P) == [
        DatablockRecord(entry().datablock, 0, State.PLANNED, 0, size, run="run-2")
    ]


def test_what_is_staged_and_unchanged_stays_staged_under_its_old_run(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, entries(2), "run-1")
    bring_to(ledger, key(0), State.STAGED)
    before = ledger.datablocks.get(key(0))
    ledger.datablocks.plan(P, entries(2), "run-2")
    assert ledger.datablocks.get(key(0)) == before
    assert before is not None
    assert before.run == "run-1"
    assert [r.run for r in ledger.datablocks.of(P)] == ["run-1", "run-2"]


def test_what_is_changed_is_planned_anew_by_the_same_run_too(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, [entry()], "run-1")
    bring_to(ledger, key(), State.RECALLING)
    ledger.datablocks.plan(P, [entry(archive_id="other.tar")], "run-1")
    assert states(ledger) == [("block-0", State.PLANNED)]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_staged_and_changed_is_planned_anew(ledger: Ledger, change: str) -> None:
    ledger.datablocks.plan(P, [entry()], "run-1")
    bring_to(ledger, key(), State.STAGED)
    changed = CHANGES[change]
    ledger.datablocks.plan(P, [changed], "run-2")
    total = changed.datablock.packed_size
    assert ledger.datablocks.of(P) == [
        DatablockRecord(changed.datablock, 0, State.PLANNED, 0, total, run="run-2")
    ]
    assert tuple(ledger.datablocks.files(key())) == changed.files


def test_a_staged_datablock_takes_its_new_place(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, entries(2), "run-1")
    bring_to(ledger, key(1), State.STAGED)
    ledger.datablocks.plan(P, [entry(1), entry(0)], "run-2")
    assert states(ledger) == [("block-1", State.STAGED), ("block-0", State.PLANNED)]


@pytest.mark.parametrize("state", [state for state in State if state is not State.STAGED])
def test_what_the_catalogue_no_longer_lists_is_released(ledger: Ledger, state: DatablockState) -> None:
    ledger.datablocks.plan(P, entries(2), "run-1")
    bring_to(ledger, key(1), state)
    ledger.datablocks.plan(P, entries(1), "run-2")
    gone = ledger.datablocks.get(key(1))
    assert gone is not None
    assert gone.state is State.RELEASED
    assert states(ledger) == [("block-0", State.PLANNED)]


def test_what_is_staged_and_no_longer_listed_stays_until_it_is_evicted_and_does_not_count(
    ledger: Ledger,
) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.datablocks.plan(P, entries(2), "run-1")
    bring_to(ledger, key(1), State.STAGED)
    ledger.datablocks.plan(P, entries(1), "run-2")
    assert states(ledger) == [("block-0", State.PLANNED)]
    assert ledger.needs.progress(JOB) == [DatasetProgress(P, 1, 0, 0, 1000)]
    assert ledger.pins.pin(P, "ada", START + HOUR) == 0
    assert [r.key for r in ledger.cache.datablocks(EvictionOrder.LARGEST, START, 9)] == [key(1)]
    assert ledger.cache.evict(key(1), START, "its space was needed")


def test_what_is_staged_and_listed_again_is_the_dataset_s_again(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, entries(2), "run-1")
    bring_to(ledger, key(1), State.STAGED)
    ledger.datablocks.plan(P, entries(1), "run-1")
    ledger.datablocks.plan(P, entries(2), "run-1")
    assert states(ledger) == [("block-0", State.PLANNED), ("block-1", State.STAGED)]


def test_what_was_released_and_is_listed_again_is_planned(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, entries(2), "run-1")
    ledger.datablocks.plan(P, entries(1), "run-1")
    ledger.datablocks.plan(P, entries(2), "run-1")
    assert states(ledger) == [("block-0", State.PLANNED), ("block-1", State.PLANNED)]


def test_an_empty_plan_leaves_no_datablock(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, entries(2), "run-1")
    assert ledger.datablocks.plan(P, [], "run-2") == Plan(0, 0, 0)
    assert ledger.datablocks.of(P) == []


def test_datasets_do_not_touch_one_another(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, entries(2), "run-1")
    ledger.datablocks.plan(Q, [entry(0, Q)], "run-2")
    ledger.datablocks.move(key(0, Q), State.RECALLING)
    assert states(ledger) == [("block-0", State.PLANNED), ("block-1", State.PLANNED)]


def test_an_error_of_the_catalogue_in_mid_plan_changes_nothing(rig: Rig) -> None:
    rig.ledger.datablocks.plan(P, entries(2), "run-1")
    before, book = rig.ledger.datablocks.of(P), list(rig.transitions())

    def breaking() -> Iterator[CataloguedDatablock]:
        yield entry(0, archive_id="changed.tar", listed_files=files(9))
        raise CatalogueUnavailable("SciCat is away")

    with pytest.raises(CatalogueUnavailable):
        rig.ledger.datablocks.plan(P, breaking(), "run-2")
    assert rig.ledger.datablocks.of(P) == before
    assert tuple(rig.ledger.datablocks.files(key())) == files()
    assert rig.transitions() == book


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param([entry(0), entry(1), entry(0)], id="listed twice"),
        pytest.param([entry(0), entry(1, Q)], id="of another dataset"),
        pytest.param([entry(0, size=-1)], id="negative size"),
        pytest.param([entry(0, packed_size=2**53 + 1)], id="size that no archive has"),
        pytest.param([entry(n, packed_size=2**53 - 1) for n in range(1100)], id="packed size in all"),
        pytest.param([entry(n, size=2**53 - 1) for n in range(1100)], id="size in all"),
    ],
)
def test_an_entry_that_cannot_be_worked_with_changes_nothing(
    ledger: Ledger, wrong: list[CataloguedDatablock]
) -> None:
    with pytest.raises(CatalogueEntryInvalid):
        ledger.datablocks.plan(P, wrong, "run-1")
    assert ledger.datablocks.of(P) == []


def test_the_ledger_can_be_used_while_the_catalogue_is_being_read(ledger: Ledger) -> None:
    def reading() -> Iterator[CataloguedDatablock]:
        yield entry(0)
        ledger.jobs.add(job(JOB, P), FLOW)
        yield entry(1)

    assert ledger.datablocks.plan(P, reading(), "run-1").datablocks == 2


def test_progress_is_summed_for_planned_datasets_in_the_order_asked_for(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, Q, P, "unplanned", P), FLOW)  # type: ignore[arg-type]
    ledger.datablocks.plan(P, entries(3), "run-1")
    ledger.datablocks.plan(Q, [entry(0, Q)], "run-1")
    bring_to(ledger, key(0), State.STAGED)
    bring_to(ledger, key(1), State.COPYING)
    ledger.datablocks.note_progress(key(1), 300, 2000)
    assert ledger.needs.progress(JOB) == [
        DatasetProgress(Q, datablocks=1, staged=0, bytes_done=0, bytes_total=1000),
        DatasetProgress(P, datablocks=3, staged=1, bytes_done=1324, bytes_total=4024),
    ]


def test_five_thousand_datablocks_are_planned_in_one_call(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, (entry(number) for number in range(5000)), "run-1")
    assert [r.position for r in ledger.datablocks.of(P)] == list(range(5000))
