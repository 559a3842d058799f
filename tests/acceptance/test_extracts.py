"""Single files out of large archives, where it is known from an earlier retrieval where they lie."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stand_ins.retrieval_page import datablocks
from stand_ins.tape.library import TapeLibrary
from stand_ins.tape.rest_server import TapeRestServer
from stand_ins.tape.serving import served
from stand_ins.tape.shape import LibraryShape, sped_up
from tests.acceptance.facility import (
    Facility,
    ask_for_files,
    ask_staging,
    download,
    quick,
    tar_of,
    wait_until,
)

TAPE_TOKEN = "a-token-for-the-tape-system"
KB = 1000
SETTINGS = quick(cache={"sweep_interval": 1.0, "spared": 0.1})
"""Settings under which what was given back may be evicted soon after."""


class Counting:
    """Passes requests on and counts the bytes that are answered to GETs of archives."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if scope.get("method") == "GET" and scope["path"].endswith(".tar"):
                self.bytes += len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, counted)


def content_of(pid: str, count: int = 10) -> dict[str, bytes]:
    return {f"{pid}/run/frame_{n:04d}.h5": f"{pid} {n} ".encode() * (5 * KB) for n in range(count)}


def evict(facility: Facility, pid: str) -> None:
    """Have nothing of a dataset in staging, which nobody pins any more."""

    def evicted() -> bool:
        ask_staging(facility, "POST", "/evict", {"dataset": pid})
        return not facility.files_in_staging(pid)

    wait_until(evicted)


def retrieved_and_evicted(facility: Facility, pid: str) -> None:
    job_id = facility.ask_for(pid)
    job = facility.wait_for(job_id)
    assert job["statusCode"] == "finishedSuccessful", job["jobResultObject"]
    ask_staging(facility, "POST", "/release", {"job": job_id})
    evict(facility, pid)


def only_entry(job: dict[str, Any]) -> dict[str, Any]:
    assert job["statusCode"] == "finishedSuccessful", job["jobResultObject"]
    (entry,) = datablocks(job)
    return entry


def unpacked(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        return {each.name: (tar.extractfile(each) or io.BytesIO()).read() for each in tar}


@dataclass(frozen=True)
class Standing:
    """A facility whose datasets are on tape, but for those whose location is `share`, and what stands before the tapes."""

    facility: Facility
    library: TapeLibrary
    counting: Counting


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    root = tmp_path_factory.mktemp("extracts")
    library = TapeLibrary(LibraryShape(), clock=sped_up(60.0))
    counting = Counting(TapeRestServer(library, tokens=(TAPE_TOKEN,)).app)
    with served(counting) as url:
        recalls = {"mount_age": 0.0, "collect_time": 0.0}
        settings: dict[str, dict[str, object]] = {
            **SETTINGS,
            "lts": {
                "kind": "wlcg_tape",
                "root_path": "/",
                "url": url,
                "token": TAPE_TOKEN,
                "recalls": recalls,
            },
            "stores.share": {"root": str(root / "lts"), "locations": ["share"], "recalls": recalls},
        }
        with Facility.standing(root, settings) as facility:
            yield Standing(facility, library, counting)


@pytest.fixture
def facility(standing: Standing) -> Facility:
    """The facility, its service running."""
    standing.facility.put_right()
    return standing.facility


def test_of_an_archive_that_was_retrieved_before_little_more_than_the_chosen_file_is_read(
    facility: Facility, standing: Standing
) -> None:
    store, pid = standing.counting, facility.new_pid()
    content = content_of(pid)
    (archive_id,) = facility.archive(pid, [content])
    standing.library.store(archive_id, (facility.folder.lts / archive_id).read_bytes(), tape="VB1234")
    store.bytes = 0
    retrieved_and_evicted(facility, pid)
    whole, store.bytes = store.bytes, 0
    name = sorted(content)[6]
    entry = only_entry(facility.wait_for(ask_for_files(facility, {pid: [name]})))
    archive = download(entry["url"])
    assert unpacked(archive) == {name: content[name]}
    assert store.bytes == 512 + len(content[name]) + -len(content[name]) % 512 < whole / 9
    assert (entry["archiveId"], entry["chosen"], entry["size"]) == (archive_id, [name], len(archive))
    assert facility.lifecycle(pid)["retrieveStatusMessage"] == ""


def test_an_archive_whose_files_lie_elsewhere_by_now_is_read_whole(facility: Facility) -> None:
    pid = facility.new_pid()
    content = content_of(pid)
    (archive_id,) = facility.archive(pid, [content], lifecycle={"storageLocation": "share"})
    repacked = tar_of(dict(reversed(content.items())))
    retrieved_and_evicted(facility, pid)
    (facility.folder.lts / archive_id).write_bytes(repacked)
    name = sorted(content)[1]
    entry = only_entry(facility.wait_for(ask_for_files(facility, {pid: [name]})))
    assert download(entry["url"]) == repacked
    assert (entry["archiveId"], entry["chosen"]) == (archive_id, [name])
    assert ".part-" not in entry["name"]
