"""Reconcile: open jobs in SciCat against the ledger, since a message may get lost in either direction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

import structlog

from scicat_retriever.domain.errors import CatalogueError
from scicat_retriever.domain.states import JobState
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.pipeline.tools.failed_look import failure_noted
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.catalogue import ListedJob, Visibility
from scicat_retriever.ports.jobs import JobRecord

FINDING = "catalogue"
"""Under which name the ledger keeps what was found last."""
log = structlog.get_logger(__name__)


class Verdict(StrEnum):
    """What an open job in SciCat is to the ledger."""

    AGREES = "agrees"
    """Both say the same, or the difference will go by itself."""
    MISSED = "missed"
    """The service was never told of it."""
    UNTOLD = "untold"
    """SciCat does not know what became of it."""
    FOREIGN = "foreign"
    """Somebody else works on it."""
    UNUSABLE = "unusable"
    """It cannot be worked with."""


@dataclass(frozen=True, slots=True)
class Differences:
    """What was found in one look; counts of jobs.

    Attributes:
        open: Open jobs that SciCat listed.
        missed: Taken in now, since the service was never told of them.
        told_again: SciCat is told again what became of them.
        foreign: In progress by somebody else's hand, and left alone.
        unusable: What SciCat lists of them cannot be worked with; the log has the reasons.
        visibility: Whether SciCat lists all jobs, so that an empty list can be believed.
    """

    open: int
    missed: int
    told_again: int
    foreign: int
    unusable: int
    visibility: Visibility

    def as_finding(self) -> Mapping[str, int | str]:
        """Give it as the ledger keeps it."""
        return asdict(self)


def verdict(listed: ListedJob, record: JobRecord | None, account: str | None) -> Verdict:
    """Compare what SciCat lists of an open job with what the ledger holds of it.

    Args:
        listed: SciCat's word.
        record: The ledger's.
        account: The name under which SciCat records our own updates, where it is known.
    """
    if listed.job is None:
        return Verdict.UNUSABLE
    if record is None:
        ours = account is not None and listed.updated_by == account
        return Verdict.MISSED if listed.status == JobState.SUBMITTED or ours else Verdict.FOREIGN
    behind = record.state.finished or (
        record.state is JobState.IN_PROGRESS and listed.status == JobState.SUBMITTED
    )
    return Verdict.UNTOLD if behind else Verdict.AGREES


def look(types: Collection[str], tools: Toolbox) -> int:
    """Do the regular look: `reconcile`, whose finding is kept for operators.

    Args:
        types: SciCat's job types that are carried out here.
        tools: The ports.

    Returns:
        How many jobs were taken in or are told again.

    Raises:
        CatalogueError: SciCat does not give the list; that is kept as the finding.
    """
    with failure_noted(FINDING, tools.ledger.findings, CatalogueError):
        found = reconcile(types, tools)
    tools.ledger.findings.note(FINDING, found.as_finding())
    if found.visibility is Visibility.HIDDEN:
        log.error(
            "SciCat does not list jobs to the service's account: jobs it is not told of stay unseen; put a group of "
            "the account into UPDATE_JOB_PRIVILEGED_GROUPS"
        )
    return found.missed + found.told_again


def reconcile(types: Collection[str], tools: Toolbox) -> Differences:
    """Take in the jobs that the service was never told of, and have SciCat told again what it missed.

    Args:
        types: SciCat's job types that are carried out here.
        tools: The ports.

    Raises:
        CatalogueError: SciCat does not give the list. What was found before that stays done.
    """
    begun = tools.clock()
    counts: Counter[Verdict] = Counter()
    told_again = 0
    for listed in tools.catalogue.open_jobs(types):
        record = None if listed.job is None else tools.ledger.jobs.get(listed.job.id)
        found = verdict(listed, record, tools.catalogue.account())
        counts[found] += 1
        if found is Verdict.MISSED and listed.job is not None:
            log.info("a job that the service was not told of is taken in", job_id=listed.id)
            intake.accept(listed.job, tools.ledger.jobs)
        elif (
            found is Verdict.UNTOLD
            and record is not None
            and not (
                # One that changed since this look began was listed before SciCat could hear of it.
                begun <= record.updated_at <= tools.clock()
            )
        ):
            told_again += tools.ledger.reports.tell_job_again(record.job.id)
        elif found is Verdict.UNUSABLE and listed.fault is not None:
            log.warning("SciCat lists a job that cannot be worked with", why=listed.fault.message)
    return Differences(
        open=counts.total(),
        missed=counts[Verdict.MISSED],
        told_again=told_again,
        foreign=counts[Verdict.FOREIGN],
        unusable=counts[Verdict.UNUSABLE],
        visibility=tools.catalogue.visibility(tools.ledger.jobs.recent()),
    )
