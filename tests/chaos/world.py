"""A facility in small around one service: SciCat behind a wire, a share and a tape system, small disks, a clock."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx2

from stand_ins import local_http
from stand_ins.running import TOKEN, ServiceFolder, free_port
from stand_ins.scicat import PROFILES, JobType, ScicatStandIn, archival_service
from tests.chaos.archives import Archives, Home
from tests.chaos.book import Book
from tests.chaos.clock import Clock
from tests.chaos.disks import Disk, disk
from tests.chaos.downloads import Downloads
from tests.chaos.service import Service, wait_until
from tests.chaos.tapes import LOCATION
from tests.chaos.truth import Dataset, Job
from tests.chaos.undoing import Undoing
from tests.chaos.wire import SCIENTIST, Line, Wire

STAGING_MEBIBYTES, DATA_MEBIBYTES = 1536, 512
"""Staging holds all that is staged in one facility: what waits for space must wait for a fault's end alone."""
STALL_SECONDS = 3.0
REQUEST_SECONDS = 3.0
RETENTION_SECONDS = 900.0
SETTINGS: dict[str, dict[str, object]] = {
    "flow": {
        "backoff_initial": 0.1,
        "backoff_maximum": 1.0,
        "poll_initial": 0.1,
        "poll_maximum": 0.5,
        "appear_timeout": 10.0,
        "stall_timeout": STALL_SECONDS,
        "transfer_attempts": 15,
        "reconcile_interval": 2.0,
    },
    "lts": {"recalls": {"mount_age": 0.0, "collect_time": 0.0}},
    "links": {"lifetime": RETENTION_SECONDS, "retention": RETENTION_SECONDS},
    "cache": {"sweep_interval": 5.0, "check_interval": 20.0, "fixity_interval": 10.0},
}
"""All limits are longer than any fault lasts, so that a fault excuses no failure."""
TIGHT_BYTES = 28_000_000
TIGHT: dict[str, dict[str, object]] = {
    **SETTINGS,
    "staging": {"capacity_bytes": TIGHT_BYTES},
    "links": {"lifetime": 2.5, "retention": 3.0},
    "cache": {"sweep_interval": 1.0, "check_interval": 20.0, "fixity_interval": 3600.0, "spared": 0.1},
}
"""Staging holds hardly more than one of the datasets that are asked for, and what nobody pins any more makes way at once."""


@dataclass
class World:
    """Everything around one service.

    Attributes:
        rng: Decides everything that is left to chance.
        jobs: Of this round, by id.
        datasets: Of this round.
        undoing: What is wrong at the moment and will be put right.
        downloads: Fetches what jobs offer as soon as they end, where that is soon gone; None where it stays for the judge.
        recovered_kills: Of the kills, how many are let recover before the next fault; the others are piled up.
    """

    root: Path
    rng: Random
    scicat: ScicatStandIn
    wire: Wire
    line: Line
    archives: Archives
    book: Book
    clock: Clock
    staging: Disk
    data: Disk
    service: Service
    engine_port: int
    jobs: dict[str, Job] = field(default_factory=dict)
    datasets: list[Dataset] = field(default_factory=list)
    undoing: Undoing = field(default_factory=Undoing)
    recovered_kills: float = 0.5
    downloads: Downloads | None = None
    _token: str = ""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _submissions: list[threading.Thread] = field(default_factory=list)

    def dataset(
        self,
        blocks: int,
        *,
        wrong: str | None = None,
        home: Home = Home.SHARE,
        size: int | None = None,
        sized: bool = True,
    ) -> Dataset:
        """Archive a dataset; where something is wrong, it is so with one of its datablocks. See `Archives.make`."""
        pid = f"20.500.12345/set-{next(self._numbers):05d}-x"
        bad = self.rng.randrange(blocks)
        made = [
            self.archives.make(
                pid,
                number,
                wrong=wrong if number == bad else None,
                home=home,
                size=size,
                sized=sized,
            )
            for number in range(blocks)
        ]
        self.scicat.add_dataset(pid, lifecycle={"storageLocation": LOCATION} if home is Home.TAPE else None)
        self.scicat.add_datablocks(pid, [entry for _, entry in made])
        for _, entry in made:  # SciCat takes a job that chooses files only where it lists them here
            listed = {key: entry[key] for key in ("size", "chkAlg", "dataFileList")}
            self.scicat.add_origdatablock(pid, listed)
        dataset = Dataset(pid, [block for block, _ in made])
        self.datasets.append(dataset)
        return dataset

    def ask_for(self, datasets: Sequence[Dataset], chosen: Mapping[str, frozenset[str]] | None = None) -> Job:
        """Ask for datasets as a scientist does; SciCat stores the job and pushes it to the service, or tries to.

        Args:
            datasets: Which.
            chosen: The files wanted of a dataset, by pid; all of the others.
        """
        chosen = chosen or {}
        wanted = [{"pid": each.pid, "files": sorted(chosen.get(each.pid, ()))} for each in datasets]
        params = {"datasetList": wanted, "number": next(self._numbers)}
        body = {"type": "retrieve", "ownerGroup": "group1", "jobParams": params}
        for dataset in datasets:
            dataset.asked_at = min(dataset.asked_at, time.monotonic())
            dataset.jobs += 1
        submission = threading.Thread(target=self._submit, args=(body,), daemon=True)
        self._submissions.append(submission)
        submission.start()
        wait_until(lambda: self._stored(body) is not None, 30)
        job_id = self._stored(body)
        if job_id is None:
            raise TimeoutError("SciCat did not store the job")
        job = Job(job_id, list(datasets), chosen)
        self.jobs[job_id] = job
        return job

    def deliver(self, job_id: str) -> bool:
        """Push a stored job to the service, as SciCat or an operator does; says whether it was taken."""
        stored = self.scicat.job(job_id)
        body = {key: stored[key] for key in ("id", "type", "jobParams")}
        headers = {"Authorization": f"Bearer {TOKEN}"}
        try:
            url = f"{self.service.folder.url}/api/v1/jobs"
            answer = local_http.post(url, json=body, headers=headers, timeout=40)
        except httpx2.HTTPError:
            return False
        return answer.status_code == 201

    def current_jobs(self) -> list[Job]:
        """The jobs of this round."""
        return list(self.jobs.values())

    def unfinished(self) -> list[Job]:
        """The jobs that SciCat does not show as ended."""
        return [job for job in self.jobs.values() if not self.ended(job.id)]

    def ended(self, job_id: str) -> bool:
        """Whether SciCat shows a job as ended."""
        return str(self.scicat.store.jobs[job_id]["statusCode"]).startswith("finished")

    def all_pushed(self) -> bool:
        """Whether all pushes of jobs have ended, well or not."""
        self._submissions = [each for each in self._submissions if each.is_alive()]
        return not self._submissions

    def forget_round(self) -> None:
        """Remove what the jobs of this round were about, so that a long run does not grow."""
        for dataset in self.datasets:
            self.archives.forget(dataset.pid)
            self.scicat.store.remove_dataset(dataset.pid)
        gone, self.jobs = self.jobs, {}
        for job_id in gone:
            self.scicat.store.jobs.pop(job_id, None)
        self.datasets.clear()
        self.scicat.log.clear()

    def _submit(self, body: dict[str, Any]) -> None:
        """Post until SciCat has the job, whatever it answers then: a push that failed is not made again."""
        headers = {"Authorization": f"Bearer {self._token}", **SCIENTIST}
        url = f"{self.line.url}/api/v4/jobs"
        while self._stored(body) is None:
            try:
                local_http.post(url, json=body, headers=headers, timeout=120)
            except httpx2.HTTPError:
                time.sleep(0.05)

    def _stored(self, body: dict[str, Any]) -> str | None:
        """Give the id under which SciCat stored a job; the job's own number tells it from others like it."""
        for job_id, job in list(self.scicat.store.jobs.items()):
            if job["jobParams"] == body["jobParams"]:
                return job_id
        return None


@contextmanager
def open_world(root: Path, rng: Random, *, tight: bool = False) -> Iterator[World]:
    """Make a facility, with its service coming up; where it is tight, staging holds little and nothing for long."""
    with ExitStack() as stack:
        root.mkdir(parents=True)
        staging = stack.enter_context(disk(root / "staging", STAGING_MEBIBYTES))
        data = stack.enter_context(disk(root / "data", DATA_MEBIBYTES))
        scicat = ScicatStandIn(groups=PROFILES["job_privileged"], write_gap_seconds=0.002)
        wire = Wire(scicat)
        line = Line(wire)
        stack.callback(line.down)
        archives = Archives(root / "lts", rng)
        stack.callback(archives.close)
        clock = Clock(root)
        engine_port = free_port()
        settings: dict[str, dict[str, object]] = {
            **(TIGHT if tight else SETTINGS),
            "engine": {"port": engine_port},
            "catalogue": {"request_timeout": REQUEST_SECONDS},
            "stores.tape": dict(archives.tapes.settings(STALL_SECONDS)),
        }
        folder = ServiceFolder(root, line.url, settings=settings, environment=clock.environment)
        scicat.set_job_type(JobType(create_action=archival_service(f"{folder.url}/api/v1/jobs", TOKEN)))
        service = Service(folder)
        stack.callback(service.close)
        book = Book(root / "data" / "ledger.sqlite")
        stack.callback(book.close)
        token = scicat.issue_token("scientist")
        world = World(
            root, rng, scicat, wire, line, archives, book, clock, staging, data, service, engine_port,
            _token=token,
        )  # fmt: skip
        stack.callback(world.undoing.all_over, 60)
        if tight:
            world.downloads = Downloads(world.current_jobs, scicat.store.jobs)
            stack.callback(world.downloads.close)
        if not wait_until(service.answers, 90):
            raise RuntimeError("the service does not come up: see service.log")
        yield world
