from dataclasses import replace
from typing import Any

import pytest

from scicat_retriever.domain.states import RecallPhase
from scicat_retriever.recall_planner.planner import RecallPlanner
from scicat_retriever.recall_planner.requests import RecallPolicy, RecallRequest
from tests.unit.pipeline.recalls.recall_rig import START, waiting

AGE, LONGEST = 600.0, 6000.0
POLICY = RecallPolicy(
    drives=1,
    mount_bytes=1000,
    mount_count=100,
    mount_age=AGE,
    longest_wait=LONGEST,
    longest_session=1800.0,
    linger=100.0,
    collect_time=60.0,
    bytes_in_flight=100_000,
    requests_in_flight=1000,
)
RIPE = START + AGE


def planner(**how: Any) -> RecallPlanner:
    return RecallPlanner(replace(POLICY, **how))


def asked(*requests: RecallRequest, at: float = START) -> RecallRequest:
    (request,) = requests
    return replace(request, phase=RecallPhase.ASKED, asked_at=at)


def on(tape: str, *positions: int, **how: Any) -> list[RecallRequest]:
    return [waiting(f"{tape}-{position}", tape=tape, position=position, **how) for position in positions]


def test_a_tape_is_not_asked_for_before_it_is_worth_a_mount() -> None:
    assert planner().decide(on("A", 1, 2), RIPE - 1).ask == ()


def test_a_tape_is_asked_for_when_its_oldest_archive_has_waited_long_enough() -> None:
    requests = [*on("A", 1), *on("A", 2, wanted_at=RIPE - 1)]
    assert planner().decide(requests, RIPE).ask == ("A-1", "A-2")


def test_a_tape_is_asked_for_when_enough_bytes_wait() -> None:
    assert planner().decide(on("A", 1, 2, bytes=500), START).ask == ("A-1", "A-2")


def test_a_tape_is_asked_for_when_enough_archives_wait() -> None:
    assert planner(mount_count=2).decide(on("A", 1, 2), START).ask == ("A-1", "A-2")


def test_a_tape_is_read_in_the_order_of_its_positions() -> None:
    assert planner().decide(on("A", 30, 4, 100, 7), RIPE).ask == ("A-4", "A-7", "A-30", "A-100")


def test_no_more_tapes_are_asked_for_than_there_are_drives() -> None:
    decision = planner(drives=2).decide([*on("A", 1), *on("B", 1), *on("C", 1)], RIPE)
    assert decision.ask == ("A-1", "B-1")


def test_what_comes_for_a_tape_that_is_read_joins_it_at_once() -> None:
    decision = planner().decide([asked(*on("A", 1)), *on("A", 2)], START + 1)
    assert decision.ask == ("A-2",)


def test_what_comes_while_its_tape_is_probably_still_mounted_joins_it_at_once() -> None:
    one = planner()
    one.decide([asked(*on("A", 1))], START)
    assert one.decide(on("A", 2, wanted_at=START + 50), START + 50).ask == ("A-2",)


def test_what_comes_when_its_tape_was_put_back_waits_for_the_next_mount() -> None:
    one = planner()
    one.decide([asked(*on("A", 1))], START)
    assert one.decide(on("A", 2, wanted_at=START + 101), START + 101).ask == ()


def test_what_comes_for_a_tape_that_is_read_waits_where_others_are_overdue() -> None:
    one = planner()
    now = START + LONGEST
    first = asked(waiting("A-1", tape="A", position=1, wanted_at=now), at=now)
    decision = one.decide([first, *on("A", 2, wanted_at=now + 1), *on("B", 1)], now + 2)
    assert decision.ask == ()
    assert decision.outlook["B-1"].text == "waiting for tape B, 1st in queue, about 5 min"


def test_a_tape_that_is_read_makes_way_for_another_after_its_session() -> None:
    one = planner()
    one.decide([asked(*on("A", 1)), *on("B", 1)], START + AGE)
    now = START + POLICY.longest_session
    later = on("A", 2, wanted_at=START + 1)
    assert one.decide([asked(*on("A", 1)), *later, *on("B", 1)], now).ask == ()
    assert one.decide([*later, *on("B", 1)], now + 10).ask == ("B-1",)


def test_a_tape_is_read_on_after_its_session_where_nobody_else_waits() -> None:
    one = planner()
    one.decide([asked(*on("A", 1))], START)
    decision = one.decide([asked(*on("A", 1)), *on("A", 2)], START + POLICY.longest_session)
    assert decision.ask == ("A-2",)


def test_the_larger_priority_goes_first() -> None:
    requests = [*on("A", 1), *on("B", 1, wanted_at=START + 1, priority=1)]
    assert planner().decide(requests, RIPE + 1).ask == ("B-1",)


def test_what_is_overdue_goes_before_a_larger_priority() -> None:
    now = START + LONGEST
    requests = [*on("A", 1), *on("B", 1, wanted_at=now - AGE, priority=9)]
    assert planner().decide(requests, now).ask == ("A-1",)


def test_the_group_that_had_less_goes_first() -> None:
    one = planner()
    assert one.decide(on("A", 1, group="g", wanted_at=START - 1), RIPE).ask == ("A-1",)
    later = [*on("B", 1, group="g"), *on("C", 1, group="h", wanted_at=START + 1)]
    assert one.decide(later, RIPE + 101).ask == ("C-1",)


def test_a_group_of_more_weight_may_have_more() -> None:
    one = planner(weights={"g": 1000.0})
    one.decide(on("A", 1, group="g"), RIPE)
    one.decide(on("B", 1, group="h"), RIPE + 101)
    later = [*on("C", 1, group="g", wanted_at=START + 2), *on("D", 1, group="h", wanted_at=START + 1)]
    assert one.decide(later, RIPE + 202).ask == ("C-1",)


def test_what_a_group_had_long_ago_counts_no_more() -> None:
    one = planner(usage_half_life=60.0)
    one.decide(on("A", 1, group="g"), RIPE)
    later = [*on("B", 1, group="g", wanted_at=START + 1), *on("C", 1, group="h", wanted_at=START + 2)]
    assert one.decide(later, RIPE + 5000).ask == ("B-1",)


def test_requests_for_one_archive_are_one() -> None:
    twice = [*on("A", 1), *on("A", 1, wanted_at=START + 5, group="h")]
    decision = planner().decide(twice, RIPE)
    assert decision.ask == ("A-1",)


def test_what_one_asked_for_is_not_asked_for_again_for_another() -> None:
    assert planner().decide([*on("A", 1), asked(*on("A", 1))], RIPE).ask == ()


def test_no_more_bytes_are_in_flight_than_allowed() -> None:
    decision = planner(bytes_in_flight=25).decide(on("A", 1, 2, 3), RIPE)
    assert decision.ask == ("A-1", "A-2")


def test_what_is_online_and_not_copied_counts_as_in_flight() -> None:
    there = replace(asked(*on("A", 1)), phase=RecallPhase.ONLINE)
    assert planner(bytes_in_flight=15).decide([there, *on("B", 1)], RIPE).ask == ()


def test_an_archive_larger_than_all_that_may_be_in_flight_goes_alone() -> None:
    one = planner(bytes_in_flight=5)
    assert one.decide(on("A", 1, 2), RIPE).ask == ("A-1",)
    assert one.decide([asked(*on("A", 1)), *on("A", 2)], RIPE).ask == ()


def test_no_more_archives_are_in_flight_than_allowed() -> None:
    assert planner(requests_in_flight=2).decide(on("A", 1, 2, 3), RIPE).ask == ("A-1", "A-2")


def test_a_tape_is_not_begun_while_there_is_no_room_for_a_good_part_of_it() -> None:
    one = planner(drives=2, bytes_in_flight=100)
    copying = replace(asked(waiting("A-1", tape="A", bytes=80)), phase=RecallPhase.ONLINE)
    assert one.decide([copying, *on("B", 1, 2, 3)], RIPE).ask == ()


def test_what_is_overdue_and_has_no_room_keeps_others_from_taking_it() -> None:
    now = START + LONGEST
    copying = replace(asked(waiting("A-1", tape="A", bytes=80)), phase=RecallPhase.ONLINE)
    large, small = waiting("B-1", tape="B", bytes=50), waiting("C-1", tape="C", wanted_at=now - AGE)
    one = planner(drives=2, bytes_in_flight=100)
    assert one.decide([copying, large, small], now).ask == ()
    assert one.decide([large, small], now).ask == ("B-1", "C-1")


def test_archives_are_asked_for_no_faster_than_allowed() -> None:
    one = planner(requests_per_second=0.5, burst=2)
    requests = on("A", 1, 2, 3, 4)
    assert one.decide(requests, RIPE).ask == ("A-1", "A-2")
    rest = [asked(requests[0]), asked(requests[1]), *requests[2:]]
    assert one.decide(rest, RIPE + 1).ask == ()
    assert one.decide(rest, RIPE + 2).ask == ("A-3",)


def test_where_no_tape_is_known_datasets_stay_together_in_archive_order() -> None:
    requests = [waiting(f"{d}{n}", order=(d, n)) for n in (2, 1, 0) for d in ("p", "q")]
    assert planner().decide(requests, START + 60).ask == ("p0", "p1", "p2", "q0", "q1", "q2")


def test_a_store_without_tapes_is_asked_at_once_by_priority_and_age() -> None:
    requests = [
        waiting("young", wanted_at=START + 2, order=("d", 0)),
        waiting("old", wanted_at=START + 1, order=("d", 1)),
        waiting("urgent", wanted_at=START + 2, order=("d", 2), priority=1),
    ]
    assert planner(collect=False).decide(requests, START + 2).ask == ("urgent", "old", "young")


def test_a_store_without_tapes_is_shared_between_groups() -> None:
    many = [waiting(f"g{n}", group="g", wanted_at=START + n) for n in range(4)]
    few = [waiting(f"h{n}", group="h", wanted_at=START + 10 + n) for n in range(2)]
    assert planner(collect=False).decide([*many, *few], START + 20).ask == (
        "g0",
        "h0",
        "g1",
        "h1",
        "g2",
        "g3",
    )


def test_after_a_crash_a_tape_that_is_read_is_read_on() -> None:
    requests = [asked(*on("A", 1)), *on("A", 2), *on("B", 1)]
    assert planner().decide(requests, RIPE).ask == ("A-2",)


def test_a_tape_that_gives_nothing_for_long_keeps_no_drive_and_no_room_from_others() -> None:
    one = planner(stall_time=1000.0, bytes_in_flight=15)
    stuck = asked(*on("A", 1))
    one.decide([stuck], RIPE)
    requests = [stuck, *on("A", 2), *on("B", 1)]
    assert one.decide(requests, RIPE + 1000).ask == ()
    decision = one.decide(requests, RIPE + 1001)
    assert decision.ask == ("B-1",)
    assert decision.outlook["A-1"].text == "asked for from tape A, which gave nothing for about 20 min"


@pytest.mark.parametrize("collect", [True, False])
def test_an_archive_of_unknown_tape_that_does_not_come_for_long_keeps_no_room_from_others(
    collect: bool,
) -> None:
    one = planner(collect=collect, requests_in_flight=1, stall_time=4 * AGE, collect_time=0.0)
    stuck = asked(waiting("stuck"))
    assert one.decide([stuck, waiting("other")], START + 4 * AGE).ask == ()
    assert one.decide([stuck, waiting("other")], START + 4 * AGE + 1).ask == ("other",)


def test_archives_of_unknown_size_say_nothing_of_how_fast_a_tape_is_read() -> None:
    one = planner()
    large = on("A", 9, bytes=10**12)
    for number in range(2000):
        (request,) = on("A", number, bytes=0, wanted_at=START)
        now = RIPE + 60.0 * number
        one.decide([asked(request, at=now - 60.0), *large], now)
        one.delivered(asked(request, at=now - 60.0), now)
    seconds = one.decide(large, RIPE + 60.0 * 2000).outlook[large[0].archive].seconds
    assert seconds is not None
    assert seconds < 2 * 10**12 / POLICY.bytes_per_second


def test_a_tape_that_gives_nothing_is_not_waited_for_again_once_others_are_read() -> None:
    one = planner(stall_time=1000.0)
    stuck, other = asked(*on("A", 1)), on("B", 1)
    one.decide([stuck], RIPE)
    one.decide([stuck, *other], RIPE + 1001)
    assert one.decide([stuck, *on("C", 1)], RIPE + 1101).ask == ("C-1",)


def test_a_tape_that_gives_something_again_is_read_on() -> None:
    one = planner(stall_time=1000.0)
    first, second = (asked(request) for request in on("A", 1, 2))
    one.decide([first, second], RIPE)
    one.decide([first, second], RIPE + 1001)
    one.delivered(first, RIPE + 1002)
    assert one.decide([second, *on("A", 3)], RIPE + 1003).ask == ("A-3",)


def test_it_is_looked_at_again_when_a_tape_becomes_worth_a_mount() -> None:
    assert planner().decide(on("A", 1), RIPE - 20).look_again == RIPE


@pytest.mark.parametrize(
    "wrong",
    [{"drives": 0}, {"bytes_in_flight": 0}, {"requests_per_second": 0.0}, {"weights": {"g": 0.0}}, {"mount_age": -1.0},
     {"longest_wait": 1.0}],
)  # fmt: skip
def test_a_policy_that_no_store_can_be_used_by_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        replace(POLICY, **wrong)
