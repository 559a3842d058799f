"""How a step ends that was given up while it was at work."""

from __future__ import annotations

from collections.abc import Callable

from scicat_retriever.domain.errors import JobCancelled


def stop_if(cancelled: Callable[[], bool]) -> None:
    """Keep an attempt that was given up from changing what another one may be at.

    Raises:
        JobCancelled: `cancelled` said so.
    """
    if cancelled():
        raise JobCancelled("the step was stopped")
