"""Amounts of bytes and of time as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.cli.operator.quantities import read_bytes, read_duration, read_moment
from scicat_retriever.domain.amounts import in_words


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("500", 500),
        ("500 bytes", 500),
        ("10GB", 10**10),
        ("10 gb", 10**10),
        ("10g", 10**10),
        ("1.2 TB", 12 * 10**11),
        ("10GiB", 10 * 2**30),
        ("0.5KiB", 512),
        ("1.9999B", 1),
        (" 2kB ", 2000),
        ("999999999999999999", 999999999999999999),
        ("0.999999999999999999 EB", 999999999999999999),
    ],
)
def test_bytes_are_read_exactly(text: str, size: int) -> None:
    assert read_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("30min", 1800),
        ("12h", 43200),
        ("7d", 604800),
        ("2W", 1209600),
        ("1.5 d", 129600),
    ],
)
def test_times_are_read_in_seconds(text: str, seconds: int) -> None:
    assert read_duration(text) == seconds


NO_AMOUNT = [
    "",
    " ",
    "GB",
    "-5GB",
    "+5",
    "1,5GB",
    "1.GB",
    ".5GB",
    "1e9",
    "0x10",
    "10 G B",
    "10GB!",
    "ten",
    "٣GB",
]


@pytest.mark.parametrize("text", [*NO_AMOUNT, "10 lightyears", "7d", "1" * 19, "1GB\n2GB"])
def test_what_is_no_amount_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not bytes, for example"):
        read_bytes(text)


@pytest.mark.parametrize("text", [*NO_AMOUNT, "7", "7y", "7GB", "1d12h", "P7D"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time, for example"):
        read_duration(text)


@pytest.mark.parametrize("text", ["0", "0GB", "0.4"])
def test_no_bytes_are_too_little(text: str) -> None:
    with pytest.raises(ValueError, match="is too little"):
        read_bytes(text)


@pytest.mark.parametrize("text", ["0s", "0d", "0.9s"])
def test_no_time_is_too_little(text: str) -> None:
    with pytest.raises(ValueError, match="is too little"):
        read_duration(text)


@given(st.integers(1, 10**17))
def test_an_amount_of_bytes_without_a_unit_is_read_as_it_is(size: int) -> None:
    assert read_bytes(str(size)) == read_bytes(f"{size} B") == size


@given(st.integers(1, 10**18))
def test_what_is_shown_in_words_can_be_typed_again(size: int) -> None:
    read = read_bytes(in_words(size))
    assert abs(read - size) <= 0.051 * size


@given(st.integers(1, 10**9), st.sampled_from(["kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"]))
def test_units_multiply(number: int, unit: str) -> None:
    assert read_bytes(f"{number}{unit}") == number * read_bytes(f"1{unit}")


@given(st.integers(1, 10**6), st.sampled_from(["s", "min", "h", "d", "w"]))
def test_units_of_time_multiply(number: int, unit: str) -> None:
    assert read_duration(f"{number}{unit}") == number * read_duration(f"1{unit}")


@given(st.text())
def test_any_text_is_an_amount_or_refused_in_words(text: str) -> None:
    for read in (read_bytes, read_duration):
        try:
            assert read(text) >= 1
        except ValueError as error:
            assert "for example" in str(error)  # noqa: PT017 - the other outcome is good, too


def test_a_moment_is_given_in_utc() -> None:
    assert read_moment("2026-12-24T12:00+02:00") == datetime(2026, 12, 24, 10, tzinfo=UTC)
    assert read_moment("2026-12-24T12:00Z").tzinfo is UTC


def test_a_moment_without_a_zone_is_this_machines() -> None:
    assert read_moment(" 2026-12-24 ") == datetime(2026, 12, 24).astimezone()


ZONES = st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=ZONES).filter(lambda moment: 1 < moment.year < 9999))
def test_every_moment_is_read_as_it_is_written(moment: datetime) -> None:
    assert read_moment(moment.isoformat()) == moment


@given(st.text())
def test_any_text_is_a_moment_or_refused_in_words(text: str) -> None:
    try:
        read = read_moment(text)
    except ValueError as error:
        assert "is no time" in str(error)  # noqa: PT017 - the other outcome is good, too
        return
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "tomorrow", "2026-13-01"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time, for example"):
        read_moment(text)
