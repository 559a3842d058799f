"""What must hold for any bytes that claim to be a job, or SciCat's list of datablocks."""

from __future__ import annotations

from contextlib import suppress

import httpx2

from scicat_retriever.catalogue.datablocks.entry import MAX_NAME
from scicat_retriever.catalogue.wire import (
    LARGEST_AMOUNT,
    MAX_FILE_NAME,
    MAX_ID,
    MAX_PID,
    encoded,
    parse_job,
)
from scicat_retriever.domain.dataset import CataloguedDatablock, RetrieveJob
from scicat_retriever.domain.errors import CatalogueError, JobMalformed
from scicat_retriever.domain.ids import DatasetPid
from tests.unit.catalogue.backend import Backend, login_answer, ok

PID = DatasetPid("20.500.12345/abc")
COUNTED = 50
_DATASET = "GET /api/v4/datasets/20.500.12345%2Fabc"


def check_job(data: bytes) -> None:
    """Read a job: it is one that the service can store and name, or it is malformed."""
    job = job_or_refusal(data)
    if isinstance(job, JobMalformed):
        assert job.field.startswith("$")
        assert len(str(job)) < 5000
        return
    owners = [owner for owner in (job.owner_user, job.owner_group) if owner is not None]
    for name, longest in [(job.id, MAX_ID), *((each, MAX_ID) for each in owners)]:
        assert name.isprintable()
        assert 0 < len(name.encode()) <= longest
    assert len({each.pid for each in job.datasets}) == len(job.datasets)
    for selection in job.datasets:
        assert selection.pid.isprintable()
        assert 0 < len(selection.pid.encode()) <= MAX_PID
        assert len(set(selection.files)) == len(selection.files)
        assert all("\0" not in name and 0 < len(name.encode()) <= MAX_FILE_NAME for name in selection.files)
    entries = [{"pid": each.pid, "files": list(each.files)} for each in job.datasets] or None
    again = {"id": job.id, "type": job.type, "ownerUser": job.owner_user, "ownerGroup": job.owner_group}
    assert parse_job(encoded({**again, "datasetList": entries}), None) == job


def job_or_refusal(data: bytes) -> RetrieveJob | JobMalformed:
    """Read a job; any other error than the declared ones passes through."""
    try:
        return parse_job(data, ("retrieve", "public"))
    except JobMalformed as refused:
        return refused


def check_datablocks(data: bytes) -> None:
    """Read SciCat's list of datablocks: each is one that can be worked with, or the catalogue is at fault."""
    answer = httpx2.Response(200, content=data)
    dataset = ok({"pid": PID, "numberOfFilesArchived": 1, "packedSize": 1, "datablocks": []})
    scripted = Backend().on("POST /api/v3/auth/login", login_answer("a-token")).on(_DATASET, dataset)
    scripted.on("GET /api/v3/datablocks/count", ok({"count": COUNTED})).on(
        "GET /api/v3/datablocks", answer, ok([])
    )
    seen: list[CataloguedDatablock] = []
    with suppress(CatalogueError):
        seen.extend(scripted.client().datablocks(PID))
    for block in seen:
        own = block.datablock
        assert own.pid == PID
        for amount in (own.size, own.packed_size, *(each.size for each in block.files)):
            assert 0 <= amount <= LARGEST_AMOUNT
        for name in (own.id, own.archive_id, *(each.path for each in block.files)):
            assert 0 < len(name) <= MAX_NAME
            assert "\0" not in name
            name.encode()
    assert len({each.datablock.id for each in seen}) == len(seen)
    assert len({each.datablock.archive_id for each in seen}) == len(seen)
