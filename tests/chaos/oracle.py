"""Whether every job of a round ended in SciCat, and with the truth."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2

from tests.chaos.book import Entry
from tests.chaos.findings import Fault, Finding
from tests.chaos.truth import Dataset, Job, Truth
from tests.chaos.world import World

_ENDS = {"staged", "failed", "released"}


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
    yield from _result(job, stored.get("jobResultObject") or {}, subject)


def _result(job: Job, result: dict[str, Any], subject: str) -> Iterator[Finding]:
    entries, errors = result.get("result", []), result.get("errors", [])
    for dataset in job.datasets:
        linked = {entry["archiveId"]: entry for entry in entries if entry["datasetId"] == dataset.pid}
        codes = {error["code"] for error in errors if error.get("datasetId") == dataset.pid}
        if not codes <= dataset.codes:
            yield Finding(Fault.FALSE, subject, f"{dataset.pid}: {codes} instead of {set(dataset.codes)}")
        if bool(codes) == bool(linked):
            yield Finding(Fault.FALSE, subject, f"{dataset.pid}: {len(linked)} links and the errors {codes}")
        if linked and set(linked) != {block.archive_id for block in dataset.blocks}:
            yield Finding(Fault.FALSE, subject, f"{dataset.pid}: links to {sorted(linked)} alone")
        for block in dataset.blocks:
            if block.archive_id in linked:
                wrong = _wrong(linked[block.archive_id]["url"], block.sha256)
                if wrong:
                    yield Finding(Fault.FALSE, subject, f"{block.archive_id}: {wrong}")


def _wrong(url: str, sha256: str) -> str:
    """Download what a link offers; says what is wrong with it."""
    digest = hashlib.sha256()
    try:
        with httpx2.stream("GET", url, timeout=30, trust_env=False) as answer:
            if answer.status_code != 200:
                return f"the link answers {answer.status_code} {answer.read()[:300]!r}"
            for chunk in answer.iter_bytes():
                digest.update(chunk)
    except httpx2.HTTPError as error:
        return f"the link fails: {error!r}"
    return "" if digest.hexdigest() == sha256 else "the link gives other bytes than were archived"


def _dataset(world: World, dataset: Dataset) -> Iterator[Finding]:
    """Compare what SciCat shows of a dataset in the end."""
    if not dataset.jobs or any(not world.ended(job.id) for job in _jobs_of(world, dataset)):
        return
    lifecycle = world.scicat.dataset(dataset.pid)["datasetlifecycle"]
    word, checked = lifecycle.get("retrieveStatusMessage"), lifecycle.get("retrieveIntegrityCheck")
    retrieved = word == "datasetRetrieved"
    if retrieved is not checked or (not retrieved and word != "datasetRetrievalFailed"):
        yield Finding(Fault.FALSE, f"dataset {dataset.pid}", f"{word}, with integrity check {checked}")
    if dataset.truth is not Truth.EITHER and retrieved is not (dataset.truth is Truth.GOOD):
        yield Finding(Fault.FALSE, f"dataset {dataset.pid}", f"{word}, and is {dataset.truth.value}")


def _jobs_of(world: World, dataset: Dataset) -> list[Job]:
    return [job for job in world.jobs.values() if dataset in job.datasets]


def _reads(world: World, dataset: Dataset, hits: Sequence[tuple[float, float]]) -> Iterator[Finding]:
    """Compare how often archives were read with how often that can have been needed."""

    def ended(entry: Entry) -> bool:
        return entry.pid == dataset.pid and entry.kind == "datablock" and entry.new in _ENDS

    last = world.book.last(ended)
    end = last.seen if last else float("inf")
    hit = sum(1 for began, over in hits if began <= end and over >= dataset.asked_at)
    runs = 1 if dataset.truth is Truth.GOOD else dataset.jobs
    world.archives.reads.count()
    for block in dataset.blocks:
        if block.reads > runs * (1 + hit):
            what = f"read {block.reads} times, with {hit} faults and {dataset.jobs} jobs"
            yield Finding(Fault.FALSE, f"archive {block.archive_id}", what)


def _told(world: World) -> Iterator[Finding]:
    """Go through all that SciCat was told and stored: nothing untrue, not even for a moment."""
    datasets = {dataset.pid: dataset for dataset in world.datasets}
    ended: dict[str, str] = {}
    for request in world.scicat.log.requests(method="PATCH"):
        if request.status is None or not isinstance(request.body, dict) or 400 <= request.status < 500:
            continue
        subject = request.path.removesuffix("/datasetlifecycle").rsplit("/", 1)
        dataset = next((d for pid, d in datasets.items() if pid in request.path), None)
        word, state = request.body.get("retrieveStatusMessage"), str(request.body.get("statusCode", ""))
        if dataset is not None and word == "datasetRetrieved" and dataset.truth is Truth.BAD:
            yield Finding(Fault.FALSE, f"dataset {dataset.pid}", "was told as retrieved")
        if dataset is not None and word and "Failed" in word and dataset.truth is Truth.GOOD:
            yield Finding(Fault.FALSE, f"dataset {dataset.pid}", f"was told as {word}")
        if state and subject[-1] in ended and state != ended[subject[-1]]:
            yield Finding(Fault.FALSE, f"job {subject[-1]}", f"{state} after {ended[subject[-1]]}")
        if state.startswith("finished") and request.status < 400:
            ended[subject[-1]] = state
