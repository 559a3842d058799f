"""What an operator wants of a job: that it is cancelled, that it is retried; asked until the service answers."""

from __future__ import annotations

import time

import httpx2

from stand_ins import local_http
from stand_ins.running import TOKEN
from tests.chaos.truth import NEVER, Job
from tests.chaos.world import World

ANSWER_SECONDS = 40.0


def cancel(world: World, job: Job) -> bool:
    """Have a job cancelled; says whether the service took the wish, or may have taken it."""
    before, job.cancelled = job.cancelled, True  # it may be carried out before the answer is here
    taken = _asked(world, "DELETE", job)
    job.cancelled = taken or before
    if taken:
        job.cancelled_at = min(job.cancelled_at, time.monotonic())
        for dataset in job.datasets:
            dataset.again += 1
            dataset.may_fail_for_a_while = True
    return taken


def retry(world: World, job: Job) -> bool:
    """Have a job carried out again; says whether the service took the wish, or may have taken it."""
    job.retries += 1
    taken = _asked(world, "POST", job, "/retry")
    if taken:
        job.cancelled, job.cancelled_at = False, NEVER
        for dataset in job.datasets:
            dataset.again += 1
    else:
        job.retries -= 1
    return taken


def _asked(world: World, method: str, job: Job, what: str = "") -> bool:
    """Ask until there is an answer. A refusal counts as one only where no earlier question went unanswered."""
    url, unanswered = f"{world.service.folder.url}/api/v1/jobs/{job.id}{what}", False
    headers, end = {"Authorization": f"Bearer {TOKEN}"}, time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < end:
        try:
            answer = local_http.request(method, url, headers=headers, timeout=ANSWER_SECONDS)
        except httpx2.ConnectError:
            pass
        except httpx2.HTTPError:
            unanswered = True
        else:
            if answer.is_success or answer.status_code == 409:
                return answer.is_success or unanswered
            # The job is not known yet, where its push failed; or the ledger is away.
            if answer.status_code not in {404, 503}:
                raise RuntimeError(f"{method} {url} answers {answer.status_code} {answer.text[:300]}")
        time.sleep(0.05)
    return unanswered
