"""Catalogues to run the contract on: each with what only its owner can do to it."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from typing import IO, Any, Protocol

import trustme

from scicat_retriever.catalogue.scicat import Scicat
from scicat_retriever.catalogue.settings import ScicatSettings
from scicat_retriever.domain.dataset import (
    CataloguedDatablock,
    Datablock,
    FileEntry,
    OriginalFile,
    RetrieveJob,
    Selection,
)
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid, JobId
from scicat_retriever.domain.states import LifecycleWord
from scicat_retriever.ports.catalogue import Catalogue, LifecycleUpdate
from stand_ins.scicat import ScicatStandIn, log_in, submit_retrieve_job
from tests.fakes.catalogue import InMemoryCatalogue

PID, OTHER, NONE = (DatasetPid(f"20.500.12345/{name}") for name in ("abc", "d e%f", "none"))
RESULT = {"result": [{"datasetId": PID, "name": "a.tar", "url": "https://x", "size": 7}], "errors": []}
RECORDED = ("4.27", "5.2.1", "master")
"""The releases of SciCat that the stand-in was recorded as."""
RETRIEVED = LifecycleUpdate(LifecycleWord.RETRIEVED, {}, retrievable=True, integrity_check=True)


def block(number: int, pid: DatasetPid = PID) -> CataloguedDatablock:
    files = (FileEntry("a/one.dat", 100, "ab" * 32), FileEntry("a/ä two.dat", 200 + number))
    archive = ArchiveId(f"/lts/{pid}/{number}.tar")
    return CataloguedDatablock(
        Datablock(DatablockId(str(number)), pid, archive, 300, 250, "sha256", 2), files
    )


class Rig(Protocol):
    """A catalogue, and what only its owner can do to it."""

    @property
    def catalogue(self) -> Catalogue: ...

    def add_dataset(self, pid: DatasetPid, blocks: int = 1) -> None: ...

    def list_originals(self, pid: DatasetPid, files: Sequence[OriginalFile]) -> None: ...

    def delete_dataset(self, pid: DatasetPid) -> None: ...

    def submit(self, *pids: DatasetPid) -> JobId: ...

    def delete_job(self, job_id: JobId) -> None: ...

    def told_of_job(self, job_id: JobId) -> tuple[str, str, Mapping[str, Any]]:
        """Give code, message and result."""

    def told_of_dataset(self, pid: DatasetPid) -> Mapping[str, Any]:
        """Give the lifecycle, under SciCat's names."""


class FakeRig:
    def __init__(self) -> None:
        self.catalogue = InMemoryCatalogue()

    def add_dataset(self, pid: DatasetPid, blocks: int = 1) -> None:
        self.catalogue.add_dataset(pid, [block(number, pid) for number in range(blocks)])

    def list_originals(self, pid: DatasetPid, files: Sequence[OriginalFile]) -> None:
        self.catalogue.list_originals(pid, files)

    def delete_dataset(self, pid: DatasetPid) -> None:
        self.catalogue.delete_dataset(pid)

    def submit(self, *pids: DatasetPid) -> JobId:
        job = RetrieveJob(
            JobId(str(uuid.uuid4())), "retrieve", tuple(map(Selection, pids)), "scientist", "group1"
        )
        self.catalogue.add_job(job)
        return job.id

    def delete_job(self, job_id: JobId) -> None:
        self.catalogue.delete_job(job_id)

    def told_of_job(self, job_id: JobId) -> tuple[str, str, Mapping[str, Any]]:
        held = self.catalogue.held_job(job_id)
        return held.state, held.message, held.result or {}

    def told_of_dataset(self, pid: DatasetPid) -> Mapping[str, Any]:
        held = self.catalogue.held_dataset(pid)
        return {
            "retrieveStatusMessage": held.status,
            "retrieveReturnMessage": held.return_message,
            "retrievable": held.retrievable,
            "retrieveIntegrityCheck": held.integrity_check,
        }


class ScicatRig:
    def __init__(self, stand_in: ScicatStandIn, url: str, **account: Any) -> None:
        self.stand_in = stand_in
        self._url = url
        account = account or {"username": "archiveManager", "password": "archivemanager-pw"}
        options = {"url": url, "request_timeout": 20, "ca_bundle": _one_authority().name, **account}
        self.catalogue = Scicat(ScicatSettings.model_validate(options))

    def add_dataset(self, pid: DatasetPid, blocks: int = 1) -> None:
        self.stand_in.add_dataset(pid)
        self.stand_in.add_datablocks(pid, [_as_json(block(number, pid)) for number in range(blocks)])

    def list_originals(self, pid: DatasetPid, files: Sequence[OriginalFile]) -> None:
        listed = [{"path": file.path, "size": file.size, "chk": file.digest or ""} for file in files]
        block = {"size": sum(file.size or 0 for file in files), "chkAlg": "md5", "dataFileList": listed}
        self.stand_in.add_origdatablock(pid, block)

    def delete_dataset(self, pid: DatasetPid) -> None:
        del self.stand_in.store.datasets[pid]

    def submit(self, *pids: DatasetPid) -> JobId:
        answer = submit_retrieve_job(self._url, pids, token=log_in(self._url, "scientist"))
        self.stand_in.log.clear()
        return JobId(answer.json()["id"])

    def delete_job(self, job_id: JobId) -> None:
        del self.stand_in.store.jobs[job_id]

    def told_of_job(self, job_id: JobId) -> tuple[str, str, Mapping[str, Any]]:
        job = self.stand_in.job(job_id)
        return job["statusCode"], job["statusMessage"], job["jobResultObject"]

    def told_of_dataset(self, pid: DatasetPid) -> Mapping[str, Any]:
        lifecycle: Mapping[str, Any] = self.stand_in.dataset(pid)["datasetlifecycle"]
        return lifecycle

    def asked(self) -> list[str]:
        return [f"{one.method} {one.path}" for one in self.stand_in.log.requests()]


@cache
def _one_authority() -> IO[bytes]:
    """A file that is gone with the process. To trust one authority alone spares each client reading all those of the system."""
    file = tempfile.NamedTemporaryFile(suffix=".pem")  # noqa: SIM115 - it is there as long as the process
    file.write(trustme.CA().cert_pem.bytes())
    file.flush()
    return file


def _as_json(entry: CataloguedDatablock) -> dict[str, Any]:
    block = entry.datablock
    files = [{"path": file.path, "size": file.size, "chk": file.digest} for file in entry.files]
    return {
        "archiveId": block.archive_id,
        "size": block.size,
        "packedSize": block.packed_size,
        "chkAlg": block.algorithm,
        "dataFileList": [{key: value for key, value in file.items() if value is not None} for file in files],
    }
