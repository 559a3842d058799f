"""The turn to write to a SQLite file, among processes."""

from __future__ import annotations

import fcntl
import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from scicat_retriever.ledger.database.turn import TurnNotGiven, WritersTurn

SPAWN = multiprocessing.get_context("spawn")
SECONDS = 60.0


def hold(file: Path, held: Event, let_go: Event) -> None:
    with WritersTurn(file).taken(SECONDS):
        held.set()
        let_go.wait(SECONDS)


def take_and_note(file: Path, waits: Event, notes: Path) -> None:
    waits.set()
    with WritersTurn(file).taken(SECONDS), notes.open("a") as opened:
        opened.write("other\n")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_locked(path: Path) -> bool:
    with path.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def is_free(path: Path) -> bool:
    try:
        with WritersTurn(path).taken(0.0):
            return True
    except TurnNotGiven:
        return False


def test_a_turn_that_another_process_holds_is_not_given_for_as_long(tmp_path: Path) -> None:
    file, held, let_go = tmp_path / "db", SPAWN.Event(), SPAWN.Event()
    other = SPAWN.Process(target=hold, args=(file, held, let_go))
    other.start()
    assert held.wait(SECONDS)
    with pytest.raises(TurnNotGiven), WritersTurn(file).taken(0.05):
        pass
    let_go.set()
    with WritersTurn(file).taken(SECONDS):
        pass
    other.join(SECONDS)


def test_a_process_that_is_killed_gives_its_turn_back(tmp_path: Path) -> None:
    file, held, never = tmp_path / "db", SPAWN.Event(), SPAWN.Event()
    other = SPAWN.Process(target=hold, args=(file, held, never))
    other.start()
    assert held.wait(SECONDS)
    other.kill()
    with WritersTurn(file).taken(SECONDS):
        other.join(SECONDS)
    assert other.exitcode == -9


def test_who_has_had_the_turn_lets_the_one_who_waits_go_first(tmp_path: Path) -> None:
    file, notes, waits = tmp_path / "db", tmp_path / "notes", SPAWN.Event()
    mine = WritersTurn(file)
    with mine.taken(SECONDS):
        other = SPAWN.Process(target=take_and_note, args=(file, waits, notes))
        other.start()
        wait_until(lambda: waits.is_set() and is_locked(tmp_path / "db-next"))
    with mine.taken(SECONDS), notes.open("a") as opened:
        opened.write("me\n")
    other.join(SECONDS)
    assert notes.read_text() == "other\nme\n"


def test_threads_of_one_process_have_the_turn_one_after_the_other(tmp_path: Path) -> None:
    turn, inside, most = WritersTurn(tmp_path / "db"), [0], [0]

    def take() -> None:
        for _ in range(20):
            with turn.taken(SECONDS):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0)
                inside[0] -= 1

    threads = [threading.Thread(target=take) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(SECONDS)
    assert (inside, most) == ([0], [1])


def test_where_no_lock_can_be_had_the_block_runs_all_the_same(tmp_path: Path) -> None:
    ran = []
    with WritersTurn(tmp_path / "no folder" / "db").taken(0.0):
        ran.append(True)
    assert ran == [True]


def test_an_error_in_the_block_gives_the_turn_back_and_is_raised(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="of mine"), WritersTurn(tmp_path / "db").taken(0.0):
        raise FileNotFoundError("of mine")
    assert is_free(tmp_path / "db")
