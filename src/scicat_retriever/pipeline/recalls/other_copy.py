"""Other copy: an archive that its store cannot give, or gives wrong, is read from the next store.

An extract that was wrong is first read as its whole archive.
"""

from __future__ import annotations

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import RetrieverError, concrete_errors
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.datablock_record import DatablockRecord

_ABOUT_THE_COPY: tuple[type[RetrieverError], ...] = (
    errors.RecallError,
    errors.TransferError,
    errors.IntegrityError,
)
_NOT_ABOUT_IT = (errors.ArchiveIdUnsafe, errors.StoreNotConfigured)
OTHER_MAY_HELP = frozenset(
    kind.code
    for kind in concrete_errors()
    if issubclass(kind, _ABOUT_THE_COPY) and not issubclass(kind, _NOT_ABOUT_IT)
)
"""Codes of the failures that another copy of the archive may not have."""
WHOLE_MAY_HELP = frozenset(
    kind.code for kind in concrete_errors() if issubclass(kind, (errors.TransferError, errors.IntegrityError))
)
"""Codes of the failures of an extract that its whole archive may not have."""


def turn_to_other_copy(
    record: DatablockRecord, failed: str, code: str, why: str, tools: Toolbox, *, part: bool = False
) -> bool:
    """Have a datablock be read from the store with its other copy.

    An extract that was not right is first read as its whole archive.

    May be repeated.

    Args:
        record: The datablock, whose last attempt failed for good.
        failed: The store that it was read from then.
        code: The code of its failure.
        why: The failure in words.
        tools: The ports.
        part: Whether only a part of its archive was read then.

    Returns:
        Whether there is such a store, or a whole, and it may help.
    """
    is_part = bool(record.datablock.ranges)
    if (record.store, is_part) != (failed, part):
        return True
    if is_part and code in WHOLE_MAY_HELP:
        tools.ledger.datablocks.read_whole(record.key, f"a part of it is no good ({why}); reading all of it")
        return True
    other = tools.stores.copies.get(failed)
    if other is None or code not in OTHER_MAY_HELP:
        return False
    if is_part:
        tools.ledger.datablocks.read_whole(
            record.key, f"a part of it cannot be had ({why}); reading all of it"
        )
    tools.ledger.datablocks.read_from(
        record.key, other, f"the copy in {failed} is no good ({why}); reading the one in {other}"
    )
    return True
