from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.foreign_text import one_line


@given(st.text(), st.integers(1, 50))
def test_foreign_text_becomes_one_printable_line_of_some_length(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.isprintable()


def test_words_stay_as_they_are_and_what_is_too_long_says_so() -> None:
    assert one_line("tape\n VB1234\tis \x1b[31mbroken", 100) == "tape VB1234 is [31mbroken"
    assert one_line("x" * 11, 10) == "x" * 9 + "…"
