from scicat_retriever.domain.backoff import GrowingPauses


class HandClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_pauses_double_up_to_the_longest() -> None:
    backoff = GrowingPauses(1.0, 5.0, HandClock())
    assert [backoff.next() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_pauses_begin_anew_after_a_try_that_went_well_for_long() -> None:
    clock = HandClock()
    backoff = GrowingPauses(1.0, 5.0, clock)
    assert [backoff.next() for _ in range(3)] == [1.0, 2.0, 4.0]
    clock.now = 100.0
    backoff.began()
    clock.now = 105.1
    assert backoff.next() == 1.0


def test_a_try_that_went_well_for_a_moment_does_not_shorten_the_pauses() -> None:
    clock = HandClock()
    backoff = GrowingPauses(1.0, 5.0, clock)
    backoff.next()
    clock.now = 100.0
    backoff.began()
    clock.now = 101.0
    assert backoff.next() == 2.0
