"""What holds of the recall planner whatever is asked for, and whenever."""

from collections import defaultdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from scicat_retriever.domain.states import RecallPhase
from scicat_retriever.recall_planner.planner import Decision
from scicat_retriever.recall_planner.requests import RecallPolicy, RecallRequest
from tests.examples import examples
from tests.unit.pipeline.recalls.recall_rig import START, STEP, SteppedStore

ENOUGH = 3000
IN_FLIGHT = (RecallPhase.ASKED, RecallPhase.ONLINE)


@st.composite
def stores(draw: st.DrawFn, *, rate: bool = True) -> SteppedStore:
    collect = draw(st.booleans())
    tapes = st.sampled_from(["", "A", "B", "C", "D"] if draw(st.booleans()) else ["A", "B", "C"])
    requests = [
        RecallRequest(
            archive=f"a{number}",
            bytes=draw(st.integers(0, 60)),
            wanted_at=START + draw(st.integers(0, 3000)),
            group=draw(st.sampled_from(["", "g", "h"])),
            priority=draw(st.integers(0, 2)),
            tape=draw(tapes),
            position=draw(st.integers(0, 9)),
            order=(draw(st.sampled_from(["p", "q"])), number),
        )
        for number in range(draw(st.integers(1, 25)))
    ]
    policy = RecallPolicy(
        drives=draw(st.integers(1, 3)),
        mount_bytes=draw(st.integers(1, 200)),
        mount_count=draw(st.integers(1, 8)),
        mount_age=draw(st.sampled_from([0.0, 300.0, 900.0])),
        longest_wait=draw(st.sampled_from([900.0, 1800.0])),
        longest_session=draw(st.sampled_from([60.0, 600.0])),
        linger=draw(st.sampled_from([0.0, 60.0])),
        bytes_in_flight=draw(st.integers(20, 200)),
        requests_in_flight=draw(st.integers(1, 10)),
        requests_per_second=draw(st.sampled_from([None, 0.02])) if rate else None,
        burst=draw(st.integers(1, 3)),
        collect=collect,
    )
    return SteppedStore(policy, requests)


def after(open_: list[RecallRequest], decision: Decision) -> list[RecallRequest]:
    """What is in flight when the store was asked."""
    return [each for each in open_ if each.phase in IN_FLIGHT or each.archive in decision.ask]


@given(stores())
@settings(max_examples=examples(60), deadline=None)
def test_all_is_asked_for_and_nothing_twice(store: SteppedStore) -> None:
    store.run(ENOUGH)
    assert sorted(each.archive for _, each in store.asked) == sorted(each.archive for each in store.arrivals)


@given(stores())
@settings(max_examples=examples(60), deadline=None)
def test_no_more_is_in_flight_than_allowed_but_for_one_archive_alone(store: SteppedStore) -> None:
    store.run(ENOUGH)
    for _, open_, decision in store.decisions:
        flying = after(open_, decision)
        assert len(flying) <= store.policy.requests_in_flight
        assert len(flying) == 1 or sum(each.bytes for each in flying) <= store.policy.bytes_in_flight


@given(stores())
@settings(max_examples=examples(60), deadline=None)
def test_no_more_tapes_are_read_than_there_are_drives(store: SteppedStore) -> None:
    store.run(ENOUGH)
    for _, open_, decision in store.decisions:
        flying = [each for each in after(open_, decision) if each.phase is not RecallPhase.ONLINE]
        tapes = {each.tape for each in flying if each.tape}
        assert not store.policy.collect or len(tapes) <= store.policy.drives


@given(stores())
@settings(max_examples=examples(60), deadline=None)
def test_archives_are_asked_for_at_the_rate(store: SteppedStore) -> None:
    store.run(ENOUGH)
    rate = store.policy.requests_per_second
    for number, (begin, _) in enumerate(store.asked):
        for count, (end, _) in enumerate(store.asked[number:], 1):
            assert rate is None or count <= store.policy.burst + rate * (end - begin) + 1e-6


@given(stores(rate=False))
@settings(max_examples=examples(60), deadline=None)
def test_nobody_waits_beyond_the_bound_for_longer_than_what_is_older_takes(store: SteppedStore) -> None:
    store.run(ENOUGH)
    step_each = 3 * STEP  # to be read, to be copied, and to be noticed
    drained = len(store.arrivals) * step_each
    for at, request in store.asked:
        older = sum(each.wanted_at <= request.wanted_at for each in store.arrivals)
        sessions = (store.policy.longest_session + step_each) * min(older, 5)
        assert at <= request.wanted_at + store.policy.longest_wait + older * step_each + sessions + drained


@given(stores())
@settings(max_examples=examples(60), deadline=None)
def test_what_is_asked_together_of_a_tape_is_in_its_order(store: SteppedStore) -> None:
    store.run(ENOUGH)
    positions: defaultdict[tuple[float, str], list[int]] = defaultdict(list)
    for at, request in store.asked:
        if request.tape and store.policy.collect:
            positions[at, request.tape].append(request.position)
    assert all(low <= high for each in positions.values() for low, high in pairwise(each))


@given(stores())
@settings(max_examples=examples(60), deadline=None)
def test_every_open_archive_has_an_outlook(store: SteppedStore) -> None:
    store.run(ENOUGH)
    for now, open_, decision in store.decisions:
        assert set(decision.outlook) == {each.archive for each in open_}
        assert now < decision.look_again <= now + 60.0


@given(stores())
@settings(max_examples=examples(30), deadline=None)
def test_the_same_requests_lead_to_the_same_decisions(store: SteppedStore) -> None:
    other = SteppedStore(store.policy, list(reversed(store.arrivals)))
    store.run(ENOUGH)
    other.run(ENOUGH)
    assert [decision for _, _, decision in store.decisions] == [
        decision for _, _, decision in other.decisions
    ]


@given(st.integers(2, 6), st.integers(5, 20))
@settings(max_examples=examples(20), deadline=None)
def test_groups_that_want_much_get_as_much_as_one_another(groups: int, each: int) -> None:
    """One tape of equal work for each request, all wanted at once by groups that come one after the other."""
    requests = [
        RecallRequest(f"g{group}-{n}", 10**9, START, f"g{group}", tape=f"g{group}-{n}")
        for group in range(groups)
        for n in range(each)
    ]
    store = SteppedStore(RecallPolicy(drives=1, mount_age=0.0), requests)
    store.run(ENOUGH)
    for so_far in range(1, len(store.asked) + 1):
        had = [sum(r.group == f"g{group}" for _, r in store.asked[:so_far]) for group in range(groups)]
        assert max(had) - min(had) <= 1
