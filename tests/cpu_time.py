"""A bound on what a test may cost that says nothing of how busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def within_cpu_seconds(most: float) -> Iterator[None]:
    """Hold what is done in it, or the function that it decorates, to so many seconds of the processor.

    A clock on the wall would count the other processes of a busy machine, too. What never ends is ended by the timeout
    of all tests.

    Args:
        most: seconds that this process may take of all its processors.

    Raises:
        AssertionError: it took longer.
    """
    begun = time.process_time()
    yield
    spent = time.process_time() - begun
    assert spent < most, f"it took {spent:.1f} s of the processor"
