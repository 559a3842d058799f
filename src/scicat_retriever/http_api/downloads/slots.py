"""The slots of downloads that run at once; others wait for a while, in the order in which they came."""

from __future__ import annotations

import asyncio

from anyio import CapacityLimiter
from starlette.requests import HTTPConnection

from scicat_retriever.domain.errors import DownloadsBusy

OPENERS, READERS = 4, 16
"""Threads that look links up and open files, and threads that read pieces of files.

Downloads have threads of their own, so that requests for a job's state do not wait for them. These threads
are few, so that the interpreter is left to the thread that answers everybody.
"""


class DownloadSlots:
    """Slots for downloads. For one event loop.

    Args:
        most: The most downloads at once; as many more may wait.
        longest_wait: Seconds that a download waits for a slot.
    """

    def __init__(self, most: int, longest_wait: float) -> None:
        self._free = asyncio.Semaphore(most)
        self._most, self._longest_wait = most, longest_wait
        self._waiting = 0
        self.openers, self.readers = CapacityLimiter(OPENERS), CapacityLimiter(READERS)

    async def take(self) -> None:
        """Take a slot, to be given back by `release`.

        Raises:
            DownloadsBusy: No slot came free within `longest_wait`, or too many downloads wait already.
        """
        if self._waiting >= self._most:
            raise DownloadsBusy(f"{self._most} downloads are sent already, and as many wait: try again later")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._longest_wait):
                await self._free.acquire()
        except TimeoutError:
            raise DownloadsBusy(f"{self._most} downloads are sent already: try again later") from None
        finally:
            self._waiting -= 1

    def release(self) -> None:
        """Give a slot back."""
        self._free.release()


def slots_of(connection: HTTPConnection) -> DownloadSlots:
    """Give the slots that the application was made with."""
    slots = connection.app.state.slots
    assert isinstance(slots, DownloadSlots)  # noqa: S101 - tells the type checker what `create_app` put there
    return slots
