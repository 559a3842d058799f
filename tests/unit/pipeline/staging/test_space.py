import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import CataloguedDatablock, Dataset, RetrieveJob, Selection
from scicat_retriever.domain.errors import CatalogueError
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.pipeline.staging import space
from scicat_retriever.pipeline.transfer import publish
from scicat_retriever.ports.staging_area import Room
from tests.contracts.ledger.samples import bring_to
from tests.fakes.catalogue import InMemoryCatalogue
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.pipeline.rig import CACHE, FILES, JOB, PID, Rig, tar

SIZE = len(tar(FILES))
Q, R = DatasetPid("20.500.12345/q"), DatasetPid("20.500.12345/r")
OTHER, THIRD = JobId("other"), JobId("third")


class SilentCatalogue(InMemoryCatalogue):
    """Declares no dataset's size."""

    def dataset(self, pid: DatasetPid) -> Dataset:
        return replace(super().dataset(pid), packed_size=0)


def rig_of(datablocks: float, *pids: DatasetPid) -> Rig:
    """Staging with room for so many datablocks, and datasets of one datablock each."""
    rig = Rig(staging=InMemoryStagingArea(int(datablocks * SIZE)))
    for pid in pids:
        rig.catalogue.add_dataset(pid, (rig.archive(pid=pid),))
    return rig


def failed(rig: Rig, name: JobId) -> None:
    """End a job without anything staged for it."""
    rig.ledger.pins.keep_for_job(name, rig.clock())
    rig.ledger.jobs.move(name, JobState.UNSUCCESSFUL, "", errors.JobCancelled("cancelled").failure())
    rig.ledger.claims.end_idle()


def test_a_job_claims_what_all_its_datasets_need() -> None:
    rig = rig_of(3, PID, Q)
    rig.job(PID, Q)
    assert rig.ledger.inventory.usage().claimed == 2 * SIZE


def test_a_job_larger_than_the_whole_area_is_refused_at_once_with_both_sizes() -> None:
    rig = rig_of(1.5, PID, Q)
    rig.submit(PID, Q)
    with pytest.raises(
        errors.JobLargerThanStaging, match=r"asks for 20 kB.*holds 15 kB in all: ask for fewer"
    ):
        space.claim_job(JOB, rig.tools)
    assert rig.ledger.inventory.usage().claimed == 0


def test_a_job_that_does_not_fit_now_says_what_it_waits_for_and_its_place() -> None:
    rig = rig_of(2, PID, Q, R)
    rig.job(PID)
    rig.submit(Q, R, name=OTHER)
    with pytest.raises(
        errors.NoSpaceYet, match=r"waiting for 20 kB of staging space, 1st in line; 10 kB more must"
    ):
        space.claim_job(OTHER, rig.tools)
    rig.submit(Q, name=THIRD)
    with pytest.raises(errors.NoSpaceYet, match=r"waiting for 10 kB of staging space, 2nd in line$"):
        space.claim_job(THIRD, rig.tools)


def test_a_job_gets_its_space_once_another_gives_it_back() -> None:
    rig = rig_of(1, PID, Q)
    rig.job(PID)
    rig.submit(Q, name=OTHER)
    with pytest.raises(errors.NoSpaceYet):
        space.claim_job(OTHER, rig.tools)
    failed(rig, JOB)
    space.claim_job(OTHER, rig.tools)


def test_the_first_in_line_has_what_nobody_pins_evicted() -> None:
    rig = rig_of(1, PID, Q)
    (old,) = rig.staged_dataset()
    publish.publish(PID, rig.tools)
    rig.clock.advance(CACHE.spared_time + timedelta(seconds=1))
    rig.catalogue.add_dataset(Q, (rig.archive(pid=Q),))
    rig.job(Q)
    assert rig.record(old.key).state is DatablockState.RELEASED
    assert rig.staging.staged_keys() == set()


def test_nothing_is_evicted_for_a_job_that_could_not_begin_even_then() -> None:
    rig = rig_of(2, PID, Q, R)
    (old,) = rig.staged_dataset()
    publish.publish(PID, rig.tools)
    rig.job(R, name=OTHER)
    rig.clock.advance(CACHE.spared_time + timedelta(seconds=1))
    rig.catalogue.add_dataset(Q, (rig.archive(pid=Q, content=tar(FILES) + bytes(SIZE)),))
    rig.submit(Q)
    with pytest.raises(errors.NoSpaceYet):
        space.claim_job(JOB, rig.tools)
    assert rig.record(old.key).state is DatablockState.STAGED


def test_what_is_pinned_is_not_evicted_for_anybody() -> None:
    rig = rig_of(1, Q)
    rig.retrieved(PID, name=OTHER)
    rig.deliver()
    rig.clock.advance(CACHE.spared_time * 2)
    rig.submit(Q)
    with pytest.raises(errors.NoSpaceYet):
        space.claim_job(JOB, rig.tools)
    assert len(rig.staging.staged_keys()) == 1


def test_a_job_for_what_is_staged_needs_no_space_and_pins_it() -> None:
    rig = rig_of(1)
    (record,) = rig.staged_dataset()
    publish.publish(PID, rig.tools)
    rig.job(PID)
    assert rig.record(record.key).pinned


def test_a_group_above_its_quota_is_told_so() -> None:
    rig = rig_of(9, PID, Q)
    rig.tools = replace(rig.tools, cache=replace(CACHE, quotas={"p1": SIZE}))
    rig.job(PID, name=OTHER, group="p1")
    rig.submit(Q, group="p1")
    with pytest.raises(errors.QuotaExceeded, match="p1"):
        space.claim_job(JOB, rig.tools)
    rig.submit(Q, name=THIRD, group="p2")
    space.claim_job(THIRD, rig.tools)


@pytest.mark.parametrize(
    "error", [errors.DatasetUnknown, errors.CatalogueForbidden, errors.CatalogueEntryInvalid]
)
def test_a_dataset_that_cannot_be_read_needs_nothing_until_its_own_retrieval_says_why(
    error: type[CatalogueError],
) -> None:
    rig = rig_of(1, Q)
    rig.catalogue.add_dataset(PID, ())
    rig.catalogue.fail(error("no"), "dataset")
    rig.submit(PID)
    assert rig.ledger.claims.job_size(JOB) == 0


def test_sizes_are_asked_for_again_where_the_catalogue_was_away() -> None:
    rig = rig_of(1, PID)
    rig.catalogue.fail(errors.CatalogueUnavailable("away"), "dataset")
    with pytest.raises(errors.CatalogueUnavailable):
        rig.submit(PID)
    space.measure_job(JOB, rig.tools)
    assert rig.ledger.claims.job_size(JOB) == SIZE


class OddCatalogue(InMemoryCatalogue):
    """Has no usable answer for some datasets, and fails for all others once it is told to."""

    def __init__(self, *odd: DatasetPid) -> None:
        super().__init__()
        self.odd, self.away = set(odd), False

    def dataset(self, pid: DatasetPid) -> Dataset:
        if self.away or pid in self.odd:
            raise errors.CatalogueUnavailable("500")
        return super().dataset(pid)

    def datablocks(self, pid: DatasetPid) -> Iterator[CataloguedDatablock]:
        if self.away or pid in self.odd:
            raise errors.CatalogueUnavailable("500")
        return super().datablocks(pid)


@pytest.mark.parametrize("odd", [PID, Q])
def test_one_dataset_without_a_usable_answer_does_not_hold_the_others_up_for_long(odd: DatasetPid) -> None:
    rig = Rig(catalogue=OddCatalogue(odd))
    for pid in (PID, Q):
        rig.catalogue.add_dataset(pid, (rig.archive(pid=pid),))
    rig.submit(PID, Q, measure=False)
    with pytest.raises(errors.CatalogueUnavailable):
        space.measure_job(JOB, rig.tools)
    space.measure_job(JOB, rig.tools, odd_fail_alone=True)
    space.claim_job(JOB, rig.tools)
    assert rig.ledger.claims.job_size(JOB) == SIZE


def test_a_dataset_of_chosen_files_without_a_usable_answer_fails_alone() -> None:
    rig = Rig(catalogue=OddCatalogue(PID))
    rig.catalogue.add_dataset(PID, (rig.archive(),))
    rig.catalogue.add_dataset(Q, (rig.archive(pid=Q),))
    selections = (Selection(PID, ("run/a.dat",)), Selection(Q))
    intake.accept(RetrieveJob(JOB, "retrieve", selections), rig.ledger.jobs)
    intake.open_job(JOB, rig.tools)
    space.measure_job(JOB, rig.tools, odd_fail_alone=True)
    failed_one, other = rig.ledger.jobs.datasets(JOB)
    assert (failed_one.state, [each.code for each in failed_one.failures]) == (
        DatasetState.FAILED,
        ["catalogue_unavailable"],
    )
    assert other.state is DatasetState.SUBMITTED


def test_files_are_looked_for_once_more_where_scicat_answers_for_others() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, (rig.archive(),))
    rig.catalogue.add_dataset(Q, (rig.archive(pid=Q),))
    selections = (Selection(PID, ("run/a.dat",)), Selection(Q))
    intake.accept(RetrieveJob(JOB, "retrieve", selections), rig.ledger.jobs)
    intake.open_job(JOB, rig.tools)
    rig.catalogue.fail(errors.CatalogueUnavailable("starting"), "datablocks")
    space.measure_job(JOB, rig.tools, odd_fail_alone=True)
    assert {each.state for each in rig.ledger.jobs.datasets(JOB)} == {DatasetState.SUBMITTED}
    assert rig.ledger.claims.job_size(JOB) == 2 * SIZE


class FlappingCatalogue(InMemoryCatalogue):
    """Answers only some requests, as where one of several replicas is dead: those of the pattern, over and over."""

    def __init__(self, answers: Sequence[bool]) -> None:
        super().__init__()
        self.answers = itertools.cycle(answers)

    def dataset(self, pid: DatasetPid) -> Dataset:
        self._ask()
        return super().dataset(pid)

    def datablocks(self, pid: DatasetPid) -> Iterator[CataloguedDatablock]:
        self._ask()
        return super().datablocks(pid)

    def _ask(self) -> None:
        if not next(self.answers):
            raise errors.CatalogueUnavailable("502")


def chosen_and_whole(catalogue: InMemoryCatalogue) -> Rig:
    """A job that chose a file of one dataset, and wants another one whole."""
    rig = Rig(catalogue=catalogue)
    for pid in (PID, Q):
        rig.catalogue.add_dataset(pid, (rig.archive(pid=pid),))
    selections = (Selection(PID, ("run/a.dat",)), Selection(Q))
    intake.accept(RetrieveJob(JOB, "retrieve", selections), rig.ledger.jobs)
    intake.open_job(JOB, rig.tools)
    return rig


@given(st.lists(st.booleans(), min_size=2, max_size=8))
@example([False, True])
@example([False, True, True])
@example([False, True, False, True, True, False, True, True])
def test_a_dataset_of_chosen_files_does_not_fail_for_a_catalogue_that_answers_now_and_then(
    answers: list[bool],
) -> None:
    rig = chosen_and_whole(FlappingCatalogue(answers))
    for _ in range(3):
        with contextlib.suppress(errors.CatalogueUnavailable):
            space.measure_job(JOB, rig.tools, odd_fail_alone=True)
    assert {each.state for each in rig.ledger.jobs.datasets(JOB)} == {DatasetState.SUBMITTED}


def test_a_dataset_of_chosen_files_is_measured_by_a_catalogue_that_answers_now_and_then() -> None:
    rig = chosen_and_whole(FlappingCatalogue([False, True]))
    for _ in range(4):
        with contextlib.suppress(errors.CatalogueUnavailable):
            space.measure_job(JOB, rig.tools, odd_fail_alone=True)
    assert rig.ledger.claims.datasets_without_size(JOB, 9) == []
    assert {each.state for each in rig.ledger.jobs.datasets(JOB)} == {DatasetState.SUBMITTED}


def test_a_catalogue_that_is_away_altogether_is_waited_for() -> None:
    catalogue = OddCatalogue()
    rig = Rig(catalogue=catalogue)
    for pid in (PID, Q):
        catalogue.add_dataset(pid, (rig.archive(pid=pid),))
    rig.submit(PID, Q, measure=False)
    catalogue.away = True
    with pytest.raises(errors.CatalogueUnavailable):
        space.measure_job(JOB, rig.tools, odd_fail_alone=True)
    catalogue.away = False
    space.measure_job(JOB, rig.tools)
    assert rig.ledger.claims.job_size(JOB) == 2 * SIZE


class BoastingCatalogue(InMemoryCatalogue):
    """Declares more bytes of a dataset than any staging area has."""

    def dataset(self, pid: DatasetPid) -> Dataset:
        told = super().dataset(pid)
        return replace(told, packed_size=10**15) if pid == PID else told


def test_a_dataset_that_declares_more_than_the_whole_area_is_measured_by_its_datablocks() -> None:
    rig = Rig(catalogue=BoastingCatalogue(), staging=InMemoryStagingArea(2 * SIZE))
    for pid in (PID, Q):
        rig.catalogue.add_dataset(pid, (rig.archive(pid=pid),))
    rig.submit(PID, Q)
    space.claim_job(JOB, rig.tools)
    assert rig.ledger.inventory.usage().claimed == 2 * SIZE


def test_a_dataset_larger_than_the_whole_area_fails_alone() -> None:
    rig = rig_of(1.5, Q)
    rig.catalogue.add_dataset(PID, (rig.archive(0), rig.archive(1)))
    rig.submit(PID, Q)
    space.claim_job(JOB, rig.tools)
    assert rig.ledger.inventory.usage().claimed == SIZE
    rig.plan_again("run-1")
    with pytest.raises(errors.LargerThanStaging):
        space.claim_dataset(PID, rig.tools)
    rig.plan_again("run-2", Q)
    space.claim_dataset(Q, rig.tools)


def test_one_refusal_is_not_believed_at_once() -> None:
    rig = rig_of(1, PID)
    rig.catalogue.fail(errors.CatalogueForbidden("no"), "dataset")
    rig.submit(PID, measure=False)
    with pytest.raises(errors.CatalogueForbidden):
        space.measure_job(JOB, rig.tools, forbidden_is_final=False)
    space.measure_job(JOB, rig.tools, forbidden_is_final=False)
    assert rig.ledger.claims.job_size(JOB) == SIZE


def test_a_dataset_that_declares_no_size_needs_that_of_its_datablocks() -> None:
    rig = Rig(catalogue=SilentCatalogue())
    rig.catalogue.add_dataset(PID, (rig.archive(0), rig.archive(1)))
    rig.submit(PID)
    assert rig.ledger.claims.job_size(JOB) == 2 * SIZE


def test_a_job_that_came_without_its_group_is_asked_for_it_where_there_are_quotas() -> None:
    rig = rig_of(9, PID)
    rig.tools = replace(rig.tools, cache=replace(CACHE, default_quota=SIZE - 1))
    rig.submit(PID)
    rig.catalogue.add_job(RetrieveJob(JOB, "retrieve", (Selection(PID),), owner_group="p1"))
    intake.open_job(JOB, rig.tools)
    with pytest.raises(errors.QuotaExceeded, match="p1"):
        space.claim_job(JOB, rig.tools)


def test_a_dataset_that_is_larger_than_declared_waits_for_the_rest() -> None:
    rig = rig_of(2, Q)
    rig.catalogue.add_dataset(PID, (rig.archive(0), rig.archive(1)))
    rig.job(Q, name=OTHER)
    rig.plan_again("run-1")
    with pytest.raises(
        errors.NoSpaceYet, match="waiting for 10 kB of staging space, beside what was claimed"
    ):
        space.claim_dataset(PID, rig.tools)
    failed(rig, OTHER)
    space.claim_dataset(PID, rig.tools)
    assert rig.ledger.inventory.usage().claimed == 2 * SIZE


def test_a_dataset_that_waits_for_what_another_one_that_grows_holds_gives_back() -> None:
    rig = rig_of(3)
    for pid, name in ((PID, JOB), (Q, OTHER)):
        rig.catalogue.add_dataset(pid, (rig.archive(0, pid=pid),))
        rig.job(pid, name=name)
        rig.ledger.jobs.move_dataset(name, pid, DatasetState.STARTED)
        rig.catalogue.add_dataset(pid, tuple(rig.archive(number, pid=pid) for number in range(3)))
        rig.plan_again("run-1", pid)
    with pytest.raises(errors.NoSpaceYet):
        space.claim_dataset(PID, rig.tools)
    with pytest.raises(
        errors.SpaceGivenBack, match="needs 10 kB more of staging space than was claimed and is free"
    ):
        space.claim_dataset(Q, rig.tools)


class FilledWhileMeasured(InMemoryStagingArea):
    """Others fill the same storage, and a copy writes on in the moment in which it was measured."""

    def __init__(self, free: int, meanwhile: Callable[[], None]) -> None:
        super().__init__(100 * SIZE)
        self._free, self._meanwhile = free, meanwhile

    def room(self) -> Room:
        measured = Room(super().room().total, self._free)
        self._meanwhile()
        return measured


def test_what_a_copy_writes_while_the_room_is_measured_is_given_to_nobody_else() -> None:
    rig = rig_of(100, PID, Q)
    rig.job(PID, name=OTHER)
    (record,) = rig.plan(rig.archive())
    bring_to(rig.ledger, record.key, DatablockState.COPYING)
    rig.submit(Q)
    written = iter((SIZE // 2, SIZE))
    area = FilledWhileMeasured(SIZE, lambda: rig.ledger.datablocks.note_progress(record.key, next(written)))
    rig.tools = replace(rig.tools, staging=area)
    with pytest.raises(errors.NoSpaceYet):
        space.claim_job(JOB, rig.tools)


def test_a_dataset_larger_than_the_whole_area_never_waits() -> None:
    rig = rig_of(1.5)
    rig.plan(rig.archive(0), rig.archive(1))
    with pytest.raises(errors.LargerThanStaging, match=r"has 20 kB.*holds 15 kB in all"):
        space.claim_dataset(PID, rig.tools)
