from dataclasses import replace
from typing import Any, cast

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import RetrieveJob, Selection
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.pipeline.jobs.outcome import is_carried_out_by, note_outcome, unfinished
from scicat_retriever.pipeline.staging import space
from scicat_retriever.ports.claims import Claims
from tests.fakes.ledger import with_books
from tests.unit.pipeline.rig import JOB, PID, Rig

FAILURE = errors.ChecksumMismatch("'a' differs").failure("p-0.tar")


def rig_of_two(*files: str) -> Rig:
    """A job for a dataset of two datablocks, the first of which is staged."""
    rig = Rig()
    intake.accept(RetrieveJob(JOB, "retrieve", (Selection(PID, files),)), rig.ledger.jobs)
    first, _ = rig.plan(rig.archive(0), rig.archive(1))
    rig.stage(first)
    return rig


def choose(rig: Rig, *numbers: int) -> None:
    records = rig.ledger.datablocks.of(PID)
    rig.ledger.needs.note_choice(JOB, PID, [records[number].key.id for number in numbers], 1, None)


def state(rig: Rig) -> DatasetState:
    return rig.ledger.jobs.datasets(JOB)[0].state


def test_a_dataset_whose_run_failed_has_failed_for_the_job_and_needs_no_space_for_it() -> None:
    rig = rig_of_two()
    assert note_outcome(JOB, PID, [FAILURE], rig.tools)
    (dataset,) = rig.ledger.jobs.datasets(JOB)
    assert (dataset.state, dataset.failures) == (DatasetState.FAILED, (FAILURE,))
    assert rig.ledger.inventory.usage().claimed == 0


def test_a_job_that_chose_what_is_staged_has_it() -> None:
    rig = rig_of_two("run/a.dat")
    choose(rig, 0)
    assert note_outcome(JOB, PID, [], rig.tools)
    assert state(rig) is DatasetState.RETRIEVED


@pytest.mark.parametrize("chosen", [(), (1,)], ids=["whole", "the other datablock"])
def test_a_job_that_needs_more_than_was_brought_has_to_ask_again(chosen: tuple[int, ...]) -> None:
    rig = rig_of_two(*("run/a.dat" for _ in chosen))
    if chosen:
        choose(rig, *chosen)
    assert not note_outcome(JOB, PID, [], rig.tools)
    assert state(rig) is DatasetState.SUBMITTED


def test_a_job_whose_chosen_datablock_is_listed_no_more_does_not_ask_for_ever() -> None:
    rig = rig_of_two("run/a.dat")
    choose(rig, 0, 1)
    rig.catalogue.add_dataset(PID, [rig.archive(0)])
    rig.plan_again("run-2")
    assert note_outcome(JOB, PID, [], rig.tools)
    (dataset,) = rig.ledger.jobs.datasets(JOB)
    assert (dataset.state, [each.code for each in dataset.failures]) == (
        DatasetState.FAILED,
        ["datablocks_missing"],
    )


def test_a_job_whose_files_were_never_looked_for_is_not_told_that_they_are_there() -> None:
    rig = rig_of_two("run/a.dat")
    assert note_outcome(JOB, PID, [], rig.tools)
    assert state(rig) is DatasetState.FAILED


GAVE_BACK = errors.SpaceGivenBack("it needs more, and others wait").failure()


def job_that_has_its_space(*files: str) -> Rig:
    rig = rig_of_two(*files)
    if files:
        choose(rig, 1)
    else:
        rig.ledger.claims.note_sizes(JOB, {PID: 1})
    space.claim_job(JOB, rig.tools)
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.STARTED)
    return rig


def test_a_job_whose_dataset_gave_its_space_back_holds_nothing_and_has_to_ask_again() -> None:
    rig = job_that_has_its_space()
    assert not note_outcome(JOB, PID, [GAVE_BACK], rig.tools)
    assert (state(rig), rig.ledger.claims.is_in_line(JOB)) == (DatasetState.SUBMITTED, True)
    assert (rig.ledger.inventory.usage().claimed, rig.ledger.pins.find()) == (0, [])


def test_what_was_brought_for_a_job_that_waits_in_the_line_is_asked_for_again() -> None:
    rig = job_that_has_its_space()
    note_outcome(JOB, PID, [GAVE_BACK], rig.tools)
    rig.stage(rig.ledger.datablocks.of(PID)[1])
    assert not note_outcome(JOB, PID, [], rig.tools)
    assert state(rig) is DatasetState.SUBMITTED
    space.claim_job(JOB, rig.tools)
    assert note_outcome(JOB, PID, [], rig.tools)
    assert state(rig) is DatasetState.RETRIEVED


class GrantedMeanwhile:
    """Claims of which the job has its space just after they were asked whether it waits for it."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rig.ledger.claims, name)

    def is_in_line(self, job_id: JobId) -> bool:
        waits = self._rig.ledger.claims.is_in_line(job_id)
        space.claim_job(job_id, self._rig.tools)
        return waits


def test_a_job_that_gets_its_space_while_a_dataset_is_brought_for_it_keeps_it() -> None:
    rig = job_that_has_its_space()
    note_outcome(JOB, PID, [GAVE_BACK], rig.tools)
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.STARTED)
    rig.stage(rig.ledger.datablocks.of(PID)[1])
    claims = cast("Claims", GrantedMeanwhile(rig))
    tools = replace(rig.tools, ledger=with_books(rig.ledger, claims=claims))
    assert note_outcome(JOB, PID, [], tools)
    assert (state(rig), [pin.owner for _, pin in rig.ledger.pins.find()]) == (DatasetState.RETRIEVED, [JOB])


def test_what_fails_for_a_job_that_waits_in_the_line_has_failed() -> None:
    rig = job_that_has_its_space()
    note_outcome(JOB, PID, [GAVE_BACK], rig.tools)
    assert note_outcome(JOB, PID, [FAILURE], rig.tools)
    assert state(rig) is DatasetState.FAILED


def test_a_job_that_has_all_that_it_needs_keeps_its_space_though_the_run_gave_back() -> None:
    rig = job_that_has_its_space("run/a.dat")
    rig.stage(rig.ledger.datablocks.of(PID)[1])
    assert note_outcome(JOB, PID, [GAVE_BACK], rig.tools)
    assert (state(rig), rig.ledger.claims.is_in_line(JOB)) == (DatasetState.RETRIEVED, False)


def test_datasets_that_have_ended_for_a_job_are_not_retrieved_again() -> None:
    rig = Rig()
    pids = [DatasetPid(f"20.500.12345/{name}") for name in "abcd"]
    intake.accept(RetrieveJob(JOB, "retrieve", tuple(Selection(pid) for pid in pids)), rig.ledger.jobs)
    rig.ledger.jobs.move_dataset(JOB, pids[0], DatasetState.RETRIEVED)
    rig.ledger.jobs.move_dataset(JOB, pids[1], DatasetState.FAILED, [FAILURE])
    rig.ledger.jobs.move_dataset(JOB, pids[2], DatasetState.STARTED)
    assert unfinished(JOB, 0, 10, rig.tools) == pids[2:]
    assert unfinished(JOB, 0, 3, rig.tools) == pids[2:3]
    assert unfinished(JOB, 3, 10, rig.tools) == pids[3:]


def test_a_job_is_carried_out_by_the_flow_of_its_newest_attempt() -> None:
    rig = rig_of_two()
    flow = rig.ledger.job_flows.of(JOB)
    assert flow is not None
    assert is_carried_out_by(JOB, flow.name, rig.tools)
    assert not is_carried_out_by(JOB, f"{flow.name}-earlier", rig.tools)
    assert is_carried_out_by(JobId("nobody knows it"), "any", rig.tools)
