import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.amounts import in_words, ordinal


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_960, "10 kB"),
        (12_345, "12 kB"),
        (999_600, "1.0 MB"),
        (1_200_000_000_000, "1.2 TB"),
        (2 * 10**21, "2000 EB"),
    ],
)
def test_a_size_is_written_with_its_unit(size: int, words: str) -> None:
    assert in_words(size) == words


@given(st.integers(0, 10**19))
def test_a_written_size_is_right_to_a_twentieth(size: int) -> None:
    number, unit = in_words(size).split()
    factor = 1000 ** ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"].index(unit)
    assert abs(float(number) * factor - size) <= size / 20


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (112, "112th"),
    ],
)
def test_a_place_is_written_as_people_say_it(number: int, word: str) -> None:
    assert ordinal(number) == word
