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


@pytest.mark.parametrize("end", [state for state in JobState if state.finished])
def test_a_finished_job_never_changes(end: JobState) -> None:
    assert not any(may_become(end, other) for other in JobState if other != end)


def test_nothing_is_staged_that_was_not_copied() -> None:
    before_staged = {old for old in DatablockState if may_become(old, DatablockState.STAGED)}
    assert before_staged == {DatablockState.COPIED, DatablockState.STAGED}
