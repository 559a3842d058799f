"""Every job ends, or is told why it cannot, whatever grows after its space was claimed and in whichever order things happen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.staging_area import Room
from tests.fakes.ledger import InMemoryLedger
from tests.liveness.cases import Block, Case, small_cases
from tests.liveness.play import Stuck
from tests.liveness.search import SqliteFiles, play_all, play_random
from tests.liveness.world import Clock

FACTOR = int(os.environ.get("LIVENESS", "1"))
"""How many times as many cases are played."""
TWO = {name: (Block(10, 10), Block(10, 10)) for name in "PQ"}
"""Two datasets of two archives."""
CHOOSE_AND_JOIN = Case(25, TWO, {"P": 20, "Q": 20}, ({"P": (0,)}, {"Q": (0,)}, {"P": ()}, {"Q": ()}))
"""Jobs that chose files have claimed a part of two datasets, and others join that want all of them; nothing is staged."""
LARGER_THAN_DECLARED = Case(25, TWO, {"P": 10, "Q": 10}, ({"P": ()}, {"Q": ()}))


def test_random_cases_in_random_orders_come_to_an_end_on_a_database_as_in_memory(tmp_path: Path) -> None:
    files = SqliteFiles(tmp_path)
    for seed in range(6 * FACTOR):
        assert play_random(seed, files) == play_random(seed)


def test_many_random_cases_in_random_orders_come_to_an_end() -> None:
    for seed in range(250 * FACTOR):
        play_random(seed)


def test_all_small_cases_come_to_an_end_in_all_orders_of_their_first_steps() -> None:
    assert sum(play_all(case, depth=1 + FACTOR) for case in small_cases()) > 1000


@pytest.mark.parametrize("case", [CHOOSE_AND_JOIN, LARGER_THAN_DECLARED])
def test_cases_that_once_stood_still_come_to_an_end_in_all_orders_of_their_first_steps(
    tmp_path: Path, case: Case
) -> None:
    play_all(case, depth=2 + FACTOR)
    play_all(case, depth=1, open_ledger=SqliteFiles(tmp_path))


class WaitsForMore(InMemoryLedger):
    """Lets whoever needs more wait, whatever it holds."""

    def _must_give_back(self, pid: DatasetPid, room: Room, silence: timedelta) -> bool:
        return False


class FirstAlone(InMemoryLedger):
    """Has no one give back for whom another one waits."""

    def _must_give_back(self, pid: DatasetPid, room: Room, silence: timedelta) -> bool:
        return super()._must_give_back(pid, room, silence) and len(self._growing(silence)) == 1


class JoinsForNothing(WaitsForMore):
    """Takes what is claimed of a dataset for all that anybody needs of it."""

    def _lacking(self, job_id: JobId, pid: DatasetPid, size: int) -> int:
        return 0 if pid in self._claims else super()._lacking(job_id, pid, size)


@pytest.mark.parametrize(
    ("kind", "case"),
    [
        (JoinsForNothing, CHOOSE_AND_JOIN),
        (WaitsForMore, LARGER_THAN_DECLARED),
        (FirstAlone, LARGER_THAN_DECLARED),
    ],
)
def test_a_ledger_that_has_somebody_wait_for_ever_is_found_out(
    kind: type[InMemoryLedger], case: Case
) -> None:
    @contextmanager
    def unfair(clock: Clock) -> Iterator[Ledger]:
        yield kind(clock)

    with pytest.raises(Stuck, match="wait for ever"):
        play_all(case, depth=2, open_ledger=unfair)
