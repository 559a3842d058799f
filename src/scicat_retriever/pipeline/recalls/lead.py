"""Who leads for a long-term store: one recall desk at a time, of all processes."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import timedelta

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.ports.recalls import Recalls

LEASE = timedelta(seconds=5)
"""How long a store stays with a desk that is not heard of any more."""
LONGEST_CALL = 600.0
"""Seconds for which a desk that waits for its store keeps the lead."""


class LeadLost(Exception):
    """Another desk leads by now, or this one is to stop."""


class Lead:
    """The lead of one desk, kept by a thread of its own: stores may be slow, and desks pause.

    Args:
        store: The store's name.
        holder: Names the desk among those of all processes.
        recalls: The book that holds the leads.
    """

    def __init__(self, store: str, holder: str, recalls: Recalls) -> None:
        self._store = store
        self._holder = f"{holder} {store}"
        self._recalls = recalls
        self._stop = threading.Event()
        self._leads = False
        self._call_begun: float | None = None

    def stay(self, stop: threading.Event) -> None:
        """Have the lead kept until told to stop, once it was taken."""
        self._stop = stop
        threading.Thread(target=self._renew, name="lead", daemon=True).start()

    def _renew(self) -> None:
        while not self._stop.wait(LEASE.total_seconds() / 4):
            begun = self._call_begun
            if self._leads and begun is not None and time.monotonic() - begun >= LONGEST_CALL:
                self._leads = False
            if self._leads:
                with suppress(LedgerUnavailable):
                    self._leads = self._recalls.lead(self._store, self._holder, LEASE)

    def begin_turn(self) -> None:
        """Take or keep the lead for a turn.

        Raises:
            LeadLost: Another desk has it.
        """
        self._call_begun = time.monotonic()
        self._leads = self._recalls.lead(self._store, self._holder, LEASE)
        if not self._leads:
            raise LeadLost

    def check(self) -> None:
        """See that the turn may go on with its next call.

        Raises:
            LeadLost: Another desk has the lead by now, or the desk is to stop.
        """
        if self._stop.is_set() or not self._leads:
            raise LeadLost
        self._call_begun = time.monotonic()

    def end_turn(self) -> None:
        """Say that the turn is over; the lead is kept."""
        self._call_begun = None

    def rest(self) -> None:
        """Let whoever wants it have the lead: there is nothing to do."""
        self._leads = False

    def leave(self) -> None:
        """Give the lead back, as soon as the ledger answers."""
        self._leads = False
        with suppress(LedgerUnavailable):
            self._recalls.leave(self._holder)
