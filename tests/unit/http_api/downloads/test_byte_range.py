import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.errors import RangeUnsatisfiable
from scicat_retriever.http_api.downloads.byte_range import wanted_range

NUMBERS = st.integers(0, 12).map(str) | st.sampled_from(["", "007", str(2**63), "9" * 40])
RANGES = st.builds("{}={}-{}".format, st.sampled_from(["bytes", "Bytes", "items"]), NUMBERS, NUMBERS)


def model(header: str, size: int) -> bytes | type[RangeUnsatisfiable] | None:
    """The bytes of `range(size)` that a range asks for, one by one; None for a header to be passed over."""
    match = re.fullmatch(r"(?i:bytes)=([0-9]{0,19})-([0-9]{0,19})", header)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = (None if part == "" else int(part) for part in match.groups())
    if first is not None and last is not None and last < first:
        return None
    wanted = bytes(
        place
        for place in range(size)
        if (
            size - place <= (last or 0)
            if first is None
            else place >= first and (last is None or place <= last)
        )
    )
    return wanted or RangeUnsatisfiable


@given(RANGES, st.integers(0, 10))
def test_a_range_is_what_a_plain_model_says(header: str, size: int) -> None:
    expected = model(header, size)
    if expected is RangeUnsatisfiable:
        with pytest.raises(RangeUnsatisfiable, match=f"{size} bytes"):
            wanted_range(header, size)
    else:
        wanted = wanted_range(header, size)
        assert (None if wanted is None else bytes(range(size))[wanted.start : wanted.stop]) == expected


@given(st.text(max_size=30), st.integers(0, 100))
def test_whatever_stands_in_the_header_it_is_a_part_of_the_file_or_none(header: str, size: int) -> None:
    wanted = wanted_range(header, size)
    assert wanted is None or 0 <= wanted.start < wanted.stop <= size


@pytest.mark.parametrize(
    "header",
    [None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=0-1,4-5", "bytes=٣-", "0-1"],
)
def test_a_header_that_is_no_single_range_means_the_whole_file(header: str | None) -> None:
    assert wanted_range(header, 10) is None
