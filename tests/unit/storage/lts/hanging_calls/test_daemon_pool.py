from __future__ import annotations

import math
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from scicat_retriever.storage.lts.hanging_calls.daemon_pool import CallHung, DaemonPool
from tests.contracts.test_long_term_store import wait_for
from tests.unit.storage.machine_troubles import no_thread_can_be_started


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Blocks calls until it is set, at the latest when the test ends."""
    event = threading.Event()
    yield event
    event.set()


def test_an_answer_is_given() -> None:
    assert DaemonPool("test", 1).ask(lambda: 42, timeout=60) == 42


def test_an_error_of_the_call_is_raised_even_a_timeout_of_its_own() -> None:
    def fail() -> None:
        raise TimeoutError("the server's own words")

    with pytest.raises(TimeoutError, match="the server's own words"):
        DaemonPool("test", 1).ask(fail, timeout=60)


def test_a_call_that_hangs_is_given_up_after_the_timeout(gate: threading.Event) -> None:
    with pytest.raises(CallHung, match=r"within 0\.05 s"):
        DaemonPool("test", 2).ask(gate.wait, timeout=0.05)


def test_a_call_that_was_given_up_before_a_thread_was_free_is_never_made(gate: threading.Event) -> None:
    pool, made = DaemonPool("test", 1), threading.Event()
    pool.submit(gate.wait)
    with pytest.raises(CallHung):
        pool.ask(made.set, timeout=0.05)
    gate.set()
    pool.ask(lambda: None, timeout=60)
    assert not made.is_set()


def test_a_pool_whose_threads_all_hang_says_so(gate: threading.Event) -> None:
    pool = DaemonPool("test", 2)
    for _ in range(2):
        pool.submit(gate.wait)
    wait_for(lambda: pool.hung(0.05) == 2)
    with pytest.raises(CallHung, match=r"all 2 threads .* over 0\.05 s"):
        pool.ask(lambda: None, timeout=0.05)


def test_a_pool_works_again_when_its_threads_come_back(gate: threading.Event) -> None:
    pool = DaemonPool("test", 1)
    with pytest.raises(CallHung):
        pool.ask(gate.wait, timeout=0.05)
    gate.set()
    assert pool.submit(lambda: "back").result(60) == "back"
    assert pool.ask(lambda: "again", timeout=60) == "again"


def test_ten_thousand_waiting_calls_take_no_thread_each(gate: threading.Event) -> None:
    pool, before = DaemonPool("test", 3), threading.active_count()
    waiting = [pool.submit(gate.wait) for _ in range(10_000)]
    assert threading.active_count() <= before + 3
    gate.set()
    assert all(call.result(30) for call in waiting)


def test_calls_run_at_the_same_time_up_to_the_number_of_threads() -> None:
    meeting = threading.Barrier(3, timeout=60)
    pool = DaemonPool("test", 3)
    assert sorted(call.result(60) for call in [pool.submit(meeting.wait) for _ in range(3)]) == [0, 1, 2]


def test_a_hung_call_does_not_keep_the_process_from_ending() -> None:
    program = (
        "import threading\n"
        "from scicat_retriever.storage.lts.hanging_calls.daemon_pool import DaemonPool\n"
        "DaemonPool('test', 1).submit(threading.Event().wait)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


def test_each_of_several_calls_has_an_outcome_of_its_own(gate: threading.Event) -> None:
    def fail() -> str:
        raise ValueError("its own words")

    def hang() -> str:
        return str(gate.wait())

    outcomes = DaemonPool("test", 3).ask_each({"a": hang, "b": fail, "c": lambda: "said"}, timeout=2)
    assert outcomes["c"] == "said"
    assert {key: type(outcomes[key]) for key in "ab"} == {"a": CallHung, "b": ValueError}


def test_several_calls_wait_no_longer_together_than_one(gate: threading.Event) -> None:
    outcomes = DaemonPool("test", 1).ask_each(dict.fromkeys(range(50), gate.wait), timeout=0.2)
    assert {type(outcome) for outcome in outcomes.values()} == {CallHung}


def test_a_thread_that_cannot_be_started_is_told_and_the_pool_works_when_it_can_again() -> None:
    pool = DaemonPool("test", 2)
    with no_thread_can_be_started():
        for _ in range(5):
            with pytest.raises(CallHung, match="no thread can be started"):
                pool.submit(lambda: None)
            with pytest.raises(CallHung, match="no thread can be started"):
                pool.ask(lambda: None, timeout=60)
    assert pool.ask(lambda: "again", timeout=60) == "again"
    assert not pool._waiting


def test_what_is_cancelled_does_not_pile_up_behind_a_call_that_hangs(gate: threading.Event) -> None:
    pool = DaemonPool("test", 1)
    pool.submit(gate.wait)
    for number in range(20):
        pool.submit(gate.wait).cancel()
        pool.ask_each({number: gate.wait}, timeout=0.001)
    wait_for(lambda: not pool._waiting)


def test_a_call_that_hangs_takes_one_thread_however_often_it_is_made(gate: threading.Event) -> None:
    pool, made = DaemonPool("test", 3), list[str]()

    def hang() -> str:
        made.append("hang")
        return str(gate.wait())

    for _ in range(10):
        outcomes = pool.ask_each({"bad": hang, "good": lambda: "said"}, timeout=2)
        assert (type(outcomes["bad"]), outcomes["good"]) == (CallHung, "said")
    assert made == ["hang"]
    gate.set()
    wait_for(lambda: pool.ask_each({"bad": hang}, timeout=60) == {"bad": "True"})


def test_calls_that_are_left_behind_have_spare_threads_stand_in_for_theirs(gate: threading.Event) -> None:
    pool = DaemonPool("left behind", 1, spare=2)

    def threads() -> int:
        return sum(each.name == "left behind" for each in threading.enumerate())

    calls = [pool.submit(gate.wait) for _ in range(5)]
    for number, call in enumerate(calls[:3]):
        wait_for(call.running)
        assert not calls[number + 1].running()
        pool.leave(call)
    assert threads() == 3
    gate.set()
    assert all(call.result(60) for call in calls)
    wait_for(lambda: threads() <= 1)


def test_calls_that_run_for_long_are_left_behind(gate: threading.Event) -> None:
    pool = DaemonPool("test", 1, spare=1)
    pool.submit(gate.wait)
    other = pool.submit(lambda: "said")

    def is_said() -> bool:
        pool.leave_older(0.05)
        return other.done()

    wait_for(is_said)


def test_a_call_may_be_given_time_without_end() -> None:
    assert DaemonPool("test", 1).ask(lambda: threading.Event().wait(0.1), timeout=math.inf) is False
