"""Ownership: a staging area belongs to one ledger, or two services would remove each other's files.

Its marker names the ledger's identity. An area that was marked and has no marker is not mounted; one with
another marker is another service's. Either way nothing in it is touched, and nothing is taken for lost.
"""

from __future__ import annotations

from itertools import islice

from scicat_retriever.domain.errors import StagingNotOurs
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.staging_area import StagingArea

_LOOKED_AT = 1000
"""Files of an unmarked area that are looked at for one that the ledger knows."""
ADOPT = "`retriever adopt-staging` with the service's own --config and --data"
"""The command that makes an area this ledger's, as messages name it."""


def take(area: StagingArea, ledger: Ledger) -> None:
    """See that the area is the ledger's own; one that is nobody's becomes its own.

    An area without a marker is nobody's where the ledger knows files of it, which were staged by a version
    that wrote no markers; or where it is empty and the ledger has nothing staged.

    Raises:
        StagingNotOurs: It is another's, or not mounted, or has files that nobody knows; the message says what
            to do.
        StagingError: It cannot be looked at or marked.
    """
    identity, owner = ledger.ownership.identity(), area.owner()
    if owner is None and ledger.ownership.has_marked(area.location):
        owner = area.owner()  # another process of this service may have marked it between the two questions
        if owner is None:
            raise not_ours(area, None)
    if owner is None:
        area.prepare()
        _refuse_files_of_nobody(area, ledger)
        area.mark(identity)
        owner = area.owner()
    if owner != identity:
        raise not_ours(area, owner)
    area.prepare()
    ledger.ownership.note_marked(area.location)


def adopt(area: StagingArea, ledger: Ledger) -> str | None:
    """Make the area the ledger's own, whoever's it was; gives the former owner, None where there was none.

    Raises:
        StagingError: It cannot be marked.
    """
    identity = ledger.ownership.identity()
    area.prepare()
    former = area.owner()
    if former != identity:
        area.mark(identity, anew=True)
    ledger.ownership.note_marked(area.location)
    return former


def not_ours(area: StagingArea, owner: str | None) -> StagingNotOurs:
    """Say that an area has another owner than this ledger, or no marker any more, and what to do."""
    if owner is None:
        return StagingNotOurs(
            f"the staging area {area.location} has lost its marker: mount it, if it is not mounted; if it is a new and empty one, "
            f"run {ADOPT}. Nothing was removed"
        )
    return StagingNotOurs(
        f"the staging area {area.location} belongs to another ledger ({owner}): give each service an area of its own. If "
        f"that service is gone for good, run {ADOPT}. Nothing was removed"
    )


def _refuse_files_of_nobody(area: StagingArea, ledger: Ledger) -> None:
    """Let an area without a marker be taken that has what the ledger says: its files, or nothing."""
    tokens = {each.token for each in islice(area.holdings(), _LOOKED_AT)}
    if tokens and not ledger.inventory.known_tokens(tokens):
        raise StagingNotOurs(
            f"the staging area {area.location} has no owner and holds files that this ledger does not know: name an empty "
            f"one, or run {ADOPT} if they may be removed"
        )
    if not tokens and ledger.inventory.usage().staged:
        raise StagingNotOurs(
            f"the staging area {area.location} is empty, and the ledger has files in staging: mount it, if it is not mounted; if "
            f"it is a new one, run {ADOPT}. Nothing was removed"
        )
