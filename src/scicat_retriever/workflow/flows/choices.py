"""What an operator chooses of flows and of the workers that run them. Durations are seconds."""

from __future__ import annotations

from dataclasses import dataclass

from scicat_retriever.domain.policy import DAY, Positive, Seconds, choice


@dataclass(frozen=True)
class FlowChoices:
    """How much a flow does at once, and how long it waits for what."""

    parallel_datasets: Positive = choice(
        100,
        "Datasets of one job that are retrieved at once: whose recalls can be put together. How much is read "
        "at once, `read_slots` says.",
    )
    parallel_datablocks: Positive = choice(
        64,
        "Datablocks of one dataset that wait or are copied at once; a batch of small ones counts as one.",
    )
    catalogue_timeout: Seconds = choice(1 * DAY, "How long reading from SciCat is tried again.")
    space_timeout: Seconds = choice(
        14 * DAY,
        "How long a job waits for staging space. Shorter than `links.retention`, it may give up before what "
        "is pinned goes.",
    )
    appear_timeout: Seconds = choice(
        600.0, "How long to look for an archive that the long-term store does not have."
    )
    recall_timeout: Seconds = choice(
        2 * DAY,
        "How long a recall from tape may take, from the moment when the store was asked for it first, or its "
        "store be away before that. What waits for its turn waits as long as the job may.",
    )
    transfer_timeout: Seconds = choice(1 * DAY, "How long copying one datablock may take in all.")
    transfer_attempts: Positive = choice(4, "How often a copy is tried that fails by an I/O error.")
    job_timeout: Seconds = choice(30 * DAY, "How long a whole job may take.")


@dataclass(frozen=True)
class WorkerSlots:
    """How much one worker does at once."""

    read_slots: Positive = choice(4, "Archives read from the long-term store at once, per worker.")
    verification_slots: Positive = choice(1, "Datasets verified at once, per worker.")
