"""Whether every job of a round ended in SciCat, and with the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2

from stand_ins.retrieval_page import datablocks
from tests.chaos.book import Entry
from tests.chaos.downloads import wrong_blocks, wrong_with
from tests.chaos.findings import Fault, Finding
from tests.chaos.truth import CANCELLED, Dataset, Job, Truth
from tests.chaos.world import World

_ENDS = {"staged", "failed", "released"}
CANCEL_SECONDS = 60.0
"""After which a cancelled job must not end otherwise any more, whatever was down: no fault lasts as long."""
_RETRIEVED, _FAILED, _IN_PART = "datasetRetrieved", "datasetRetrievalFailed", ""


def judge(world: World, hits: Sequence[tuple[float, float]]) -> Iterator[Finding]:
    """Give all that is wrong with the jobs and datasets of a round.

    Args:
        world: After the round's deadline.
        hits: Begin and end (monotonic seconds) of each fault for which an archive may be read again.
    """
    for job in world.jobs.values():
        yield from _job(world, job)
    for dataset in world.datasets:
        yield from _dataset(world, dataset)
        yield from _reads(world, dataset, hits)
    yield from _told(world)
    for job_id, wrong in world.downloads.wrong if world.downloads else []:
        yield Finding(Fault.FALSE, f"job {job_id}", wrong)


def _job(world: World, job: Job) -> Iterator[Finding]:
    stored = world.scicat.job(job.id)
    state, subject = stored["statusCode"], f"job {job.id}"
    in_ledger = world.book.rows("SELECT state FROM jobs WHERE id = ?", job.id)
    if not str(state).startswith("finished"):
        if not in_ledger:
            yield Finding(Fault.LOST, subject, f"SciCat says {state}, and the service does not know it")
        elif str(in_ledger[0][0]).startswith("finished"):
            yield Finding(Fault.LOST, subject, f"SciCat says {state}, and the service {in_ledger[0][0]}")
        else:
            yield Finding(Fault.STUCK, subject, f"still {state}")
        return
    if state not in job.may_end_as:
        errors = (stored.get("jobResultObject") or {}).get("errors")
        yield Finding(Fault.FALSE, subject, f"ended {state}: {stored['statusMessage']} {errors}")
    if in_ledger != [(state,)]:
        yield Finding(Fault.FALSE, subject, f"SciCat says {state}, the service {in_ledger}")
    yield from _heeded(world, job)
    cancelled = state == "finishedUnsuccessful"
    yield from result_findings(job, stored.get("jobResultObject") or {}, subject, cancelled=cancelled)
    if world.downloads is None:
        yield from _links(job, stored, subject)


def _heeded(world: World, job: Job) -> Iterator[Finding]:
    """See that the wish to cancel a job was not lost."""
    end = world.book.last(lambda entry: entry.job_id == job.id and entry.new.startswith("finished"))
    if end is None or end.new == "finishedUnsuccessful":
        return
    if end.seen > job.cancelled_at + CANCEL_SECONDS:
        what = f"ended {end.new} {end.seen - job.cancelled_at:.0f} s after it was cancelled"
        yield Finding(Fault.FALSE, f"job {job.id}", what)


def result_findings(job: Job, result: dict[str, Any], subject: str, *, cancelled: bool) -> Iterator[Finding]:
    """Compare what a job is given with what it asked for: all that it needs of a dataset, or why not; never a part of it.

    What a job that was cancelled had by then is given to it; of the others it is told once that it was cancelled.
    """
    entries, errors = result.get("result", []), result.get("errors", [])
    if cancelled and CANCELLED not in {error["code"] for error in errors}:
        yield Finding(Fault.FALSE, subject, f"was cancelled, and is told {errors}")
    for dataset in job.datasets:
        linked = [entry["datablocks"] for entry in entries if entry["datasetId"] == dataset.pid]
        codes = {error["code"] for error in errors if error.get("datasetId") == dataset.pid}
        if not codes <= dataset.codes | ({CANCELLED} if cancelled else frozenset()):
            yield Finding(Fault.FALSE, subject, f"{dataset.pid}: {codes} instead of {set(dataset.codes)}")
        if bool(codes) == bool(linked) and not (cancelled and not linked):
            yield Finding(
                Fault.FALSE, subject, f"{dataset.pid}: {len(linked)} entries and the errors {codes}"
            )
        needed = len(job.needs(dataset))
        if linked and linked != [needed]:
            yield Finding(Fault.FALSE, subject, f"{dataset.pid}: {linked} datablocks, not {needed}")


def _links(job: Job, stored: dict[str, Any], subject: str) -> Iterator[Finding]:
    """Fetch all that the pages of a job's datasets offer, which is all that the job needs of each."""
    try:
        offered = datablocks(stored)
    except httpx2.HTTPError as error:
        yield Finding(Fault.FALSE, subject, f"the page fails: {error!r}")
        return
    told = {entry["datasetId"] for entry in (stored.get("jobResultObject") or {}).get("result", [])}
    for pid in told:
        if wrong := wrong_blocks(pid, [each for each in offered if each["datasetId"] == pid], job):
            yield Finding(Fault.FALSE, subject, wrong)
    blocks = {block.archive_id: block for dataset in job.datasets for block in dataset.blocks}
    for entry in offered:
        block = blocks.get(entry["archiveId"])
        wrong = wrong_with(entry, block, job) if block else "was not asked for"
        if wrong:
            yield Finding(Fault.FALSE, subject, f"{entry['archiveId']}: {wrong}")


def _dataset(world: World, dataset: Dataset) -> Iterator[Finding]:
    """Compare what SciCat shows of a dataset in the end."""
    if not dataset.jobs or any(not world.ended(job.id) for job in _jobs_of(world, dataset)):
        return
    lifecycle = world.scicat.dataset(dataset.pid)["datasetlifecycle"]
    word, checked = lifecycle.get("retrieveStatusMessage"), lifecycle.get("retrieveIntegrityCheck")
    may_be = _words(world, dataset)
    # Of a job that was cancelled at once nothing need have been told.
    told = checked if word or not dataset.again else bool(checked)
    if (word == _RETRIEVED) is not told or (word or "") not in may_be:
        what = f"{word!r}, with integrity check {checked}; is {dataset.truth.value}, and may be {may_be}"
        yield Finding(Fault.FALSE, f"dataset {dataset.pid}", what)


def _words(world: World, dataset: Dataset) -> set[str]:
    """Give what SciCat may show of a dataset in the end, from what the jobs need that were not cancelled."""
    heeded = [job for job in _jobs_of(world, dataset) if not job.cancelled]
    if not heeded:
        return {_RETRIEVED, _FAILED, _IN_PART}
    if dataset.truth is not Truth.GOOD:
        return {_FAILED} if dataset.truth is Truth.BAD else {_FAILED, _RETRIEVED}
    needed = {block.archive_id for job in heeded for block in job.needs(dataset)}
    whole = len(needed) == len(dataset.blocks)
    words = {_RETRIEVED} if whole else {_IN_PART}
    if world.downloads and any(dataset.pid in job.chosen for job in heeded):
        words.add(_IN_PART)  # what was there may have had to go for others, and a part have come again
    if not whole and len(heeded) < dataset.jobs:
        words.add(_RETRIEVED)  # all of it is retrieved still for the job that was cancelled
    return words


def _jobs_of(world: World, dataset: Dataset) -> list[Job]:
    return [job for job in world.jobs.values() if dataset in job.datasets]


def _reads(world: World, dataset: Dataset, hits: Sequence[tuple[float, float]]) -> Iterator[Finding]:
    """Compare how often archives were read with how often that can have been needed."""

    def ended(entry: Entry) -> bool:
        return entry.pid == dataset.pid and entry.kind == "datablock" and entry.new in _ENDS

    last = world.book.last(ended)
    end = last.seen if last else float("inf")
    hit = sum(1 for began, over in hits if began <= end and over >= dataset.asked_at)
    runs = (1 if dataset.truth is Truth.GOOD else dataset.jobs) + dataset.again
    if world.downloads is not None:  # each job may find it gone, or have to give back once for each archive
        runs += dataset.jobs + len(dataset.blocks)
    world.archives.reads.count()
    for block in dataset.blocks:
        if block.reads > runs * (1 + hit):
            what = f"read {block.reads} times, with {hit} faults and {dataset.jobs} jobs"
            yield Finding(Fault.FALSE, f"archive {block.archive_id}", what)


def _never_fails(dataset: Dataset) -> bool:
    return dataset.truth is Truth.GOOD and not dataset.may_fail_for_a_while


def _told(world: World) -> Iterator[Finding]:
    """Go through all that SciCat was told and stored: nothing untrue, not even for a moment."""
    datasets = {dataset.pid: dataset for dataset in world.datasets}
    ended: dict[str, str] = {}
    retries = Counter({job.id: job.retries for job in world.jobs.values()})
    for request in world.scicat.log.requests(method="PATCH"):
        if request.status is None or not isinstance(request.body, dict) or 400 <= request.status < 500:
            continue
        subject = request.path.removesuffix("/datasetlifecycle").rsplit("/", 1)
        dataset = next((d for pid, d in datasets.items() if pid in request.path), None)
        word, state = request.body.get("retrieveStatusMessage"), str(request.body.get("statusCode", ""))
        if dataset is not None and word == "datasetRetrieved" and dataset.truth is Truth.BAD:
            yield Finding(Fault.FALSE, f"dataset {dataset.pid}", "was told as retrieved")
        if dataset is not None and word and "Failed" in word and _never_fails(dataset):
            yield Finding(Fault.FALSE, f"dataset {dataset.pid}", f"was told as {word}")
        if state and subject[-1] in ended and state != ended[subject[-1]]:
            if retries[subject[-1]]:
                retries[subject[-1]] -= 1
                del ended[subject[-1]]
            else:
                yield Finding(Fault.FALSE, f"job {subject[-1]}", f"{state} after {ended[subject[-1]]}")
        if state.startswith("finished") and request.status < 400:
            ended[subject[-1]] = state
