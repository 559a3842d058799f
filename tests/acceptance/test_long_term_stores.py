"""Datasets in several long-term stores, on tape behind an HTTP interface, and in two copies."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from stand_ins import local_http
from stand_ins.retrieval_page import datablocks
from stand_ins.running import TOKEN, RunningService
from stand_ins.tape.library import TapeLibrary
from stand_ins.tape.rest_server import TapeRestServer
from stand_ins.tape.serving import served
from stand_ins.tape.shape import Happening, LibraryShape, TapeEvent, sped_up
from tests.acceptance.facility import Facility, ask_for_files, quick, running, some_datablocks, wait_until

TAPE_TOKEN = "a-token-for-the-tape-system"
SPEED = 60.0
"""How much faster a tape library is than a real one."""


class Tapes:
    """A tape library that speaks Tape REST, and which of its doings are of the running test.

    Args:
        location: What the datasets in it have as `storageLocation`.
        shape: The library.
    """

    def __init__(self, location: str, shape: LibraryShape) -> None:
        self.location = location
        self._events: list[TapeEvent] = []
        self.library = TapeLibrary(shape, clock=sped_up(SPEED), on_event=self._events.append)
        self.server = TapeRestServer(self.library, tokens=(TAPE_TOKEN,))
        self._before = self.library.counts()
        self._received = 0

    def settings(self, url: str, **recalls: object) -> dict[str, object]:
        """Give the section of the store."""
        return {
            "kind": "wlcg_tape",
            "locations": [self.location],
            "url": url,
            "root_path": "/",
            "token": TAPE_TOKEN,
            "recalls": {"mount_age": 0.0, "collect_time": 0.0, **recalls},
            "tape_places": {"kind": "pattern", "pattern": r"^(?P<tape>[^/]+)/(?P<position>\d+)"},
        }

    def begin(self) -> None:
        """Count from now."""
        self._events.clear()
        self._before, self._received = self.library.counts(), len(self.server.received)

    @property
    def mounts(self) -> int:
        """How many tapes the test had mounted."""
        return self.library.counts().mounts - self._before.mounts

    @property
    def reads(self) -> int:
        """How many archives the test had read from tape."""
        return self.library.counts().reads - self._before.reads

    def order(self) -> list[str]:
        """Give the tapes from which an archive was read, in the order of the reads."""
        return [_tape(each.subject) for each in self._events if each.what is Happening.READ]

    @contextmanager
    def out_of_order(self) -> Iterator[None]:
        """Have all drives broken while the context lasts: what is asked for waits."""
        drives = range(self.library.shape.drives)
        for number in drives:
            self.library.break_drive(number)
        yield
        for number in drives:
            self.library.mend_drive(number)

    def heard_release(self) -> bool:
        """Whether the tape system was told by the test that nothing is needed any more."""
        return any("/release/" in request.path for request in self.server.received[self._received :])

    def archive(
        self, facility: Facility, pid: str, contents: list[dict[str, bytes]], mount_delay: float = 0.0
    ) -> list[str]:
        """Archive a dataset on a tape of its own, whose first mount takes so many seconds longer; gives the archiveIds."""
        archives = facility.archive(pid, contents, lifecycle={"storageLocation": self.location})
        for archive_id in archives:
            file = facility.folder.lts / archive_id
            self.library.store(archive_id, file.read_bytes(), tape=_tape(archive_id))
            file.unlink()
        self.library.delay_mount(_tape(archives[0]), mount_delay)
        return archives


def _tape(archive_id: str) -> str:
    return archive_id.partition("/")[0]


@dataclass(frozen=True)
class Standing:
    """A facility of several stores: `vault` has another copy of what `lts` has, and the rest is on tapes.

    Attributes:
        facility: The facility.
        vault: The folder of the store `vault`.
        tapes: A library with two drives.
        one_drive: A library with one.
    """

    facility: Facility
    vault: Path
    tapes: Tapes
    one_drive: Tapes


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    root = tmp_path_factory.mktemp("stores")
    vault = root / "vault"
    tapes, one_drive = Tapes("tapes", LibraryShape()), Tapes("one-drive", LibraryShape(drives=1))
    with ExitStack() as stack:
        urls = [stack.enter_context(served(each.server.app)) for each in (tapes, one_drive)]
        settings: dict[str, dict[str, object]] = {
            **quick(lts={"locations": ["disk"], "other_copy": "vault"}),
            "stores.vault": {"root": str(vault), "locations": ["vault"]},
            "stores.tapes": tapes.settings(urls[0]),
            "stores.one_drive": one_drive.settings(urls[1], drives=1),
        }
        facility = stack.enter_context(Facility.standing(root / "facility", settings))
        yield Standing(facility, vault, tapes, one_drive)


@pytest.fixture
def facility(standing: Standing) -> Facility:
    """The facility of several stores, its service running."""
    standing.facility.put_right()
    return standing.facility


@pytest.fixture
def vault(standing: Standing) -> Path:
    """The folder of the second store."""
    return standing.vault


@pytest.fixture
def tapes(standing: Standing) -> Tapes:
    """The library with two drives, which counts from now."""
    standing.tapes.begin()
    return standing.tapes


@pytest.fixture
def one_drive(standing: Standing) -> Tapes:
    """The library with one drive, which counts from now."""
    standing.one_drive.begin()
    return standing.one_drive


def damage(path: Path) -> None:
    """Change a byte in the middle of an archive's first member."""
    content = bytearray(path.read_bytes())
    content[1100] ^= 0xFF
    path.write_bytes(content)


def put_in(folder: Path, archive_id: str, content: bytes) -> None:
    """Put an archive into the folder of a store."""
    (folder / archive_id).parent.mkdir(parents=True, exist_ok=True)
    (folder / archive_id).write_bytes(content)


def test_a_dataset_is_read_from_the_store_that_its_location_names(facility: Facility, vault: Path) -> None:
    here, there = facility.new_pid(), facility.new_pid()
    facility.archive(here, some_datablocks(here, 2))
    moved = facility.archive(there, some_datablocks(there, 2), lifecycle={"storageLocation": "vault"})
    for archive_id in moved:
        put_in(vault, archive_id, (facility.folder.lts / archive_id).read_bytes())
        (facility.folder.lts / archive_id).unlink()
    job = facility.wait_for(facility.ask_for(here, there))
    assert job["statusCode"] == "finishedSuccessful"
    assert len(datablocks(job)) == 4


def test_a_location_that_no_store_names_is_an_error_that_the_operator_can_mend(facility: Facility) -> None:
    pid = facility.new_pid()
    facility.archive(pid, some_datablocks(pid, 1), lifecycle={"storageLocation": "elsewhere"})
    job = facility.wait_for(facility.ask_for(pid))
    (error,) = job["jobResultObject"]["errors"]
    assert (error["code"], error["who"]) == ("store_not_configured", "operator")
    assert "elsewhere" in error["message"]


@pytest.mark.parametrize("harm", ["damaged", "lost"])
def test_a_second_copy_is_read_where_the_first_is_no_good(facility: Facility, vault: Path, harm: str) -> None:
    pid = facility.new_pid()
    archives = facility.archive(pid, some_datablocks(pid, 3))
    originals = [(facility.folder.lts / archive_id).read_bytes() for archive_id in archives]
    put_in(vault, archives[1], originals[1])
    if harm == "damaged":
        damage(facility.folder.lts / archives[1])
    else:
        (facility.folder.lts / archives[1]).unlink()
    job = facility.wait_for(facility.ask_for(pid))
    assert job["statusCode"] == "finishedSuccessful", job["jobResultObject"]
    urls = [entry["url"] for entry in datablocks(job)]
    assert [local_http.get(url, timeout=30).content for url in urls] == originals


def test_an_archive_that_is_damaged_in_both_copies_fails_its_dataset(facility: Facility, vault: Path) -> None:
    pid = facility.new_pid()
    (archive_id,) = facility.archive(pid, some_datablocks(pid, 1))
    damage(facility.folder.lts / archive_id)
    put_in(vault, archive_id, (facility.folder.lts / archive_id).read_bytes())
    job = facility.wait_for(facility.ask_for(pid))
    assert [error["code"] for error in job["jobResultObject"]["errors"]] == ["checksum_mismatch"]


def test_datasets_on_tape_are_recalled_read_and_released(facility: Facility, tapes: Tapes) -> None:
    pids = [facility.new_pid() for _ in range(2)]
    archives = [tapes.archive(facility, pid, some_datablocks(pid, 4)) for pid in pids]
    service = running(facility)
    with tapes.out_of_order():
        job_id = facility.ask_for(*pids)
        wait_until(lambda: "tape" in waiting_words(service, job_id))
    job = facility.wait_for(job_id, 120)
    assert job["statusCode"] == "finishedSuccessful", job["jobResultObject"]
    assert len(datablocks(job)) == 8
    assert tapes.mounts == 2
    assert tapes.reads == 8
    wait_until(lambda: open_recalls(service, *itertools.chain(*archives)) == 0)
    assert tapes.heard_release()


def waiting_words(service: RunningService, job_id: str) -> str:
    """What the datablocks of a job wait for."""
    blocks = [block for dataset in service.job(job_id)["datasets"] for block in dataset["datablocks"]]
    return " ".join(block["waitingFor"] or "" for block in blocks)


def open_recalls(service: RunningService, *archives: str) -> int:
    """How many recalls of these archives are open."""
    return sum(recall["archiveId"] in archives for recall in service.recalls()["recalls"])


def test_jobs_that_ask_for_the_same_have_each_archive_read_from_tape_once(
    facility: Facility, tapes: Tapes
) -> None:
    pid = facility.new_pid()
    tapes.archive(facility, pid, some_datablocks(pid, 5))
    jobs = [facility.ask_for(pid) for _ in range(4)]
    ended = {facility.wait_for(job_id, 120)["statusCode"] for job_id in jobs}
    assert ended == {"finishedSuccessful"}
    assert tapes.reads == 5


def test_recalls_outlive_a_killed_worker(facility: Facility, tapes: Tapes) -> None:
    pid = facility.new_pid()
    tapes.archive(facility, pid, some_datablocks(pid, 5), mount_delay=240.0)
    job_id = facility.ask_for(pid)
    wait_until(lambda: tapes.mounts == 1)
    facility.part("worker").kill()
    job = facility.wait_for(job_id, 120)
    assert job["statusCode"] == "finishedSuccessful", job["jobResultObject"]
    assert tapes.reads == 5
    assert tapes.mounts == 1


def test_an_archive_that_the_tape_library_lost_is_the_operators_affair(
    facility: Facility, tapes: Tapes
) -> None:
    pid = facility.new_pid()
    archives = tapes.archive(facility, pid, some_datablocks(pid, 2))
    tapes.library.lose(archives[1])
    job = facility.wait_for(facility.ask_for(pid), 120)
    (error,) = job["jobResultObject"]["errors"]
    assert (error["code"], error["who"], error["archiveId"]) == ("archive_lost", "operator", archives[1])


def test_a_read_that_fails_on_tape_is_tried_again(facility: Facility, tapes: Tapes) -> None:
    pid = facility.new_pid()
    (archive_id,) = tapes.archive(facility, pid, some_datablocks(pid, 1))
    tapes.library.fail(archive_id, times=1, error="medium error")
    job = facility.wait_for(facility.ask_for(pid), 120)
    assert job["statusCode"] == "finishedSuccessful", job["jobResultObject"]


def test_a_job_with_priority_goes_first_to_tape(facility: Facility, one_drive: Tapes) -> None:
    pids = [facility.new_pid() for _ in range(4)]
    for pid in pids:
        one_drive.archive(facility, pid, some_datablocks(pid, 1))
    service = running(facility)
    with one_drive.out_of_order():
        first = facility.ask_for(*pids[:3])
        wait_until(lambda: one_drive.library.counts().waiting == 1)
        urgent = facility.ask_for(pids[3])
        wait_until(lambda: "tape" in waiting_words(service, urgent))
        answer = local_http.put(
            f"{service.folder.url}/api/v1/jobs/{urgent}/priority",
            json={"priority": 10},
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
    ended = [facility.wait_for(job_id, 120)["statusCode"] for job_id in (urgent, first)]
    assert ended == ["finishedSuccessful"] * 2
    # The first had been asked for already; two wait for it.
    assert one_drive.order().index(pids[3].rpartition("/")[2]) == 1


def test_of_chosen_files_only_the_datablocks_that_hold_them_are_read_from_tape(
    facility: Facility, tapes: Tapes
) -> None:
    pid = facility.new_pid()
    contents = some_datablocks(pid, 5)
    archives = tapes.archive(facility, pid, contents)
    chosen = [next(iter(contents[1])), next(iter(contents[3]))]
    job = facility.wait_for(ask_for_files(facility, {pid: chosen}), 120)
    assert job["statusCode"] == "finishedSuccessful", job["jobResultObject"]
    entries = datablocks(job)
    assert [entry["archiveId"] for entry in entries] == [archives[1], archives[3]]
    assert tapes.reads == 2
    whole = facility.wait_for(facility.ask_for(pid), 120)
    assert whole["statusCode"] == "finishedSuccessful", whole["jobResultObject"]
    assert len(datablocks(whole)) == 5
    assert tapes.reads == 5


def test_a_job_that_needs_more_of_a_dataset_than_is_on_its_way_gets_it(
    facility: Facility, tapes: Tapes
) -> None:
    pid = facility.new_pid()
    contents = some_datablocks(pid, 4)
    tapes.archive(facility, pid, contents)
    service = running(facility)
    with tapes.out_of_order():
        some = ask_for_files(facility, {pid: [next(iter(contents[0]))]})
        wait_until(lambda: "tape" in waiting_words(service, some))
        other = ask_for_files(facility, {pid: [next(iter(contents[2]))]})
        whole = facility.ask_for(pid)
    ended = [facility.wait_for(job_id, 120) for job_id in (some, other, whole)]
    assert {job["statusCode"] for job in ended} == {"finishedSuccessful"}, ended
    assert [len(datablocks(job)) for job in ended] == [1, 1, 4]
    assert tapes.reads == 4


def test_a_file_that_a_dataset_does_not_have_is_named_and_the_others_are_delivered(
    facility: Facility,
) -> None:
    pid = facility.new_pid()
    contents = some_datablocks(pid, 2)
    archives = facility.archive(pid, contents)
    chosen = [next(iter(contents[1])), "no/such/file.h5"]
    job = facility.wait_for(ask_for_files(facility, {pid: chosen}))
    assert job["statusCode"] == "finishedWithDatasetErrors"
    assert [entry["archiveId"] for entry in datablocks(job)] == [archives[1]]
    (error,) = job["jobResultObject"]["errors"]
    assert (error["code"], error["who"]) == ("files_unknown", "operator")
    assert "no/such/file.h5" in error["message"]
