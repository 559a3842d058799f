"""What the page of a retrieval shows of what the steps have done, as programs read it."""

from __future__ import annotations

import json
from typing import Any

from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.http_api.auth import TokenGuard
from scicat_retriever.http_api.retrievals import view
from scicat_retriever.http_api.service import Service
from scicat_retriever.pipeline.staging.fixity_pace import FixityPace
from tests.unit.pipeline.rig import JOB, LIFETIME, PID, RETENTION, Rig


def page_of(rig: Rig, pid: DatasetPid = PID, job: JobId = JOB) -> dict[str, Any]:
    """The page of a dataset of a job."""
    pids = [each.pid for each in rig.ledger.jobs.datasets(job)]
    url = rig.links.retrieval(job, rig.ledger.links.serial(job))
    shown = view.dataset(job, pids.index(pid) + 1, url, _service(rig))
    found: dict[str, Any] = json.loads(shown.model_dump_json(by_alias=True))
    return found


def datablocks_of(rig: Rig, pid: DatasetPid = PID, job: JobId = JOB) -> list[dict[str, Any]]:
    """The datablocks that the page of a dataset offers; none where it is not ready."""
    return page_of(rig, pid, job)["datablocks"] or []


async def _nothing() -> None:
    """No check of staging is asked for."""


def _service(rig: Rig) -> Service:
    return Service(
        ledger=rig.ledger,
        staging=rig.staging,
        links=rig.links,
        signer=None,
        guard=TokenGuard((), rig.clock),
        job_types=("retrieve",),
        stores=(),
        max_body_bytes=0,
        clock=rig.clock,
        wake=lambda: None,
        cache=rig.cache,
        lifetime=LIFETIME,
        margin=RETENTION - LIFETIME,
        fixity_pace=FixityPace(),
        sweep_interval=LIFETIME,
        check_staging=_nothing,
        engine_trouble=dict,
    )
