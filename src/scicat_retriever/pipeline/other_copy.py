"""Another copy: where an archive cannot be had from its store, or is not right there, it is read from the next one."""

from __future__ import annotations

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import RetrieverError, concrete_errors
from scicat_retriever.pipeline.toolbox import Toolbox
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


def turn_to_other_copy(record: DatablockRecord, failed: str, code: str, why: str, tools: Toolbox) -> bool:
    """Have a datablock be read from the store that has another copy of it. May be repeated.

    Args:
        record: The datablock, whose last attempt failed for good.
        failed: The store that it was read from then.
        code: The code of its failure.
        why: The failure in words.
        tools: The ports.

    Returns:
        Whether there is such a store, and such a copy may help.
    """
    if record.store != failed:
        return True
    other = tools.stores.copies.get(failed)
    if other is None or code not in OTHER_MAY_HELP:
        return False
    tools.ledger.read_from(
        record.key, other, f"the copy in {record.store} is no good ({why}); reading the one in {other}"
    )
    return True
