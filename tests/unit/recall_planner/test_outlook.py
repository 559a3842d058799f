from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.states import RecallPhase
from scicat_retriever.recall_planner.outlook import about, place
from scicat_retriever.recall_planner.planner import RecallPlanner
from scicat_retriever.recall_planner.requests import RecallPolicy, RecallRequest

NOON = 1_700_049_600.0  # 2023-11-15 12:00 UTC
HOUR, GIGA = 3600.0, 10**9
POLICY = RecallPolicy(drives=1, mount_age=HOUR, mount_seconds=120.0, bytes_per_second=GIGA)


def request(archive: str, tape: str, wanted_at: float, gigabytes: int = 1) -> RecallRequest:
    return RecallRequest(archive, gigabytes * GIGA, wanted_at, tape=tape, order=("d", 0))


def text(planner: RecallPlanner, requests: list[RecallRequest], archive: str, now: float = NOON) -> str:
    return planner.decide(requests, now).outlook[archive].text


def test_who_is_collected_for_hears_until_when() -> None:
    told = text(RecallPlanner(POLICY), [request("a", "VB1234", NOON - 2400)], "a")
    assert told == "collecting requests for tape VB1234 until 12:20 UTC at the latest"


def test_a_moment_on_another_day_is_told_with_it() -> None:
    planner = RecallPlanner(replace(POLICY, mount_age=30 * HOUR, longest_wait=60 * HOUR))
    told = text(planner, [request("a", "VB1", NOON)], "a")
    assert told == "collecting requests for tape VB1 until 16 November 18:00 UTC at the latest"


def test_who_is_read_hears_for_how_long() -> None:
    told = text(RecallPlanner(POLICY), [request("a", "VB1234", NOON - HOUR)], "a")
    assert told == "being read from tape VB1234, about 5 min"


def test_who_waits_for_a_drive_hears_the_place_in_the_queue() -> None:
    requests = [request(f"a{n}", f"VB{n}", NOON - 2 * HOUR + n, gigabytes=1000) for n in range(4)]
    told = text(RecallPlanner(POLICY), requests, "a3")
    assert told == "waiting for tape VB3, 3rd in queue, about 1 h"


def test_what_is_online_is_told_so() -> None:
    there = replace(request("a", "VB1", NOON), phase=RecallPhase.ONLINE, asked_at=NOON)
    assert text(RecallPlanner(POLICY), [there], "a") == "back from tape, waiting to be copied"


def test_where_nothing_is_known_no_time_is_told() -> None:
    planner = RecallPlanner(replace(POLICY, collect=False, requests_in_flight=1))
    outlook = planner.decide([request("a", "", NOON), request("b", "", NOON)], NOON).outlook
    assert outlook["a"].text == "asked of the store"
    assert outlook["b"].text == "waiting for its turn at the store, 1st in queue"
    assert outlook["b"].seconds is None


def test_a_store_without_tapes_is_expected_to_answer_as_it_did() -> None:
    planner = RecallPlanner(replace(POLICY, collect=False))
    planner.delivered(replace(request("z", "", NOON), asked_at=NOON - 4 * HOUR), NOON)
    assert text(planner, [request("a", "", NOON)], "a") == "asked of the store, about 4 h"


def test_slow_reads_make_later_outlooks_longer() -> None:
    planner = RecallPlanner(POLICY)
    first, second = (replace(request(n, "VB1", NOON), phase=RecallPhase.ASKED, asked_at=NOON) for n in "ab")
    expected = planner.decide([first, second], NOON).outlook["b"].seconds
    planner.delivered(first, NOON + 120)
    planner.delivered(second, NOON + 1120)
    slower = planner.decide([replace(first, asked_at=NOON + 1120), second], NOON + 1120).outlook["b"].seconds
    assert expected == pytest.approx(122)
    assert slower is not None
    assert slower > 500


def test_the_error_of_outlooks_is_measured_from_the_first() -> None:
    planner = RecallPlanner(POLICY)
    asked = replace(request("a", "VB1", NOON), phase=RecallPhase.ASKED, asked_at=NOON)
    planner.decide([asked], NOON)  # expects 121 seconds
    planner.decide([asked], NOON + 100)
    planner.delivered(asked, NOON + 242)
    error = planner.eta_error
    assert error is not None
    assert error.median == pytest.approx(0.5)
    assert error.count == 1


def test_without_any_archive_that_came_no_error_is_told() -> None:
    assert RecallPlanner(POLICY).eta_error is None


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (10, "10th"),
        (11, "about 10th"),
        (37, "about 40th"),
        (449, "about 400th"),
    ],
)
def test_far_places_are_told_coarsely(number: int, words: str) -> None:
    assert place(number) == words


@given(st.floats(0, 14 * 24 * HOUR))
def test_times_told_are_never_far_off(seconds: float) -> None:
    number, unit = about(seconds).removeprefix("about ").split()
    told = int(number) * {"min": 60.0, "h": HOUR, "day": 24 * HOUR, "days": 24 * HOUR}[unit]
    assert told <= max(300.0, 1.8 * seconds)
    assert seconds <= 1.4 * told
