"""The states of jobs, datasets and datablocks, and the one table of legal transitions.

job        submitted -> inProgress -> finishedSuccessful | finishedWithDatasetErrors | finishedUnsuccessful
dataset    submitted -> started -> retrieved | failed
           both: from an end -> submitted when the job is retried;
           what is lost from staging before SciCat was told:
           retrieved -> failed, finishedSuccessful -> finishedWithDatasetErrors
datablock  planned -> waitingForSpace -> recalling -> copying -> copied -> staged -> released
           any of them before `staged` -> failed; `released` and `failed` -> planned when asked again
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeGuard


class JobState(StrEnum):
    """A job's state; the values are the words that SciCat keeps in a job's `statusCode`."""

    SUBMITTED = "jobSubmitted"
    IN_PROGRESS = "inProgress"
    SUCCESSFUL = "finishedSuccessful"
    WITH_DATASET_ERRORS = "finishedWithDatasetErrors"
    UNSUCCESSFUL = "finishedUnsuccessful"

    @property
    def finished(self) -> bool:
        """Whether the job has ended, well or not."""
        return self in {JobState.SUCCESSFUL, JobState.WITH_DATASET_ERRORS, JobState.UNSUCCESSFUL}


def is_under_way(word: object) -> TypeGuard[str]:
    """Say whether a job's word in SciCat tells that somebody carries it out or that it has ended.

    A job with any other word can be begun: SciCat sets the first word as it is configured.
    """
    return isinstance(word, str) and (word == JobState.IN_PROGRESS or word.startswith("finished"))


class DatasetState(StrEnum):
    """How far one dataset of a job is."""

    SUBMITTED = "submitted"
    STARTED = "started"
    RETRIEVED = "retrieved"
    FAILED = "failed"


class DatablockState(StrEnum):
    """How far one datablock is on its way from tape to verified, downloadable bytes."""

    PLANNED = "planned"
    WAITING_FOR_SPACE = "waitingForSpace"
    RECALLING = "recalling"
    COPYING = "copying"
    COPIED = "copied"
    STAGED = "staged"
    FAILED = "failed"
    RELEASED = "released"


class RecallPhase(StrEnum):
    """How far an open recall is."""

    WAITING = "waiting"
    """The store is not asked for it now.

    Its turn has not come; the store does not answer, or has no such archive; or the recall failed, and the
    store is asked again.
    """
    ASKED = "asked"
    """The store was asked for it."""
    ONLINE = "online"
    """It was seen online, and is not copied yet."""
    ENDED = "ended"
    """The store will not give it: the flow that waits has to hear why, and to decide."""


class LifecycleWord(StrEnum):
    """The words of `retrieveStatusMessage` that SciCat's pages know; the empty one is SciCat's default."""

    NOTHING = ""
    STARTED = "started"
    RETRIEVED = "datasetRetrieved"
    FAILED = "datasetRetrievalFailed"
    SYSTEM_ERROR = "scheduleRetrieveJobFailed"


_J, _D, _B = JobState, DatasetState, DatablockState
_AGAIN = frozenset({_B.PLANNED, _B.RELEASED})

LEGAL_JOB: Mapping[JobState, frozenset[JobState]] = {
    _J.SUBMITTED: frozenset({_J.IN_PROGRESS, _J.UNSUCCESSFUL}),
    _J.IN_PROGRESS: frozenset({_J.SUCCESSFUL, _J.WITH_DATASET_ERRORS, _J.UNSUCCESSFUL}),
    _J.SUCCESSFUL: frozenset({_J.WITH_DATASET_ERRORS, _J.SUBMITTED}),
    _J.WITH_DATASET_ERRORS: frozenset({_J.SUBMITTED}),
    _J.UNSUCCESSFUL: frozenset({_J.SUBMITTED}),
}
"""From each job state, the states that may follow."""

LEGAL_DATASET: Mapping[DatasetState, frozenset[DatasetState]] = {
    _D.SUBMITTED: frozenset({_D.STARTED, _D.RETRIEVED, _D.FAILED}),
    _D.STARTED: frozenset({_D.RETRIEVED, _D.FAILED, _D.SUBMITTED}),
    _D.RETRIEVED: frozenset({_D.FAILED, _D.SUBMITTED}),
    _D.FAILED: frozenset({_D.SUBMITTED}),
}
"""From each state of a job's dataset, the states that may follow."""

LEGAL_DATABLOCK: Mapping[DatablockState, frozenset[DatablockState]] = {
    _B.PLANNED: frozenset({_B.WAITING_FOR_SPACE, _B.RECALLING, _B.FAILED, _B.RELEASED}),
    _B.WAITING_FOR_SPACE: frozenset({_B.RECALLING, _B.FAILED}) | _AGAIN,
    _B.RECALLING: frozenset({_B.WAITING_FOR_SPACE, _B.COPYING, _B.FAILED}) | _AGAIN,
    _B.COPYING: frozenset({_B.COPIED, _B.RECALLING, _B.FAILED}) | _AGAIN,
    _B.COPIED: frozenset({_B.STAGED, _B.RECALLING, _B.COPYING, _B.FAILED}) | _AGAIN,
    _B.STAGED: _AGAIN,
    _B.FAILED: _AGAIN,
    _B.RELEASED: frozenset({_B.PLANNED}),
}
"""From each datablock state, the states that may follow; staying in a state is always legal."""


def may_become(old: StrEnum, new: StrEnum) -> bool:
    """Say whether `new` may follow `old`; repeating a state is legal, since every step may be repeated."""
    match old:
        case JobState():
            followers: frozenset[StrEnum] = frozenset(LEGAL_JOB[old])
        case DatasetState():
            followers = frozenset(LEGAL_DATASET[old])
        case DatablockState():
            followers = frozenset(LEGAL_DATABLOCK[old])
        case _:
            return False
    return type(old) is type(new) and (old == new or new in followers)
