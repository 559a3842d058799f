from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Dialect, create_engine

from scicat_retriever.ledger.database.columns import UtcTime

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DIALECTS = [create_engine(url).dialect for url in ("sqlite://", "postgresql+psycopg://")]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
def test_a_moment_without_a_time_zone_is_never_stored(dialect: Dialect) -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        UtcTime().process_bind_param(NOON.replace(tzinfo=None), dialect)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda each: each.name)
def test_a_moment_comes_back_the_same_and_in_utc_whatever_its_zone(dialect: Dialect) -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    stored = UtcTime().process_bind_param(elsewhere, dialect)
    back = UtcTime().process_result_value(stored, dialect)
    assert back == NOON
    assert back.tzinfo is UTC
