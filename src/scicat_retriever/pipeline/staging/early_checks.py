"""Early checks: somebody waits for fixity, since the manifests of datablocks lack what he needs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.pipeline.staging.fixity_pace import FixityPace
from scicat_retriever.pipeline.tools.toolbox import StagingTools


def check_early(
    keys: Collection[DatablockKey], pace: FixityPace, sweep_interval: timedelta, tools: StagingTools
) -> datetime | None:
    """Have staged datablocks read before all others, in the order in which that was asked for.

    Args:
        keys: The datablocks; those that are not staged are passed over. To ask again changes nothing.
        pace: How fast they are read.
        sweep_interval: How often the look at fixity begins.
        tools: The ports.

    Returns:
        About when all of them will have been read (UTC), if a look is not in the middle of another large
        datablock; None where staged datablocks are never read again, by the operator's word.
    """
    for key in keys:
        tools.ledger.inventory.want_check(key)
    if not pace.fixity_bytes_per_second:
        return None
    ahead = tools.ledger.inventory.wanted_checks()
    last = max((at for at, record in enumerate(ahead) if record.key in keys), default=-1)
    size = sum(record.bytes_total for record in ahead[: last + 1])
    return tools.clock() + sweep_interval + timedelta(seconds=size / pace.fixity_bytes_per_second)
