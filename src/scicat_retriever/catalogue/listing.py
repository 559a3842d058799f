"""A long list in one of SciCat's answers, read element by element."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import ijson

from scicat_retriever.domain.amounts import in_words
from scicat_retriever.domain.errors import CatalogueAnswerUnreadable

MAX_DEPTH = 32
"""Most levels of an answer's nesting; SciCat's own answers have 4, `scientificMetadata` has a few more."""


MAX_ELEMENT = 64 * 2**20
"""Bytes of one element, which is in memory as a whole; a document of SciCat's database has 16 MB at most."""


def elements(pieces: Iterable[bytes], prefix: str, what: str) -> Iterator[object]:
    """Give the elements of a list in an answer, with memory for one of them.

    Args:
        pieces: The answer's body.
        prefix: Where the elements are (ijson): `item` in a list, `key.item` in a list inside an object,
            `item.key.item` in lists inside the objects of a list.
        what: The word for what is listed, for the error's text.

    Raises:
        CatalogueAnswerUnreadable: The answer has an element that is too large, is nested too deeply, or is no
            list (an object for `key.item`).
        ijson.JSONError: The answer is not JSON, or ends too early.
    """
    gauge = _Gauge(what)
    events = ijson.basic_parse(ijson.from_iter(gauge.passing(pieces)), use_float=True)
    expected = "start_array" if prefix.startswith("item") else "start_map"
    for element in ijson.items(ijson.parse(_shallow(events, expected, what)), prefix):
        gauge.begin_again()
        yield element


class _Gauge:
    """Counts the bytes that pass between two elements."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._passed = 0

    def begin_again(self) -> None:
        """Count from 0 for the next element."""
        self._passed = 0

    def passing(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Let pieces pass, and count their bytes.

        Raises:
            CatalogueAnswerUnreadable: More bytes passed than one element may have.
        """
        for piece in pieces:
            self._passed += len(piece)
            if self._passed > MAX_ELEMENT + len(piece):
                raise CatalogueAnswerUnreadable(
                    f"SciCat's answer has an entry of more than {in_words(MAX_ELEMENT)} in its list of {self._what}"
                )
            yield piece


def _shallow(events: Iterable[tuple[str, object]], expected: str, what: str) -> Iterator[tuple[str, object]]:
    """Let JSON events pass, up to `MAX_DEPTH`: the parser needs memory quadratic in the depth."""
    depth = 0
    for number, (event, value) in enumerate(events):
        if number == 0 and event != expected:
            # Such an answer has no elements, which must not be taken for an empty list.
            raise CatalogueAnswerUnreadable(f"SciCat's answer is no list of {what}")
        depth += (event in {"start_map", "start_array"}) - (event in {"end_map", "end_array"})
        if depth > MAX_DEPTH:
            raise CatalogueAnswerUnreadable(f"SciCat's answer is nested too deeply to be a list of {what}")
        yield event, value
