"""The door: which connections are admitted.

At the limit, connections that wait without a request are closed for new ones, the oldest first. So silent
connections never keep SciCat out, however many there are: a new connection that sends its request at once is
served. A connection whose request is worked on, or whose answer is being sent, is never closed for another.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Collection
from typing import Protocol


class Visitor(Protocol):
    """A connection."""

    @property
    def address(self) -> str:
        """The address of the client."""
        ...

    def give_way(self) -> None:
        """Close this connection for another one."""
        ...


class Door:
    """The count of connections, in all and by address. For one event loop.

    Args:
        most: The most connections at once.
        most_of_one: The most connections at once of one address.
        proxies: Addresses for which only `most` counts: many clients are behind them.
    """

    def __init__(self, most: int, most_of_one: int, proxies: Collection[str] = ()) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._proxies = frozenset(proxies)
        self._inside: set[Visitor] = set()
        self._of_address: Counter[str] = Counter()
        # In the order in which connections began to wait. A plain dict finds its first key slowly once many
        # keys were deleted before it.
        self._waiting: OrderedDict[Visitor, None] = OrderedDict()
        self._waiting_of: defaultdict[str, OrderedDict[Visitor, None]] = defaultdict(OrderedDict)

    def __len__(self) -> int:
        """Give how many are connected."""
        return len(self._inside)

    def admit(self, visitor: Visitor) -> bool:
        """Admit a new connection, which waits for its request from now on; False where there is no place."""
        address = visitor.address
        if address not in self._proxies and self._of_address[address] >= self._most_of_one:
            if not self._make_place(self._waiting_of[address]):
                return False
        elif len(self._inside) >= self._most and not self._make_place(self._waiting):
            return False
        self._inside.add(visitor)
        self._of_address[address] += 1
        self.waits(visitor)
        return True

    def waits(self, visitor: Visitor) -> None:
        """Note that a connection waits for a request from now on."""
        if visitor in self._inside and visitor not in self._waiting:
            self._waiting[visitor] = self._waiting_of[visitor.address][visitor] = None

    def works(self, visitor: Visitor) -> None:
        """Note that a connection's request is being read or worked on, or its answer is being sent."""
        if visitor in self._waiting:
            del self._waiting[visitor]
            of_address = self._waiting_of[visitor.address]
            del of_address[visitor]
            if not of_address:
                del self._waiting_of[visitor.address]

    def leave(self, visitor: Visitor) -> None:
        """Note that a connection is closed. Nothing changes for one that was not admitted."""
        if visitor in self._inside:
            self.works(visitor)
            self._inside.discard(visitor)
            self._of_address[visitor.address] -= 1
            if not self._of_address[visitor.address]:
                del self._of_address[visitor.address]

    def _make_place(self, waiting: OrderedDict[Visitor, None]) -> bool:
        oldest = next(iter(waiting), None)
        if oldest is None:
            return False
        self.leave(oldest)
        oldest.give_way()
        return True
