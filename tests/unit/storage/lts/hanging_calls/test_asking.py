"""Asking about several archives at once: what one of them is answered, and what says something of the whole store."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from scicat_retriever.domain.errors import RecallError, StoreTimedOut, StoreUnavailable
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.storage.lts.hanging_calls.asking import ask_of_each
from scicat_retriever.storage.lts.hanging_calls.daemon_pool import DaemonPool
from tests.contracts.test_long_term_store import wait_for
from tests.unit.storage.machine_troubles import no_thread_can_be_started

BAD, WORSE, GOOD = (ArchiveId(each) for each in ("bad", "worse", "good"))


class Disks:
    """Answers, but for archives on a disk that hangs; and counts how often it was asked about each."""

    def __init__(self) -> None:
        self.pool = DaemonPool("test", 3)
        self.hanging = {BAD, WORSE}
        self.failing: dict[ArchiveId, RecallError] = {}
        self.asked: list[ArchiveId] = []
        self.well = threading.Event()

    def look(self, archive_id: ArchiveId) -> str | RecallError:
        self.asked.append(archive_id)
        if archive_id in self.hanging:
            self.well.wait(60)
        return self.failing.get(archive_id, "there")

    def ask(self, *archive_ids: ArchiveId, timeout: float = 2) -> dict[ArchiveId, str | RecallError]:
        return ask_of_each(self.pool, archive_ids, self.look, timeout, lambda hung: StoreTimedOut(str(hung)))


@pytest.fixture
def disks() -> Iterator[Disks]:
    disks = Disks()
    yield disks
    disks.well.set()


def test_an_archive_that_hangs_is_asked_about_once_and_alone_in_its_trouble(disks: Disks) -> None:
    for _ in range(5):
        assert disks.ask(GOOD, BAD)[GOOD] == "there"
        assert isinstance(disks.ask(BAD)[BAD], StoreTimedOut)
    assert disks.asked.count(BAD) == 1


def test_several_that_hang_silence_no_store_that_answers_others(disks: Disks) -> None:
    disks.ask(GOOD, BAD, WORSE)
    assert {type(each) for each in disks.ask(BAD, WORSE).values()} == {StoreTimedOut}


def test_an_archive_that_hangs_where_nothing_was_answered_since_is_the_store_s_trouble(disks: Disks) -> None:
    disks.ask(GOOD)
    with pytest.raises(StoreTimedOut):
        disks.ask(BAD)
    with pytest.raises(StoreTimedOut, match="still no answer"):
        disks.ask(BAD)


def test_a_store_that_stops_to_answer_is_told_though_one_archive_hung_before(disks: Disks) -> None:
    disks.ask(GOOD, BAD)
    disks.hanging.add(GOOD)
    with pytest.raises(StoreTimedOut):
        disks.ask(GOOD, BAD)


def test_a_question_that_is_itself_out_of_time_is_no_answer(disks: Disks) -> None:
    disks.failing[GOOD] = StoreTimedOut("the command was killed")
    for _ in range(2):
        with pytest.raises(StoreTimedOut, match="killed"):
            disks.ask(GOOD)


def test_other_troubles_of_all_of_several_are_the_store_s_though_another_archive_hangs(disks: Disks) -> None:
    disks.ask(GOOD, BAD)
    disks.failing = dict.fromkeys((GOOD, ArchiveId("other")), StoreUnavailable("no licence"))
    with pytest.raises(StoreUnavailable, match="no licence"):
        disks.ask(GOOD, ArchiveId("other"), BAD)


def test_an_archive_whose_disk_is_well_again_is_asked_about_again(disks: Disks) -> None:
    disks.ask(GOOD, BAD)
    disks.well.set()
    disks.hanging.clear()
    wait_for(lambda: disks.ask(BAD) == {BAD: "there"})


def test_where_no_thread_can_be_started_the_store_counts_as_silent(disks: Disks) -> None:
    with no_thread_can_be_started(), pytest.raises(StoreTimedOut, match="no thread can be started"):
        disks.ask(GOOD)
    assert disks.ask(GOOD) == {GOOD: "there"}
