"""A research facility in small: a long-term store with tars, a SciCat (stand-in), and the service's folder."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil

from stand_ins import local_http
from stand_ins.running import TOKEN, RunningService, ServiceFolder, pause_after
from stand_ins.scicat import (
    NEWEST_TAGGED,
    RELEASES,
    JobType,
    Recorded,
    ScicatStandIn,
    archival_service,
    log_in,
    submit_retrieve_job,
)

QUICK: dict[str, dict[str, object]] = {
    "flow": {
        "backoff_initial": 0.1,
        "backoff_maximum": 1.0,
        "poll_initial": 0.1,
        "poll_maximum": 0.5,
        "appear_timeout": 5.0,
    },
    "lts": {"recalls": {"mount_age": 0.0, "collect_time": 0.0}},
}
"""Settings that make failures and waits quick enough for a test."""


def quick(**sections: dict[str, object]) -> dict[str, dict[str, object]]:
    """Give the quick settings with some keys changed."""
    return {**QUICK, **{name: {**QUICK.get(name, {}), **keys} for name, keys in sections.items()}}


IMPATIENT = quick(flow={"appear_timeout": 8.0, "recall_timeout": 8.0})
"""Of the service that gives up soon what is not there, or not back from tape."""
PATIENT = quick(flow={"appear_timeout": 600.0}, lts={"offline_by_blocks": False})
"""Of the service that waits for what is not there until the test brings it. Archives with holes are no stubs for it."""
READY_SECONDS = 60.0
"""How long a service that stays up may take to be ready again after what a test did to it, before it is started anew."""


@dataclass
class Facility:
    """Everything around one service.

    Attributes:
        scicat: The stand-in SciCat.
        scicat_url: Where it is.
        folder: The service's folder and settings.
        service: The running service, where a test has one.
    """

    scicat: ScicatStandIn
    scicat_url: str
    folder: ServiceFolder
    service: RunningService | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    @contextmanager
    def open(
        cls, root: Path, settings: Mapping[str, Mapping[str, object]], **scicat: Any
    ) -> Iterator[Facility]:
        """Make one; the service is not started yet.

        Its SciCat is the release of the arguments, or of ``SCICAT_STAND_IN_RELEASE``, or the newest with a tag.
        """
        root.mkdir(parents=True, exist_ok=True)
        release = RELEASES[os.environ.get("SCICAT_STAND_IN_RELEASE", NEWEST_TAGGED.name)]
        stand_in = ScicatStandIn(**{"release": release, **scicat})
        with stand_in.serve() as url:
            folder = ServiceFolder(root, url, settings=settings)
            made = cls(stand_in, url, folder)
            made.push_jobs()
            yield made

    @classmethod
    @contextmanager
    def standing(
        cls, root: Path, settings: Mapping[str, Mapping[str, object]], **scicat: Any
    ) -> Iterator[Facility]:
        """Make one for many tests: `put_right` before each has its service run, which is stopped in the end."""
        with cls.open(root, settings, **scicat) as made:
            service = made.service = RunningService(made.folder)
            try:
                yield made
            finally:
                if service.is_running:
                    service.stop()

    @property
    def engine_port(self) -> int:
        """Where the service's engine listens, if the settings say."""
        return int(str(self.folder.settings["engine"]["port"]))

    def push_jobs(self) -> None:
        """Have SciCat tell the service of each job, as a facility sets it up."""
        self.scicat.set_job_type(
            JobType(create_action=archival_service(f"{self.folder.url}/api/v1/jobs", TOKEN))
        )

    def put_right(self) -> None:
        """Undo what the test before did: SciCat has no faults, and the service runs, started again if it has to be."""
        service = self.service
        assert service is not None
        self.scicat.faults.clear()
        self.push_jobs()
        if service.is_running:
            with suppress(TimeoutError):
                wait_until(self.is_ready, READY_SECONDS)
                return
            service.kill()
        service.start()

    def is_ready(self) -> bool:
        """Say whether the service has all that it needs to carry out jobs."""
        try:
            url = f"{self.folder.url}/api/v1/ready"
            return local_http.get(url, timeout=30).is_success
        except httpx2.TransportError:
            return False

    def new_pid(self) -> str:
        """Give a pid that no other test uses."""
        return f"20.500.12345/set-{next(self._numbers):04d}-x"

    def archive(self, pid: str, files: Sequence[Mapping[str, bytes]], **fields: object) -> list[str]:
        """Archive a dataset: a tar in the long-term store and a catalogue entry for each mapping of name to content.

        Returns:
            The archiveIds.
        """
        self.scicat.add_dataset(pid, **fields)  # type: ignore[arg-type]
        blocks = [self.datablock(pid, number, content) for number, content in enumerate(files)]
        self.scicat.add_datablocks(pid, blocks)
        return [str(block["archiveId"]) for block in blocks]

    def datablock(
        self, pid: str, number: int, content: Mapping[str, bytes], *, compressed: bool = False
    ) -> dict[str, object]:
        """Write a tar to the long-term store and give its catalogue entry."""
        archive_id = f"{pid.rpartition('/')[2]}/{number:04d}.tar{'.gz' if compressed else ''}"
        path = self.folder.lts / archive_id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(tar_of(content)) if compressed else tar_of(content))
        return {
            "archiveId": archive_id,
            "size": sum(len(data) for data in content.values()),
            "packedSize": path.stat().st_size,
            "chkAlg": "sha256",
            "dataFileList": [
                {"path": name, "size": len(data), "chk": hashlib.sha256(data).hexdigest()}
                for name, data in content.items()
            ],
        }

    def put_aside(self, archive_id: str) -> Callable[[], None]:
        """Take an archive out of the long-term store; gives what brings it back."""
        path = self.folder.lts / archive_id
        aside = path.with_suffix(".aside")
        path.rename(aside)

        def bring_back() -> None:
            aside.rename(path)

        return bring_back

    def late_dataset(self) -> tuple[str, Callable[[], None]]:
        """Archive a dataset of one datablock that is not in the store yet; gives its pid, and what brings it there."""
        pid = self.new_pid()
        (archive_id,) = self.archive(pid, some_datablocks(pid, 1))
        return pid, self.put_aside(archive_id)

    def large_dataset(self, size: int) -> str:
        """Archive a dataset of one datablock of so many bytes, nearly all zeros that take no disk; gives its pid."""
        pid = self.new_pid()
        self.scicat.add_dataset(pid)
        block = self.datablock(pid, 0, {"x.dat": b"x"})
        with (self.folder.lts / str(block["archiveId"])).open("r+b") as archive:
            archive.truncate(size)
        self.scicat.add_datablocks(pid, [{**block, "packedSize": size}])
        return pid

    def ask_for(self, *pids: str, version: str = "v4") -> str:
        """Ask for datasets as a scientist does, through SciCat; gives the job's id."""
        token = log_in(self.scicat_url, "scientist")
        answer = submit_retrieve_job(self.scicat_url, pids, token=token, version=version)  # type: ignore[arg-type]
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def wait_for(self, job_id: str, seconds: float = 120.0) -> dict[str, Any]:
        """Wait until a job has ended in SciCat and give it as SciCat has it."""
        assert self.service is not None
        self.service.wait_for_job(job_id, seconds)
        return self.scicat.job(job_id)

    def told(self, job_id: str, *pids: str) -> list[tuple[str, dict[str, Any]]]:
        """What SciCat was told of a job and its datasets, in order: (job id or pid, body) of each accepted PATCH."""
        updates = []
        for request in self.scicat.log.requests(method="PATCH", status=200):
            for subject, path in [
                (job_id, f"/api/v4/jobs/{job_id}"),
                *((pid, f"/api/v4/datasets/{pid}/datasetlifecycle") for pid in pids),
            ]:
                if request.path == path:
                    updates.append((subject, _object(request)))
        return updates

    def lifecycle(self, pid: str) -> dict[str, Any]:
        """Give a dataset's lifecycle as SciCat has it."""
        lifecycle: dict[str, Any] = self.scicat.dataset(pid)["datasetlifecycle"]
        return lifecycle

    def api_answers(self) -> bool:
        """Say whether the running service's API answers."""
        try:
            return local_http.get(f"{self.folder.url}/api/v1/health", timeout=30).is_success
        except httpx2.TransportError:
            return False

    def part(self, name: str) -> psutil.Process:
        """Give the process of one part of the running service: `api`, `worker`, or `temporal`, its engine."""
        assert self.service is not None
        parts = psutil.Process(self.service.process.pid).children()
        (found,) = [part for part in parts if name in part.name() or part.cmdline()[-1:] == [name]]
        return found

    def datablocks_in_staging(self, pid: str) -> list[int]:
        """Numbers of the datablocks whose whole archive the staging area holds; anything else it holds is an error."""
        held = [path.read_bytes() for path in self.files_in_staging(pid)]
        archives = (self.folder.lts / pid.rpartition("/")[2]).glob("*.tar")
        numbers = sorted(int(path.stem) for path in archives if path.read_bytes() in held)
        assert len(numbers) == len(held)
        return numbers

    def files_in_staging(self, pid: str) -> list[Path]:
        """What the staging area holds of a dataset, partial or staged."""
        name = pid.rpartition("/")[2]
        return sorted(path for path in self.folder.staging.rglob("*") if path.is_file() and name in str(path))


def _object(request: Recorded) -> dict[str, Any]:
    assert isinstance(request.body, dict)
    return request.body


def tar_of(content: Mapping[str, bytes]) -> bytes:
    """Pack files into a tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def some_files(prefix: str, count: int = 3) -> dict[str, bytes]:
    """Make files with distinct content."""
    return {
        f"{prefix}/file-{number}.dat": f"{prefix} {number} ".encode() * (100 + number)
        for number in range(count)
    }


def some_datablocks(prefix: str, count: int) -> list[dict[str, bytes]]:
    """Make the files of several datablocks."""
    return [some_files(f"{prefix}-{number}") for number in range(count)]


def download(url: str) -> bytes:
    """Fetch a link as a scientist does."""
    answer = local_http.get(url, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.content


def running(facility: Facility) -> RunningService:
    """Give the service of a facility."""
    assert facility.service is not None
    return facility.service


def wait_until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: It did not come true in time.
    """
    end = time.monotonic() + seconds
    while True:
        begun = time.monotonic()
        if condition():
            return
        if begun > end:
            raise TimeoutError("the condition did not come true")
        time.sleep(pause_after(time.monotonic() - begun))


def block_states(service: RunningService, job_id: str) -> list[str]:
    """Give the states of a job's datablocks."""
    return [block["state"] for dataset in service.job(job_id)["datasets"] for block in dataset["datablocks"]]


def retriever(settings: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `retriever` as an operator does, with a file of settings; gives how it ended."""
    command = [sys.executable, "-m", "scicat_retriever", *arguments, "--config", str(settings)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def adopt_staging(folder: ServiceFolder) -> str:
    """Have a service's staging area marked as its own, as an operator does; gives what is said."""
    done = retriever(folder.root / "retriever.toml", "adopt-staging")
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask_staging(facility: Facility, method: str, path: str, body: object = None) -> Any:
    """Ask the operators' API about staging; gives what it answers."""
    answer = _asked_about_staging(facility, method, path, body)
    assert answer.is_success, answer.text
    return answer.json()


def give_back_all(facility: Facility) -> None:
    """Give the space of all jobs back, where they have any."""
    for job in facility.scicat.jobs():
        _asked_about_staging(facility, "POST", "/release", {"job": job["id"]})


def _asked_about_staging(facility: Facility, method: str, path: str, body: object) -> httpx2.Response:
    return local_http.request(
        method,
        f"{facility.folder.url}/api/v1/staging{path}",
        json=body,
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=60,
    )


def ask_for_files(facility: Facility, files: Mapping[str, list[str]]) -> str:
    """Ask for some files of datasets, as a scientist does; gives the job's id.

    SciCat takes only files that the original datablocks list: they do.
    """
    for pid, names in files.items():
        listed = [{"path": name, "size": 1, "time": "2026-01-02T03:04:05.000Z"} for name in names]
        facility.scicat.add_origdatablock(pid, {"size": len(names), "dataFileList": listed})
    token = log_in(facility.scicat_url, "scientist")
    answer = submit_retrieve_job(facility.scicat_url, list(files), token=token, files=files)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
