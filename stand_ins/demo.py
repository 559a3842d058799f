"""The demo: a whole retrieval on this machine, from a real folder to the same files again.

It packs a folder into tar datablocks of several datasets in a long-term store, registers them in a stand-in SciCat,
starts the service, asks for all datasets through SciCat's own job route, shows the progress, downloads everything
by the one link that SciCat was given, as a zip, unpacks it, and compares every file with the original. With `--tape`
the datablocks are on virtual tapes, and what each dataset waits for is shown.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import signal
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from scicat_retriever.pipeline.delivery.names import usable_paths
from stand_ins import local_http, retrieval_page
from stand_ins.packing import PackedDataset, pack
from stand_ins.running import TOKEN, RunningService, ServiceFolder, is_over
from stand_ins.scicat import (
    NEWEST_TAGGED,
    RELEASES,
    JobType,
    ScicatStandIn,
    archival_service,
    log_in,
    submit_retrieve_job,
)
from stand_ins.tape_archive import TapeArchive

JOB_SECONDS = 600.0
ALGORITHM = "sha256"


class DemoFailed(Exception):
    """The demo did not end as it should; the message says where."""


@dataclass(frozen=True, slots=True)
class Row:
    """What came back of a dataset."""

    pid: str
    datablocks: int
    files: int
    size: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; gives the exit code: 0 only if every byte matched."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(sysconfig.get_path("stdlib")), help="folder to archive and retrieve"
    )
    parser.add_argument("--keep", action="store_true", help="leave the service up until Ctrl-C")
    parser.add_argument("--tape", action="store_true", help="put the datablocks on virtual tapes")
    parser.add_argument(
        "--release",
        default=NEWEST_TAGGED.name,
        choices=list(RELEASES),
        help="the SciCat that is stood in for",
    )
    given = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 110)
    if not given.data.is_dir():
        console.print(f"demo: {given.data} is no folder: give one with DATA=", style="red")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="retriever-demo-") as root:
        try:
            stand_in = ScicatStandIn(release=RELEASES[given.release])
            return _run(given.data.resolve(), Path(root), stand_in, console, keep=given.keep, tape=given.tape)
        except DemoFailed as error:
            console.print(f"demo: {error}", style="red", markup=False)
            return 1


def _run(data: Path, root: Path, stand_in: ScicatStandIn, console: Console, *, keep: bool, tape: bool) -> int:
    with ExitStack() as stack:
        scicat_url = stack.enter_context(stand_in.serve())
        console.print(f"[1/6] packing {data} into the long-term store", markup=False)
        archives = root / "lts"
        datasets = list(pack(data, archives, algorithm=ALGORITHM))
        if not datasets:
            raise DemoFailed(f"there is no file to archive in {data}")
        tapes = TapeArchive(archives, datasets) if tape else None
        settings = stack.enter_context(tapes.served()) if tapes else {}
        folder = ServiceFolder(root, scicat_url, settings=settings)
        console.print(
            f"[2/6] registering datasets, datablocks and checksums in SciCat (a stand-in, {stand_in.release.name})",
            markup=False,
        )
        _register(datasets, scicat_url)
        stand_in.set_job_type(JobType(create_action=archival_service(f"{folder.url}/api/v1/jobs", TOKEN)))
        console.print("[3/6] starting the service with an engine of its own", markup=False)
        service = stack.enter_context(RunningService(folder))
        rows = _retrieve(datasets, data, service, scicat_url, root / "unpacked", console)
        _show(rows, console)
        if tapes:
            console.print(tapes.summary(), highlight=False)
        if keep:
            _stay(service, scicat_url, console)
    totals = f"files={sum(row.files for row in rows)} bytes={sum(row.size for row in rows)}"
    blocks = sum(row.datablocks for row in rows)
    console.print(
        f"demo: finishedSuccessful datasets={len(rows)} datablocks={blocks} {totals}", highlight=False
    )
    return 0


def _retrieve(
    datasets: Sequence[PackedDataset],
    data: Path,
    service: RunningService,
    scicat_url: str,
    unpacked: Path,
    console: Console,
) -> list[Row]:
    console.print("[4/6] asking SciCat for the datasets: it tells the service", markup=False)
    token = log_in(scicat_url, "scientist")
    answer = submit_retrieve_job(scicat_url, [dataset.pid for dataset in datasets], token=token)
    if answer.status_code != 201:
        raise DemoFailed(f"SciCat did not take the job: {answer.text}")
    job_id = str(answer.json()["id"])
    _watch(job_id, datasets, service, console)
    job = _job_in_scicat(scicat_url, job_id)
    if job["statusCode"] != "finishedSuccessful":
        raise DemoFailed(f"SciCat was told {job['statusCode']}: {job['statusMessage']}\n{service.log_end()}")
    page = retrieval_page.page(job["jobResultObject"]["url"])
    console.print("[5/6] downloading all by the one link that SciCat was given, as a zip:", markup=False)
    console.print(page["url"], markup=False, highlight=False, soft_wrap=True)
    _download(page["zip"], unpacked, console)
    console.print("[6/6] comparing every file with the original", markup=False)
    folders = {each["pid"]: unpacked / each["name"] for each in page["datasets"]}
    return [_compare(dataset, data, folders[dataset.pid]) for dataset in datasets]


def _register(datasets: Sequence[PackedDataset], scicat_url: str) -> None:
    headers = {"Authorization": f"Bearer {log_in(scicat_url, 'admin')}"}
    with httpx2.Client(base_url=scicat_url, headers=headers, timeout=60, trust_env=False) as scicat:
        for dataset in datasets:
            body = {
                "pid": dataset.pid,
                "datasetName": dataset.name,
                "type": "raw",
                "owner": "Ada",
                "contactEmail": "ada@your.site",
                "principalInvestigators": ["ada@your.site"],
                "creationLocation": "/LAB/BL1",
                "sourceFolder": "/data/demo",
                "creationTime": "2026-01-02T03:04:05.000Z",
                "ownerGroup": "group1",
                "accessGroups": [],
                "datasetlifecycle": {"retrievable": True, "archiveStatusMessage": "datasetOnArchiveDisk"},
            }
            _post(scicat, "/api/v4/datasets", body)
            for block in dataset.datablocks:
                body = {**block.as_scicat(ALGORITHM), "datasetId": dataset.pid}
                _post(scicat, "/api/v3/datablocks", body)


def _post(scicat: httpx2.Client, route: str, body: dict[str, Any]) -> None:
    answer = scicat.post(route, json=body)
    if not answer.is_success:
        raise DemoFailed(f"SciCat answered {answer.status_code} to {route}: {answer.text}")


def _watch(job_id: str, datasets: Sequence[PackedDataset], service: RunningService, console: Console) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[state]}"),
    )
    end = time.monotonic() + JOB_SECONDS
    said: dict[str, set[str]] = {dataset.pid: {""} for dataset in datasets}
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        bars: dict[str, TaskID] = {
            dataset.pid: progress.add_task(
                dataset.pid, total=sum(block.packed_size for block in dataset.datablocks), state="submitted"
            )
            for dataset in datasets
        }
        while time.monotonic() < end:
            status = service.job(job_id)
            for dataset in status["datasets"]:
                progress.update(bars[dataset["pid"]], completed=dataset["bytesDone"], state=dataset["state"])
                if (words := _waits_for(dataset)) not in said[dataset["pid"]]:
                    said[dataset["pid"]].add(words)
                    progress.console.print(f"{dataset['pid']}: {words}", markup=False, highlight=False)
            if is_over(status):
                return
            time.sleep(0.1)
    raise DemoFailed(f"the job was not finished in {JOB_SECONDS:.0f} s:\n{service.log_end()}")


def _waits_for(dataset: dict[str, Any]) -> str:
    """Give what the first of a dataset's datablocks that wait waits for, in the service's words."""
    blocks = dataset.get("datablocks") or ()
    return next((block["waitingFor"] for block in blocks if block.get("waitingFor")), "")


def _job_in_scicat(scicat_url: str, job_id: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {log_in(scicat_url, 'admin')}"}
    answer = local_http.get(f"{scicat_url}/api/v4/jobs/{job_id}", headers=headers, timeout=60)
    answer.raise_for_status()
    job: dict[str, Any] = answer.json()
    return job


def _download(url: str, unpacked: Path, console: Console) -> None:
    archive = unpacked.with_suffix(".zip")
    with (
        httpx2.Client(timeout=60, trust_env=False) as http,
        Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=console
        ) as progress,
        http.stream("GET", url) as answer,
        archive.open("wb") as file,
    ):
        if answer.status_code != 200:
            raise DemoFailed(f"the link to all of it gave {answer.status_code}")
        bar = progress.add_task("downloads", total=int(answer.headers["content-length"]))
        for chunk in answer.iter_bytes(2**20):
            file.write(chunk)
            progress.advance(bar, len(chunk))
    with zipfile.ZipFile(archive) as made:
        made.extractall(unpacked)
    archive.unlink()


def _compare(dataset: PackedDataset, data: Path, folder: Path) -> Row:
    names = [entry["path"] for block in dataset.datablocks for entry in block.files]
    # Names that some system refuses come back altered.
    came_as = dict(zip(names, usable_paths(names), strict=True))
    found = sorted(
        os.path.relpath(Path(place, name), folder) for place, _, files in os.walk(folder) for name in files
    )
    if found != sorted(came_as.values()):
        differing = sorted(set(found) ^ set(came_as.values()))[:5]
        raise DemoFailed(
            f"{dataset.pid}: the files that came back are not those that were archived: {differing}"
        )
    size = 0
    for name in names:
        if not filecmp.cmp(data / name, folder / came_as[name], shallow=False):
            raise DemoFailed(f"{dataset.pid}: {name} came back with other bytes")
        size += (folder / came_as[name]).stat().st_size
    return Row(dataset.pid, len(dataset.datablocks), len(names), size)


def _show(rows: Sequence[Row], console: Console) -> None:
    table = Table(title="retrieved, downloaded, and compared byte for byte")
    table.add_column("dataset")
    for column in ("datablocks", "files", "bytes"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(row.pid, str(row.datablocks), f"{row.files:,}", f"{row.size:,}")
    console.print(table)


def _stay(service: RunningService, scicat_url: str, console: Console) -> None:
    console.print(f"SciCat (stand-in): {scicat_url}  user scientist, password scientist-pw", markup=False)
    console.print(f"SciCat Retriever:  {service.folder.url}/api/openapi.json  token {TOKEN}", markup=False)
    console.print(f"its folder:        {service.folder.root}", markup=False)
    console.print("press Ctrl-C to stop", markup=False)
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("stopping", markup=False)


if __name__ == "__main__":
    sys.exit(main())
