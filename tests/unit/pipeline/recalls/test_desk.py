from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from scicat_retriever.domain.errors import EngineUnavailable, StoreUnavailable
from scicat_retriever.domain.ids import ArchiveId, DatasetPid
from scicat_retriever.domain.states import DatablockState, RecallPhase
from scicat_retriever.pipeline.recalls import recall
from scicat_retriever.pipeline.recalls.desk import (
    IDLE_SECONDS,
    LOOKUPS,
    RecallDesk,
)
from scicat_retriever.pipeline.recalls.lead import LEASE
from scicat_retriever.pipeline.recalls.let_go import LET_GO_ATTEMPTS
from scicat_retriever.pipeline.recalls.watch import DeskPace
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.long_term_store import AskedArchive, TapePosition
from scicat_retriever.ports.recalls import RecallRecord
from scicat_retriever.recall_planner.planner import Decision, RecallPlanner
from scicat_retriever.recall_planner.requests import RecallPolicy, RecallRequest
from tests.fakes.long_term_store import InMemoryLongTermStore
from tests.unit.pipeline.rig import FILES, PID, Rig, tar

PACE = DeskPace()
POLICY = RecallPolicy(mount_age=600.0, collect_time=0.0)


@dataclass
class DeskRig(Rig):
    """A rig with a desk, and a list of whom it told."""

    policy_of_store: RecallPolicy = POLICY
    told: list[DatasetPid] = field(default_factory=list)
    engine_is_down: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.desk = self.another_desk("this")

    def another_desk(self, holder: str) -> RecallDesk:
        planner = RecallPlanner(self.policy_of_store)
        return RecallDesk("lts", holder, planner, self.tools, self._tell, PACE)

    def _tell(self, pid: DatasetPid) -> None:
        if self.engine_is_down:
            raise EngineUnavailable("down")
        self.told.append(pid)

    def wanted(self, count: int = 1, tape: str = "") -> list[DatablockRecord]:
        """Have archives on tape wanted."""
        blocks = [self.archive(number) for number in range(count)]
        for number, block in enumerate(blocks):
            self.store.put(block.datablock.archive_id, tar(FILES), on_tape=True)
            if tape:
                self.store.place(block.datablock.archive_id, tape, number)
        records = self.plan(*blocks)
        recall.prepare(records, self.tools)
        return records

    def wanted_twice(self) -> list[DatablockRecord]:
        """Have the archive `same.tar`, which is on tape, wanted by two datablocks."""
        records = self.plan(*(self.archive(number, archive_id="same.tar") for number in range(2)))
        self.store.put("same.tar", tar(FILES), on_tape=True)
        recall.prepare(records, self.tools)
        return records

    def turns(self, count: int = 1, every: float = 1.0) -> None:
        for _ in range(count):
            self.desk.turn()
            self.clock.advance(timedelta(seconds=every))

    def open_recalls(self) -> Sequence[RecallRecord]:
        return self.ledger.recalls.of_store("lts")

    def phases(self) -> list[RecallPhase]:
        return [each.phase for each in self.open_recalls()]


def test_a_desk_without_anything_to_do_looks_again_later() -> None:
    assert DeskRig().desk.turn() == IDLE_SECONDS


def test_what_is_wanted_is_asked_for_and_noted() -> None:
    rig = DeskRig()
    (record,) = rig.wanted()
    rig.turns()
    (asked,) = rig.open_recalls()
    assert rig.store.requested == [record.datablock.archive_id]
    assert (asked.phase, asked.request, asked.asked_at is not None) == (RecallPhase.ASKED, "recall-1", True)


def test_what_came_back_is_noted_and_its_flow_told() -> None:
    rig = DeskRig()
    (record,) = rig.wanted()
    rig.turns()
    rig.store.deliver(record.datablock.archive_id)
    rig.turns(2)
    assert (rig.phases(), rig.told) == ([RecallPhase.ONLINE], [PID])


def test_what_nobody_wants_any_more_is_released_in_the_store_and_forgotten() -> None:
    rig = DeskRig()
    (record,) = rig.wanted()
    rig.turns()
    rig.ledger.datablocks.move(record.key, DatablockState.FAILED)
    rig.turns()
    assert (rig.open_recalls(), rig.store.released) == ([], [record.datablock.archive_id])


def test_an_archive_is_not_released_while_another_datablock_or_part_of_it_is_wanted() -> None:
    rig = DeskRig()
    records = rig.wanted_twice()
    rig.turns()
    rig.ledger.datablocks.move(records[0].key, DatablockState.FAILED)
    rig.turns()
    assert (len(rig.open_recalls()), rig.store.released) == (1, [])
    rig.ledger.datablocks.move(records[1].key, DatablockState.FAILED)
    rig.turns()
    assert (rig.open_recalls(), rig.store.released) == ([], ["same.tar"])


def test_what_the_store_was_never_asked_for_is_forgotten_without_a_word() -> None:
    rig = DeskRig()
    (record,) = rig.wanted(tape="VB1")
    rig.turns()
    assert rig.phases() == [RecallPhase.WAITING]
    rig.ledger.datablocks.move(record.key, DatablockState.FAILED)
    rig.turns()
    assert (rig.open_recalls(), rig.store.released) == ([], [])


def test_tapes_are_learned_from_the_store_and_mounts_are_waited_for() -> None:
    rig = DeskRig()
    rig.wanted(2, tape="VB1")
    rig.turns()
    assert [each.tape for each in rig.open_recalls()] == [TapePosition("VB1", 0), TapePosition("VB1", 1)]
    assert rig.store.requested == []
    rig.clock.advance(timedelta(seconds=600))
    rig.turns()
    assert len(rig.store.requested) == 2


def test_what_a_recall_waits_for_is_written_down_for_the_person_who_waits() -> None:
    rig = DeskRig()
    (record,) = rig.wanted(tape="VB1")
    rig.turns()
    assert "VB1" in rig.record(record.key).reason
    assert rig.open_recalls()[0].reason == rig.record(record.key).reason


def test_a_recall_that_failed_is_asked_for_again_after_a_pause_and_says_why() -> None:
    rig = DeskRig()
    (record,) = rig.wanted()
    rig.turns(2)
    rig.store.fail_recall(record.datablock.archive_id, "drive broken")
    rig.turns(2)
    assert "drive broken" in rig.record(record.key).reason
    assert rig.phases() == [RecallPhase.WAITING]
    rig.turns(4)
    assert (rig.phases(), len(rig.store.requested)) == ([RecallPhase.ASKED], 2)


def test_a_missing_archive_is_noted_at_once_and_not_asked_for() -> None:
    rig = DeskRig()
    (record,) = rig.wanted()
    rig.store.lose(record.datablock.archive_id)
    rig.turns()
    (missing,) = rig.open_recalls()
    assert (missing.missing_since is not None, rig.store.requested, rig.told) == (True, [], [PID])
    assert "has no p-0.tar" in missing.reason


def test_an_archive_that_appears_late_is_there() -> None:
    rig = DeskRig()
    (record,) = rig.wanted()
    rig.store.lose(record.datablock.archive_id)
    rig.turns()
    rig.store.put(record.datablock.archive_id, tar(FILES))
    rig.turns(4)
    assert rig.phases() == [RecallPhase.ONLINE]


def test_an_archive_of_another_size_counts_as_missing() -> None:
    rig = DeskRig()
    (record,) = rig.wanted()
    rig.store.put(record.datablock.archive_id, b"short")
    rig.turns()
    (incomplete,) = rig.open_recalls()
    assert incomplete.missing_since is not None
    assert "in the catalogue" in incomplete.reason


def test_an_archive_that_the_store_lost_has_ended_and_its_flow_hears_of_it() -> None:
    rig = DeskRig()
    (record,) = rig.wanted()
    rig.turns()
    rig.store.lose_for_good(record.datablock.archive_id)
    rig.turns(2)
    assert (rig.phases(), rig.told) == ([RecallPhase.ENDED], [PID])


def test_a_store_that_does_not_answer_is_left_alone_and_all_that_waits_says_so() -> None:
    rig = DeskRig()
    (record,) = rig.wanted()
    rig.store.go_away("the tape library is down")
    rig.turns(30)
    assert rig.record(record.key).reason == "the tape library is down"
    rig.store.come_back()
    rig.turns(130)
    assert rig.phases() == [RecallPhase.ASKED]


def test_one_desk_at_a_time_asks_and_another_goes_on_when_it_dies() -> None:
    rig = DeskRig()
    other = rig.another_desk("other")
    rig.wanted(tape="VB1")
    rig.turns()
    rig.clock.advance(timedelta(seconds=-1))
    assert other.turn() < LEASE.total_seconds()
    rig.clock.advance(timedelta(seconds=601))
    other.turn()
    assert rig.phases() == [RecallPhase.ASKED]


def test_a_desk_goes_on_from_the_ledger_after_a_crash() -> None:
    rig = DeskRig()
    (record,) = rig.wanted()
    rig.turns()
    rig.store.deliver(record.datablock.archive_id)
    rig.clock.advance(LEASE * 2)
    rig.another_desk("next").turn()
    assert (rig.phases(), rig.store.requested) == ([RecallPhase.ONLINE], [record.datablock.archive_id])


def test_a_flow_that_was_not_told_is_told_later() -> None:
    rig = DeskRig()
    (record,) = rig.wanted()
    rig.engine_is_down = True
    rig.turns()
    rig.store.deliver(record.datablock.archive_id)
    rig.turns(2)
    rig.engine_is_down = False
    rig.turns(60)
    assert rig.told == [PID]


def test_an_archive_that_two_datablocks_name_is_asked_for_once() -> None:
    rig = DeskRig()
    first = rig.archive(0, archive_id="shared.tar")
    second = rig.archive(1, archive_id="shared.tar")
    rig.store.put("shared.tar", tar(FILES), on_tape=True)
    recall.prepare(rig.plan(first, second), rig.tools)
    rig.turns()
    assert (rig.store.requested, rig.phases()) == (["shared.tar"], [RecallPhase.ASKED] * 2)


def test_a_store_is_asked_for_no_more_than_it_takes_at_once() -> None:
    rig = DeskRig()
    rig.store.capabilities = replace(rig.store.capabilities, batch=3)
    rig.wanted(10)
    rig.turns()
    assert len(rig.store.requested) == 10


class MuteStore(InMemoryLongTermStore):
    """A store that cannot be told of releases, or asked for tape positions."""

    mute_releases = mute_places = False
    release_attempts = 0

    def let_go(self, archives: Sequence[AskedArchive]) -> None:
        self.release_attempts += 1
        if self.mute_releases:
            raise StoreUnavailable("no releases today")
        super().let_go(archives)

    def tape_positions(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, TapePosition]:
        if self.mute_places:
            raise StoreUnavailable("nobody knows")
        return super().tape_positions(archive_ids)


def test_a_release_that_fails_does_not_keep_others_from_being_asked_for() -> None:
    rig = DeskRig(store=(store := MuteStore()))
    first, second = rig.wanted(2)
    rig.turns()
    store.mute_releases = True
    rig.ledger.datablocks.move(first.key, DatablockState.FAILED)
    store.deliver(second.datablock.archive_id)
    rig.turns(3)
    assert sorted(rig.phases()) == [RecallPhase.ASKED, RecallPhase.ONLINE]
    store.mute_releases = False
    rig.turns(5)
    assert (rig.phases(), store.released) == ([RecallPhase.ONLINE], [first.datablock.archive_id])


def test_a_release_that_fails_for_ever_is_given_up() -> None:
    rig = DeskRig(store=(store := MuteStore()))
    (record,) = rig.wanted()
    rig.turns()
    store.mute_releases = True
    rig.ledger.datablocks.move(record.key, DatablockState.FAILED)
    rig.turns(LET_GO_ATTEMPTS, every=PACE.look_maximum)
    assert rig.open_recalls() == []


def test_archives_whose_tapes_cannot_be_told_are_asked_for_all_the_same() -> None:
    rig = DeskRig(store=(store := MuteStore()))
    store.mute_places = True
    rig.wanted(2, tape="VB1")
    rig.turns(LOOKUPS + 1)
    assert len(store.requested) == 2


def test_a_tape_that_is_told_late_is_known() -> None:
    rig = DeskRig(store=(store := MuteStore()))
    store.mute_places = True
    rig.wanted(tape="VB1")
    rig.turns(LOOKUPS - 1)
    store.mute_places = False
    rig.turns()
    assert [each.tape for each in rig.open_recalls()] == [TapePosition("VB1", 0)]


def test_two_datablocks_of_an_archive_whose_tape_cannot_be_told_are_asked_for_all_the_same() -> None:
    rig = DeskRig(store=(store := MuteStore()))
    store.mute_places = True
    rig.wanted_twice()
    rig.turns(LOOKUPS + 1)
    assert store.requested == ["same.tar"]


def test_a_store_that_cannot_be_told_of_releases_is_not_told_of_more_in_that_turn() -> None:
    rig = DeskRig(store=(store := MuteStore()))
    store.capabilities = replace(store.capabilities, batch=2)
    records = rig.wanted(10)
    rig.turns()
    store.mute_releases = True
    for record in records:
        rig.ledger.datablocks.move(record.key, DatablockState.FAILED)
    rig.turns()
    assert store.release_attempts == 1


def test_an_archive_is_as_urgent_as_the_most_urgent_that_wants_it() -> None:
    rig = DeskRig()
    rig.wanted_twice()
    seen: list[int] = []

    class Watched(RecallPlanner):
        def decide(self, requests: Iterable[RecallRequest], now: float) -> Decision:
            given = list(requests)
            seen.append(len(given))
            return super().decide(given, now)

    desk = RecallDesk("lts", "this", Watched(POLICY), rig.tools, rig._tell, PACE)
    desk.turn()
    assert seen == [2]


def test_of_two_datablocks_of_an_archive_neither_is_told_that_the_store_forgot_it() -> None:
    rig = DeskRig()
    rig.wanted_twice()
    rig.turns()
    rig.store.fail_recall("same.tar", "it has not begun")
    rig.turns()
    assert rig.phases() == [RecallPhase.ASKED, RecallPhase.ASKED]


def test_where_the_clock_was_put_back_what_came_is_seen_all_the_same() -> None:
    rig = DeskRig()
    (record,) = rig.wanted()
    rig.turns(2)
    rig.clock.advance(timedelta(hours=-6))
    rig.store.deliver(record.datablock.archive_id)
    rig.turns(2)
    assert rig.phases() == [RecallPhase.ONLINE]


def test_a_flow_is_told_at_once_that_its_archive_is_refused() -> None:
    rig = DeskRig()
    records = rig.plan(rig.archive(archive_id="a/../b.tar"))
    rig.ledger.recalls.want([record.key for record in records])
    rig.turns()
    assert (rig.phases(), rig.told) == ([RecallPhase.ENDED], [PID])


def test_what_is_expected_in_thousands_of_years_is_asked_for_like_anything_else() -> None:
    rig = DeskRig(policy_of_store=replace(POLICY, collect_time=0.0, bytes_per_second=1e-9))
    rig.wanted()
    rig.turns()
    (asked,) = rig.open_recalls()
    assert (asked.phase, asked.expected_at) == (RecallPhase.ASKED, None)
