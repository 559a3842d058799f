from datetime import timedelta

from scicat_retriever.domain import errors
from scicat_retriever.pipeline import recall
from scicat_retriever.pipeline.recall import News
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.recalls import RecallChange, RecallPhase
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


def news(rig: Rig, *taken: DatablockRecord) -> News:
    return recall.news(PID, {each.key.id for each in taken}, APPEAR, RECALLED, rig.tools)


def test_while_nothing_comes_there_is_no_news_but_how_long_it_may_take() -> None:
    rig, _ = waiting()
    rig.clock.advance(timedelta(hours=47))
    assert news(rig) == News([], [], timedelta(hours=1))


def test_what_was_seen_online_is_news_and_what_is_copied_already_is_not() -> None:
    rig, (first, second, _) = waiting(3)
    rig.ledger.change_recalls([RecallChange(each.key, RecallPhase.ONLINE) for each in (first, second)])
    assert [each.key for each in news(rig, first).ready] == [second.key]


def test_what_the_store_gave_up_is_news() -> None:
    rig, (record,) = waiting()
    rig.ledger.change_recalls([RecallChange(record.key, RecallPhase.ENDED)])
    assert [each.key for each in news(rig).ready] == [record.key]


def test_a_recall_that_takes_too_long_is_given_up_with_what_it_waits_for() -> None:
    rig, (record,) = waiting()
    rig.ledger.change_recalls([RecallChange(record.key, reason="waiting for tape VB1234")])
    rig.clock.advance(RECALLED)
    ((failed, error),) = news(rig).failed
    assert (failed.key, type(error), str(error)) == (
        record.key,
        errors.RecallTimedOut,
        "gave up: waiting for tape VB1234",
    )


def test_an_archive_that_is_missing_is_given_up_sooner_than_a_recall() -> None:
    rig, (record,) = waiting()
    rig.store.lose(record.datablock.archive_id)
    rig.ledger.change_recalls([RecallChange(record.key, is_missing=True)])
    rig.clock.advance(APPEAR - timedelta(seconds=1))
    assert news(rig) == News([], [], timedelta(seconds=1))
    rig.clock.advance(timedelta(seconds=1))
    ((_, error),) = news(rig).failed
    assert isinstance(error, errors.DatablockMissing)
