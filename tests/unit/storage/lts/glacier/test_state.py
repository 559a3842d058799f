"""What the words of an S3 mean, as its reference writes them and as they should never be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.ports.long_term_store import Locality
from scicat_retriever.storage.lts.glacier.state import (
    SeenObject,
    is_readable,
    seen_in_head,
    seen_in_listing,
    state_of,
)

CLASSES = ("GLACIER", "DEEP_ARCHIVE")
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SEEN = st.builds(
    SeenObject,
    size=st.integers(0, 2**45),
    storage_class=st.sampled_from(["STANDARD", "GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING"]),
    archive_status=st.sampled_from(["", "ARCHIVE_ACCESS"]),
    ongoing=st.none() | st.booleans(),
    expires=st.none() | st.integers(-(10**6), 10**6).map(lambda seconds: NOW + timedelta(seconds=seconds)),
)


def head(restore: str) -> SeenObject:
    return seen_in_head({"ContentLength": 5, "StorageClass": "GLACIER", "Restore": restore})


@pytest.mark.parametrize(
    ("restore", "ongoing", "expires"),
    [
        ('ongoing-request="true"', True, None),
        (
            'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"',
            False,
            datetime(2012, 12, 21, tzinfo=UTC),
        ),
        (
            'expiry-date="Fri, 21 Dec 2012 00:00:00 +0100",ongoing-request="FALSE"',
            False,
            datetime(2012, 12, 20, 23, tzinfo=UTC),
        ),
        (
            'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 -0000"',
            False,
            datetime(2012, 12, 21, tzinfo=UTC),
        ),
        ('ongoing-request="false", expiry-date="next week"', False, None),
        ("", None, None),
        ("soon", None, None),
    ],
)
def test_the_restore_header_is_read(restore: str, ongoing: bool | None, expires: datetime | None) -> None:
    assert (head(restore).ongoing, head(restore).expires) == (ongoing, expires)


@given(st.text() | st.from_regex(r'ongoing-request="(true|false)", expiry-date="[^"]{0,40}"'))
def test_no_restore_header_is_too_odd_to_be_read(restore: str) -> None:
    seen = head(restore)
    assert seen.expires is None or seen.expires.tzinfo is UTC


@given(st.integers(-(2**31), 2**37).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)))
def test_any_date_of_http_is_read_as_it_was_written(at: datetime) -> None:
    assert head(f'ongoing-request="false", expiry-date="{format_datetime(at, usegmt=True)}"').expires == at


@pytest.mark.parametrize(
    ("status", "ongoing", "expires"),
    [
        (None, None, None),
        ({"IsRestoreInProgress": True}, True, None),
        ({"IsRestoreInProgress": False}, None, None),
        ({"IsRestoreInProgress": False, "RestoreExpiryDate": NOW}, False, NOW),
    ],
)
def test_the_restore_status_of_a_listing_is_read(
    status: dict[str, object] | None, ongoing: bool | None, expires: datetime | None
) -> None:
    entry = {"Size": 5, "StorageClass": "GLACIER"} | ({} if status is None else {"RestoreStatus": status})
    assert (seen_in_listing(entry).ongoing, seen_in_listing(entry).expires) == (ongoing, expires)


def test_a_listing_s_date_beyond_all_dates_is_none() -> None:
    beyond = datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))
    status = {"IsRestoreInProgress": False, "RestoreExpiryDate": beyond}
    assert seen_in_listing({"Size": 5, "RestoreStatus": status}).expires is None


@given(SEEN, st.floats(0, 10**6))
def test_what_is_said_to_be_online_can_be_read(seen: SeenObject, extend_before: float) -> None:
    if state_of(seen, CLASSES, NOW, extend_before).locality is Locality.ONLINE:
        assert is_readable(seen, CLASSES, NOW)


@given(SEEN, st.floats(0, 10**6))
def test_what_is_not_online_says_why(seen: SeenObject, extend_before: float) -> None:
    state = state_of(seen, CLASSES, NOW, extend_before)
    assert state.locality is Locality.ONLINE or state.reason


@given(SEEN, st.floats(0, 10**6))
def test_an_online_copy_lasts_for_longer_than_reading_may_take(
    seen: SeenObject, extend_before: float
) -> None:
    archived = seen.storage_class in CLASSES or seen.archive_status
    online = state_of(seen, CLASSES, NOW, extend_before).locality is Locality.ONLINE
    if online and archived and seen.expires is not None:
        assert seen.expires > NOW + timedelta(seconds=extend_before)


def test_a_copy_that_expires_too_soon_says_until_when_it_is_there() -> None:
    seen = SeenObject(5, storage_class="GLACIER", ongoing=False, expires=NOW + timedelta(hours=2))
    assert (
        state_of(seen, CLASSES, NOW, 10_000).reason == "it is restored, but only until 2026-06-01 14:00 UTC"
    )
