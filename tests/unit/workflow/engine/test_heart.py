import time

from temporalio.testing import ActivityEnvironment

from scicat_retriever.workflow.engine.heart import INTERVAL, TIMEOUT, Pulse


def test_a_step_that_is_silent_for_as_long_as_the_engine_waits_is_late() -> None:
    begun = time.monotonic()
    pulse = Pulse()
    assert not pulse.is_late(begun + TIMEOUT - INTERVAL)
    assert pulse.is_late(time.monotonic() + TIMEOUT)


def test_a_step_that_beats_is_not_late_and_one_that_stood_still_stays_so() -> None:
    beats = list[None]()
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *_: beats.append(None)

    def live() -> list[bool]:
        pulse, now, seen = Pulse(), time.monotonic(), list[bool]()
        for silence in (INTERVAL, TIMEOUT - 2 * INTERVAL, TIMEOUT + INTERVAL, INTERVAL):
            now += silence
            pulse.beat(now)
            seen.append(pulse.is_late(now))
        return seen

    assert environment.run(live) == [False, False, True, True]
    assert len(beats) == 4
