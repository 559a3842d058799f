from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.backoff import pause_before


@given(st.integers(1, 10**6), st.floats(0.001, 1000), st.floats(0.001, 10**5))
def test_a_pause_grows_by_doubling_to_its_ceiling_give_or_take_a_fifth(
    attempt: int, initial: float, maximum: float
) -> None:
    seconds = pause_before(attempt, initial, maximum).total_seconds()
    plain = min(maximum, initial * 2 ** min(attempt - 1, 100))
    assert plain * 0.8 - 1e-5 <= seconds <= plain * 1.2 + 1e-5


def test_pauses_of_many_workers_differ() -> None:
    assert len({pause_before(5, 1.0, 100.0) for _ in range(20)}) > 1
