"""Letting go: a store is told which archives nobody wants any more, and has its disk for others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import structlog

from scicat_retriever.domain.batches import in_batches
from scicat_retriever.domain.errors import RecallError
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.pipeline.recalls.lead import Lead
from scicat_retriever.pipeline.recalls.watch import TURN_SECONDS, DeskPace
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.long_term_store import AskedArchive, LongTermStore
from scicat_retriever.ports.recalls import RecallRecord

log = structlog.get_logger(__name__)
LET_GO_ATTEMPTS = 20
"""How often a store is asked to let an archive go; then the recall is forgotten here.

The store keeps the archive on its disk until the lifetime of the request ends."""


class LettingGo:
    """What one store is still to be told.

    Args:
        store: The store's name.
        lead: The desk's lead for it.
        tools: The ports.
        pace: How soon it is told again what it could not be told.
    """

    def __init__(self, store: str, lead: Lead, tools: Toolbox, pace: DeskPace) -> None:
        self._name = store
        self._lead = lead
        self._tools = tools
        self._pace = pace
        self._attempts: Counter[ArchiveId] = Counter()
        self._troubles = 0
        self._next_at = 0.0

    def let_go(self, records: Sequence[RecallRecord], store: LongTermStore) -> None:
        """Tell the store of what nobody wants any more, and forget it once it was told, or was not too often.

        Args:
            records: All open recalls of the store.
            store: The store.

        Raises:
            LeadLost: Another desk has the lead by now.
            LedgerUnavailable: The ledger does not answer.
        """
        # Of one archive, several extracts may be wanted, or it and an extract.
        wanted = {each.archive_id for each in records if each.is_wanted}
        gone = [each for each in records if not each.is_wanted]
        ends = self._now() + TURN_SECONDS
        for batch in in_batches(gone, store.capabilities.batch):
            if not self._next_at <= self._now() < ends:
                break
            self._lead.check()
            asked = (each for each in batch if each.asked_at is not None and each.archive_id not in wanted)
            told = batch
            try:
                if known := [AskedArchive(each.archive_id, each.request) for each in asked]:
                    store.let_go(known)
                    self._troubles = 0
            except RecallError as error:
                told = self._not_told(batch, error)
            self._tools.ledger.recalls.forget(told)
            for each in told:
                self._attempts.pop(each.archive_id, None)

    def forget_pauses(self) -> None:
        """Have the store told at once: the clock was put back."""
        self._next_at = 0.0

    def _not_told(self, batch: Sequence[RecallRecord], error: RecallError) -> list[RecallRecord]:
        """Have it tried again after a while; gives what was tried often enough."""
        log.warning(
            "a long-term store was not told to let archives go; it is tried again",
            store=self._name,
            why=str(error),
        )
        self._next_at = self._now() + self._pace.pause_after(self._troubles)
        self._troubles += 1
        self._attempts.update({each.archive_id for each in batch})
        return [each for each in batch if self._attempts[each.archive_id] >= LET_GO_ATTEMPTS]

    def _now(self) -> float:
        return self._tools.clock().timestamp()
