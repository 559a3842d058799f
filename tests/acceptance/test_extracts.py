"""Single files out of large archives, where it is known from an earlier retrieval where they lie."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import httpx2
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stand_ins.running import TOKEN, RunningService
from stand_ins.tape.library import TapeLibrary
from stand_ins.tape.rest_server import TapeRestServer
from stand_ins.tape.serving import served
from stand_ins.tape.shape import LibraryShape, sped_up
from tests.acceptance.conftest import MakeFacility
from tests.acceptance.facility import Facility, ask_for_files, download, quick, tar_of, wait_until

TAPE_TOKEN = "a-token-for-the-tape-system"
KB = 1000
SHORT_LIVED = quick(
    links={"lifetime": 5.0, "retention": 5.5},
    cache={"sweep_interval": 1.0, "spared": 0.1},
)
"""Settings under which what was retrieved may be evicted soon after."""


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
    """Have nothing of a dataset in staging, once nobody pins it any more."""

    def evicted() -> bool:
        url = f"{facility.folder.url}/api/v1/staging/evict"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        httpx2.post(url, json={"dataset": pid}, headers=headers, timeout=30, trust_env=False)
        return not facility.files_in_staging(pid)

    wait_until(evicted)


def retrieved_and_evicted(facility: Facility, pid: str) -> None:
    job = facility.wait_for(facility.ask_for(pid))
    assert job["statusCode"] == "finishedSuccessful", job["jobResultObject"]
    evict(facility, pid)


def only_entry(job: dict[str, Any]) -> dict[str, Any]:
    assert job["statusCode"] == "finishedSuccessful", job["jobResultObject"]
    (entry,) = job["jobResultObject"]["result"]
    found: dict[str, Any] = entry
    return found


def unpacked(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        return {each.name: (tar.extractfile(each) or io.BytesIO()).read() for each in tar}


def test_of_an_archive_that_was_retrieved_before_little_more_than_the_chosen_file_is_read(
    make_facility: MakeFacility,
) -> None:
    library = TapeLibrary(LibraryShape(), clock=sped_up(60.0))
    store = Counting(TapeRestServer(library, tokens=(TAPE_TOKEN,)).app)
    with served(store) as url:
        recalls = {"mount_age": 0.0, "collect_time": 0.0}
        lts = {"kind": "wlcg_tape", "root_path": "/", "url": url, "token": TAPE_TOKEN, "recalls": recalls}
        facility = make_facility(**{**SHORT_LIVED, "lts": lts})
        pid = facility.new_pid()
        content = content_of(pid)
        (archive_id,) = facility.archive(pid, [content])
        file = facility.folder.lts / archive_id
        library.store(archive_id, file.read_bytes(), tape="VB1234")
        with RunningService(facility.folder) as service:
            facility.service = service
            retrieved_and_evicted(facility, pid)
            whole, store.bytes = store.bytes, 0
            name = sorted(content)[6]
            entry = only_entry(facility.wait_for(ask_for_files(facility, {pid: [name]})))
            archive = download(entry["url"])
    assert unpacked(archive) == {name: content[name]}
    assert store.bytes == 512 + len(content[name]) + -len(content[name]) % 512 < whole / 9
    assert (entry["archiveId"], entry["chosen"], entry["size"]) == (archive_id, [name], len(archive))
    assert facility.lifecycle(pid)["retrieveStatusMessage"] == ""


def test_an_archive_whose_files_lie_elsewhere_by_now_is_read_whole(make_facility: MakeFacility) -> None:
    facility = make_facility(**SHORT_LIVED)
    pid = facility.new_pid()
    content = content_of(pid)
    (archive_id,) = facility.archive(pid, [content])
    repacked = tar_of(dict(reversed(content.items())))
    with RunningService(facility.folder) as service:
        facility.service = service
        retrieved_and_evicted(facility, pid)
        (facility.folder.lts / archive_id).write_bytes(repacked)
        name = sorted(content)[1]
        entry = only_entry(facility.wait_for(ask_for_files(facility, {pid: [name]})))
        assert download(entry["url"]) == repacked
    assert (entry["name"], entry["chosen"]) == (archive_id, [name])
