"""From what an S3 says of an object to where the archive is.

The header `x-amz-restore` and storage classes:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html. RestoreStatus of listings:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreStatus.html.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from scicat_retriever.ports.long_term_store import Locality, RecallState

TIERING = "INTELLIGENT_TIERING"
"""The storage class whose objects move to archive tiers of their own; restored for good, not for days."""
DEEP = frozenset({"DEEP_ARCHIVE", "DEEP_ARCHIVE_ACCESS"})
"""The class and the archive tier from which nothing is restored by `Expedited`."""

_ONGOING = re.compile(r'ongoing-request\s*=\s*"(true|false)"', re.IGNORECASE)
_EXPIRES = re.compile(r'expiry-date\s*=\s*"([^"]{1,100})"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SeenObject:
    """An object as the S3 described it.

    Attributes:
        size: Bytes.
        etag: Its ETag, as the S3 writes it.
        storage_class: Its storage class; `STANDARD` is not always said.
        archive_status: The archive tier of an object of Intelligent-Tiering; empty where it is in none.
        ongoing: Whether it is being restored; None where nothing is said of a restore.
        expires: Until when the restored copy is kept, UTC; None where that is not said.
        refused: Whether the S3 said that the object is restored, and then did not give a byte of it.
    """

    size: int
    etag: str = ""
    storage_class: str = "STANDARD"
    archive_status: str = ""
    ongoing: bool | None = None
    expires: datetime | None = None
    refused: bool = False


def seen_in_head(answer: Mapping[str, Any]) -> SeenObject:
    """Read the answer to HeadObject. What cannot be read in `x-amz-restore` counts as not said.

    Raises:
        ValueError: The answer has no size.
    """
    if "ContentLength" not in answer:
        raise ValueError("it has no Content-Length")
    restore = str(answer.get("Restore", ""))
    ongoing = _ONGOING.search(restore)
    expires = _EXPIRES.search(restore)
    return SeenObject(
        size=int(answer["ContentLength"]),
        etag=str(answer.get("ETag", "")),
        storage_class=str(answer.get("StorageClass") or "STANDARD"),
        archive_status=str(answer.get("ArchiveStatus") or ""),
        ongoing=None if ongoing is None else ongoing[1].lower() == "true",
        expires=None if expires is None else _moment(expires[1]),
    )


def seen_in_listing(entry: Mapping[str, Any]) -> SeenObject:
    """Read an entry of ListObjectsV2 that has a size.

    A date that does not exist in UTC (year 10000) counts as not said.
    """
    status: Mapping[str, Any] = entry.get("RestoreStatus") or {}
    expires: datetime | None = status.get("RestoreExpiryDate")
    ongoing: bool | None = status.get("IsRestoreInProgress")
    return SeenObject(
        size=int(entry["Size"]),
        etag=str(entry.get("ETag", "")),
        storage_class=str(entry.get("StorageClass") or "STANDARD"),
        ongoing=bool(ongoing) if ongoing or expires else None,
        expires=None if expires is None else _in_utc(expires),
    )


def is_archived(seen: SeenObject, archive_classes: Collection[str]) -> bool:
    """Say whether the object itself cannot be read, only a restored copy of it."""
    return seen.storage_class in archive_classes or bool(seen.archive_status)


def is_restored_for_ever(seen: SeenObject, archive_classes: Collection[str]) -> bool:
    """Say whether the S3 claims a restored copy without an expiry. Some that claim it have no copy."""
    return is_archived(seen, archive_classes) and seen.ongoing is False and seen.expires is None


def is_readable(seen: SeenObject, archive_classes: Collection[str], now: datetime) -> bool:
    """Say whether the S3 gives the object's bytes at this moment."""
    if seen.refused:
        return False
    if not is_archived(seen, archive_classes):
        return not seen.ongoing
    return seen.ongoing is False and (seen.expires is None or seen.expires > now)


def state_of(
    seen: SeenObject, archive_classes: Collection[str], now: datetime, extend_before: float
) -> RecallState:
    """Say where an archive is.

    Args:
        seen: What the S3 said.
        archive_classes: The storage classes that have to be restored.
        now: UTC.
        extend_before: A restored copy that expires within so many seconds counts as offline, so that it is
            asked for again: then it is kept for longer.
    """
    tier = seen.archive_status or seen.storage_class
    if seen.ongoing:
        return RecallState(Locality.RECALLING, seen.size, f"it is being restored from {tier}")
    if not is_archived(seen, archive_classes):
        return RecallState(Locality.ONLINE, seen.size)
    if seen.refused:
        return RecallState(
            Locality.OFFLINE,
            seen.size,
            f"the S3 says that it is restored from {tier}, without an expiry date, and does not give it "
            "(InvalidObjectState); if that stays so after a restore, the tape behind the S3 is away, or "
            f"`archive_classes` names {seen.storage_class} wrongly",
        )
    if seen.ongoing is None:
        return RecallState(Locality.OFFLINE, seen.size, f"it is archived ({tier}) and not restored")
    if seen.expires is None or seen.expires - now > timedelta(seconds=extend_before):
        until = "" if seen.expires is None else f"restored until {seen.expires:%Y-%m-%d %H:%M} UTC"
        return RecallState(Locality.ONLINE, seen.size, until)
    was = "is restored, but only" if seen.expires > now else "was restored"
    return RecallState(Locality.OFFLINE, seen.size, f"it {was} until {seen.expires:%Y-%m-%d %H:%M} UTC")


def _moment(text: str) -> datetime | None:
    try:
        return _in_utc(parsedate_to_datetime(text))
    except (
        ValueError,
        TypeError,
        OverflowError,
    ):  # what the standard library raises for other than RFC 5322 dates
        return None


def _in_utc(moment: datetime) -> datetime | None:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return None
