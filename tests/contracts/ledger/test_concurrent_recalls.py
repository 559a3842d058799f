"""What every ledger promises to flows and planners that deal with recalls at once."""

from __future__ import annotations

from functools import partial

from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState, RecallPhase
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.recalls import RecallChange
from tests.contracts.ledger.other_process import in_processes, in_threads, now
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import HOUR, P, Q, entries, key

COUNT = 20


def lead(url: str, process: int) -> bool:
    ledger = SqlLedger.at(url, now)
    try:
        return ledger.recalls.lead("lts", f"planner {process}", HOUR)
    finally:
        ledger.close()


def test_of_many_planners_at_once_one_leads(ledger: Ledger) -> None:
    for store in ("lts", "mirror", "third"):
        led = in_threads(8, lambda thread: ledger.recalls.lead(store, f"planner {thread}", HOUR))  # noqa: B023 - called at once
        assert led.count(True) == 1


def test_of_planners_in_several_processes_one_leads(url: str, sql_ledger: SqlLedger) -> None:
    assert in_processes(4, lead, url).count(True) == 1


def test_what_is_wanted_by_many_at_once_is_opened_once(rig: Rig) -> None:
    ledger = rig.ledger
    for pid in (P, Q):
        ledger.datablocks.plan(pid, entries(COUNT, pid), "run-1")
    blocks = [key(number, pid) for pid in (P, Q) for number in range(COUNT)]
    in_threads(6, lambda thread: ledger.recalls.want(blocks[::-1] if thread % 2 else blocks))
    assert [record.key for record in ledger.recalls.of_store("lts")] == sorted(
        blocks, key=lambda block: (block.pid, int(block.id.rpartition("-")[2]))
    )
    entered = [t.subject for t in rig.transitions() if t.new == DatablockState.RECALLING]
    assert sorted(entered) == sorted(("", block.pid, block.id) for block in blocks)


def test_what_is_wanted_again_while_it_is_forgotten_stays_open(ledger: Ledger) -> None:
    for number in range(COUNT):
        pid = DatasetPid(f"p{number}")
        ledger.datablocks.plan(pid, entries(1, pid), "run-1")
        ledger.recalls.want([key(0, pid)])
        ledger.datablocks.move(key(0, pid), DatablockState.PLANNED)
        told = ledger.recalls.of_store("lts")
        ways = [partial(ledger.recalls.want, [key(0, pid)]), partial(ledger.recalls.forget, told)]
        in_threads(2, lambda thread: ways[thread]())  # noqa: B023 - called at once
        assert [record.is_wanted for record in ledger.recalls.of_dataset(pid)] == [True]


def test_news_of_many_recalls_at_once_are_all_noted(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, entries(COUNT), "run-1")
    ledger.recalls.want([key(number) for number in range(COUNT)])
    ways = [
        [RecallChange(key(number), RecallPhase.ASKED) for number in range(COUNT)],
        [RecallChange(key(number), request=f"request {number}") for number in reversed(range(COUNT))],
        [RecallChange(key(number), reason="in the queue") for number in range(COUNT)],
    ]
    in_threads(3, lambda thread: ledger.recalls.change(ways[thread]))
    found = ledger.recalls.of_store("lts")
    assert [each.request for each in found] == [f"request {number}" for number in range(COUNT)]
    assert {(each.phase, each.reason) for each in found} == {(RecallPhase.ASKED, "in the queue")}
