from datetime import timedelta

from scicat_retriever.domain import errors
from scicat_retriever.domain.states import DatablockState, RecallPhase
from scicat_retriever.pipeline.recalls import recall
from scicat_retriever.pipeline.recalls.recall import News
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.recalls import RecallChange
from tests.unit.pipeline.rig import FILES, PID, Rig, tar

APPEAR, RECALLED = timedelta(minutes=10), timedelta(days=2)


def waiting(count: int = 1) -> tuple[Rig, list[DatablockRecord]]:
    """Have a dataset wait for its archives from tape."""
    rig = Rig()
    blocks = [rig.archive(number) for number in range(count)]
    for block in blocks:
        rig.store.put(block.datablock.archive_id, tar(FILES), on_tape=True)
    records = rig.plan(*blocks)
    recall.prepare(records, rig.tools)
    return rig, [rig.record(record.key) for record in records]


def news(rig: Rig, *awaited: DatablockRecord) -> News:
    records = awaited or rig.ledger.datablocks.of(PID)
    return recall.news(PID, {each.key.id for each in records}, APPEAR, RECALLED, rig.tools)


def ask(rig: Rig) -> None:
    """Have the store be asked for all of them."""
    rig.ledger.recalls.change([each.change(RecallPhase.ASKED) for each in rig.ledger.recalls.of_store("lts")])


def test_while_nothing_comes_there_is_no_news_but_how_long_it_may_take() -> None:
    rig, _ = waiting()
    ask(rig)
    rig.clock.advance(timedelta(hours=47))
    assert news(rig) == News([], [], timedelta(hours=1))


def test_what_waits_for_its_turn_is_not_given_up_and_has_its_whole_time_once_it_is_asked_for() -> None:
    rig, _ = waiting()
    rig.clock.advance(5 * RECALLED)
    assert news(rig) == News([], [], APPEAR)
    ask(rig)
    assert news(rig) == News([], [], RECALLED)


def test_what_waits_for_a_store_that_is_away_is_given_up() -> None:
    rig, (record,) = waiting()
    rig.store.go_away("no route to host")
    rig.ledger.recalls.change([RecallChange(record.key, reason="no route to host")])
    rig.clock.advance(RECALLED)
    assert news(rig) == News([], [], APPEAR)
    rig.clock.advance(APPEAR)
    ((_, error),) = news(rig).failed
    assert (type(error), str(error)) == (errors.RecallTimedOut, "gave up: no route to host")


def test_what_waits_for_its_turn_is_not_given_up_since_its_store_is_away_for_a_moment() -> None:
    rig, _ = waiting()
    rig.clock.advance(RECALLED)
    for _ in range(3):
        rig.store.go_away("no route to host")
        assert news(rig) == News([], [], APPEAR)
        rig.store.come_back()
        rig.clock.advance(APPEAR)
        assert news(rig) == News([], [], APPEAR)


def test_what_fails_on_tape_again_and_again_is_given_up_in_the_end() -> None:
    rig, (record,) = waiting()
    for _ in range(4):
        ask(rig)
        rig.clock.advance(RECALLED / 4)
        rig.ledger.recalls.change([RecallChange(record.key, RecallPhase.WAITING, reason="read error")])
    ((_, error),) = news(rig).failed
    assert (type(error), str(error)) == (errors.RecallTimedOut, "gave up: read error")


def test_a_later_run_has_its_own_time() -> None:
    rig, (record,) = waiting()
    ask(rig)
    rig.clock.advance(RECALLED)
    rig.plan_again("run-2")
    rig.ledger.recalls.want([record.key])
    assert news(rig) == News([], [], RECALLED)


def test_what_was_seen_online_is_news_for_whoever_waits_for_it() -> None:
    rig, (first, second, third) = waiting(3)
    rig.ledger.recalls.change([RecallChange(each.key, RecallPhase.ONLINE) for each in (first, second)])
    assert [each.key for each in news(rig, second, third).ready] == [second.key]
    assert news(rig, third).ready == []


def test_what_the_store_lost_has_failed() -> None:
    rig, (record,) = waiting()
    rig.store.lose_for_good(record.datablock.archive_id)
    rig.ledger.recalls.change([RecallChange(record.key, RecallPhase.ENDED)])
    ((failed, error),) = news(rig).failed
    assert (failed.key, type(error)) == (record.key, errors.ArchiveLost)


def test_what_the_store_refuses_to_recall_has_failed_in_its_words() -> None:
    rig, (record,) = waiting()
    rig.ledger.recalls.change(
        [RecallChange(record.key, RecallPhase.ENDED, reason="its name has a line break")]
    )
    ((_, error),) = news(rig).failed
    assert (type(error), str(error)) == (errors.RecallRefused, "its name has a line break")


def test_what_was_given_up_and_is_there_at_the_last_look_is_ready() -> None:
    rig, (first, second) = waiting(2)
    rig.ledger.recalls.change([RecallChange(first.key, is_missing=True)])
    ask(rig)
    rig.store.deliver(first.datablock.archive_id)
    rig.clock.advance(APPEAR)
    assert [each.key for each in news(rig).ready] == [first.key]
    rig.store.deliver(second.datablock.archive_id)
    rig.clock.advance(RECALLED)
    assert second.key in [each.key for each in news(rig).ready]


def test_a_recall_that_takes_too_long_is_given_up_with_what_it_waits_for() -> None:
    rig, (record,) = waiting()
    ask(rig)
    rig.ledger.recalls.change([RecallChange(record.key, reason="waiting for tape VB1234")])
    rig.clock.advance(RECALLED)
    ((failed, error),) = news(rig).failed
    assert (failed.key, type(error), str(error)) == (
        record.key,
        errors.RecallTimedOut,
        "gave up: waiting for tape VB1234",
    )


def test_a_recall_that_is_given_up_says_what_its_store_says_at_the_end() -> None:
    rig, (record,) = waiting()
    ask(rig)
    rig.store.fail_recall(record.datablock.archive_id, "the drive is broken")
    rig.ledger.recalls.change([RecallChange(record.key, reason="asked of the store")])
    rig.clock.advance(RECALLED)
    ((_, error),) = news(rig).failed
    assert str(error) == "gave up: asked of the store; its store says: its recall failed: the drive is broken"


def test_an_archive_that_is_missing_is_given_up_sooner_than_a_recall() -> None:
    rig, (record,) = waiting()
    rig.store.lose(record.datablock.archive_id)
    rig.ledger.recalls.change([RecallChange(record.key, is_missing=True)])
    rig.clock.advance(APPEAR - timedelta(seconds=1))
    assert news(rig) == News([], [], timedelta(seconds=1))
    rig.clock.advance(timedelta(seconds=1))
    ((_, error),) = news(rig).failed
    assert isinstance(error, errors.DatablockMissing)


def test_an_archive_that_was_missing_and_is_on_tape_by_now_is_waited_for() -> None:
    rig, (record,) = waiting()
    rig.ledger.recalls.change([RecallChange(record.key, is_missing=True, reason="there is no such archive")])
    rig.clock.advance(APPEAR)
    assert news(rig) == News([], [], APPEAR)
    assert [each.missing_since for each in rig.ledger.recalls.of_store("lts")] == [None]


def test_an_archive_that_was_missing_before_its_store_went_away_is_waited_for() -> None:
    rig, (record,) = waiting()
    rig.ledger.recalls.change([RecallChange(record.key, is_missing=True)])
    rig.store.go_away()
    rig.clock.advance(APPEAR)
    assert news(rig) == News([], [], APPEAR)


def test_a_store_is_asked_once_about_all_that_is_to_be_given_up() -> None:
    rig, _ = waiting(50)
    ask(rig)
    rig.store.go_away()
    rig.clock.advance(RECALLED)
    looks = rig.store.looks
    assert len(news(rig).failed) == 50
    assert rig.store.looks == looks + 1


def test_what_is_awaited_and_nobody_asks_for_is_left_to_its_copy() -> None:
    rig, (record,) = waiting()
    rig.ledger.datablocks.move(record.key, DatablockState.FAILED)
    rig.ledger.recalls.forget(rig.ledger.recalls.of_store("lts"))
    assert [each.key for each in news(rig).ready] == [record.key]
