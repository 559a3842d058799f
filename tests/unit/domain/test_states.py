from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.states import (
    LEGAL_DATABLOCK,
    LEGAL_DATASET,
    LEGAL_JOB,
    DatablockState,
    DatasetState,
    JobState,
    may_become,
)

ALL_STATES: list[StrEnum] = [*JobState, *DatasetState, *DatablockState]


def test_each_state_has_a_row_in_the_table_of_transitions() -> None:
    assert set(LEGAL_JOB) == set(JobState)
    assert set(LEGAL_DATASET) == set(DatasetState)
    assert set(LEGAL_DATABLOCK) == set(DatablockState)


@given(st.sampled_from(ALL_STATES), st.sampled_from(ALL_STATES))
def test_a_state_never_becomes_one_of_another_kind(old: StrEnum, new: StrEnum) -> None:
    if type(old) is not type(new):
        assert not may_become(old, new)


@given(st.sampled_from(ALL_STATES))
def test_a_step_may_be_repeated(state: StrEnum) -> None:
    assert may_become(state, state)


ENDS = [state for state in JobState if state.finished]


@pytest.mark.parametrize("end", ENDS)
def test_a_finished_job_is_not_in_progress_again_before_it_is_submitted_again(end: JobState) -> None:
    assert not may_become(end, JobState.IN_PROGRESS)
    assert may_become(end, JobState.SUBMITTED)


def test_no_finished_job_becomes_a_better_one() -> None:
    changes = {(old, new) for old in ENDS for new in ENDS if old != new and may_become(old, new)}
    assert changes == {(JobState.SUCCESSFUL, JobState.WITH_DATASET_ERRORS)}


def test_a_failed_dataset_is_not_retrieved_before_it_is_submitted_again() -> None:
    after = {new for new in DatasetState if may_become(DatasetState.FAILED, new)}
    assert after == {DatasetState.FAILED, DatasetState.SUBMITTED}


def test_nothing_is_staged_that_was_not_copied() -> None:
    before_staged = {old for old in DatablockState if may_become(old, DatablockState.STAGED)}
    assert before_staged == {DatablockState.COPIED, DatablockState.STAGED}
