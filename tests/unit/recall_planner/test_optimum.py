"""The optimum that the recall planner is measured by, against all schedules of small cases."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from stand_ins.tape.optimum import Read, fewest_mounts
from tests.examples import examples

Group = tuple[Read, ...]


def partitions(reads: list[Read]) -> Iterator[list[Group]]:
    """All ways to part reads into mounts."""
    if not reads:
        yield []
        return
    first, rest = reads[0], reads[1:]
    for parted in partitions(rest):
        yield [(first,), *parted]
        for number, group in enumerate(parted):
            yield [*parted[:number], (first, *group), *parted[number + 1 :]]


def can_be_one(group: Group, within: int, mount: int, linger: int) -> bool:
    """Whether a mount that begins at some second can serve all of these in the order of their arrival."""
    arrivals = sorted((read.at, read.bytes) for read in group)
    for start in range(int(arrivals[0][0]) + within + 1):
        done = start + mount
        served = True
        for at, size in arrivals:
            served = served and (at <= start or at <= done + linger)
            done = max(done, int(at)) + size
        if served:
            return True
    return False


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4)), min_size=1, max_size=6),
    st.integers(0, 4),
    st.integers(0, 3),
    st.integers(0, 2),
)
@settings(max_examples=examples(150), deadline=None)
def test_no_parting_into_mounts_needs_fewer(
    archives: list[tuple[int, int]], within: int, mount: int, linger: int
) -> None:
    reads = [Read("A", at, size) for at, size in archives]
    brute = min(
        len(parted)
        for parted in partitions(reads)
        if all(can_be_one(group, within, mount, linger) for group in parted)
    )
    assert fewest_mounts(reads, within, mount_seconds=mount, bytes_per_second=1.0, linger=linger) == brute


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(0, 10))
def test_without_times_it_is_the_fewest_points_that_stab_all_intervals(
    arrivals: list[int], within: int
) -> None:
    points: list[int] = []
    for at in sorted(arrivals):
        if not points or points[-1] < at:
            points.append(at + within)
    assert fewest_mounts([Read("A", at, 1) for at in arrivals], within) == len(points)


def test_each_tape_needs_mounts_of_its_own() -> None:
    assert fewest_mounts([Read("A", 0, 1), Read("B", 0, 1)], 100) == 2
