"""What the pages of a job's datasets offer, compared with what was archived; in time, where that is soon gone."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx2

from stand_ins import local_http
from stand_ins.retrieval_page import datablocks_of, page
from tests.chaos.truth import Block, Job

Entry = Mapping[str, Any]
"""An entry of the `result` of a `jobResultObject`, or a datablock of its page."""


def wrong_with(entry: Entry, block: Block, job: Job) -> str:
    """Download what a link offers; says what is wrong with it, nothing where it is right."""
    try:
        answer = local_http.get(entry["url"], timeout=30)
    except httpx2.HTTPError as error:
        return f"the link fails: {error!r}"
    if answer.status_code != 200:
        return f"the link answers {answer.status_code} {answer.content[:300]!r}"
    if ".part-" in entry["name"]:
        chosen = job.chosen.get(entry["datasetId"], frozenset())
        wanted = {name: digest for name, digest in block.files.items() if name in chosen}
        return "" if _files(answer.content) == wanted else "the extract holds other files than were chosen"
    right = hashlib.sha256(answer.content).hexdigest() == block.sha256
    return "" if right else "the link gives other bytes than were archived"


def wrong_blocks(pid: str, offered: Sequence[Entry], job: Job) -> str:
    """Compare the datablocks that the page of a dataset offers with those that the job needs: all, and no others."""
    (dataset,) = [each for each in job.datasets if each.pid == pid]
    links, needed = (
        sorted(each["archiveId"] for each in offered),
        sorted(block.archive_id for block in job.needs(dataset)),
    )
    return "" if links == needed else f"{pid}: links to {links}, not {needed}"


def _files(tar: bytes) -> dict[str, str]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None:
                found[member.name] = hashlib.sha256(content.read()).hexdigest()
    return found


class Downloads:
    """Fetches what jobs that ended offer, at once, in a thread of its own.

    Args:
        jobs: Gives the jobs.
        stored: The jobs as SciCat has them, by id.

    Attributes:
        checked: Links that were fetched.
        wrong: What they gave that was not archived, by job.
    """

    def __init__(self, jobs: Callable[[], Iterable[Job]], stored: Mapping[str, Mapping[str, Any]]) -> None:
        self._jobs, self._stored = jobs, stored
        self._seen: set[tuple[str, str]] = set()
        self._over = threading.Event()
        self.checked = 0
        self.wrong: list[tuple[str, str]] = []
        self._thread = threading.Thread(target=self._watch, name="downloads", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            for job in list(self._jobs()):
                for entry in (self._stored.get(job.id, {}).get("jobResultObject") or {}).get("result", []):
                    told = (entry["url"], entry["expires"])
                    if entry["expires"] and told not in self._seen:
                        self._seen.add(told)
                        self._look_at(job, entry)

    def _look_at(self, job: Job, entry: Entry) -> None:
        """Fetch what the page of a dataset offers; a service that was killed does not answer, and what is over is gone."""
        try:
            offered = list(datablocks_of(entry))
            state = "ready" if offered else page(entry["url"])["state"]
        except httpx2.HTTPError:
            return
        if not offered:
            if state == "gone" and datetime.fromisoformat(entry["expires"]) > datetime.now(UTC):
                self.wrong.append((job.id, f"{entry['datasetId']}: is gone before {entry['expires']}"))
            return
        if wrong := wrong_blocks(entry["datasetId"], offered, job):
            self.wrong.append((job.id, wrong))
            return
        for block in offered:
            self._fetch(job, block)

    def _fetch(self, job: Job, entry: Entry) -> None:
        """Fetch it; a service that was killed meanwhile does not answer, and says of a late link that it has expired."""
        blocks = {block.archive_id: block for dataset in job.datasets for block in dataset.blocks}
        wrong = wrong_with(entry, blocks[entry["archiveId"]], job)
        if wrong.startswith("the link fails") or "link_expired" in wrong:
            return
        self.checked += 1
        if wrong:
            self.wrong.append((job.id, f"{entry['archiveId']}: {wrong}"))
