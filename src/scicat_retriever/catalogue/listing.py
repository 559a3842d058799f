"""Reading a long list out of one of SciCat's answers, element by element."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import httpx2
import ijson

from scicat_retriever.domain.errors import CatalogueAnswerUnreadable

MAX_DEPTH = 32
"""How deeply an answer may be nested; SciCat's own are 4 deep, `scientificMetadata` a few more."""


def elements(response: httpx2.Response, prefix: str, what: str) -> Iterator[object]:
    """Give the elements of a list in an answer, in memory for one of them.

    Args:
        response: Whose body was not read yet.
        prefix: Where the elements are (ijson): `item` of a list, `key.item` of a list inside an object, `item.key.item` of
            lists inside the objects of a list.
        what: What is listed, for the error's text.

    Raises:
        CatalogueAnswerUnreadable: The answer is nested too deeply, or is no list (an object for `key.item`).
        ijson.JSONError: It is not JSON, or ends too early.
    """
    events = ijson.basic_parse(ijson.from_iter(response.iter_bytes()), use_float=True)
    expected = "start_array" if prefix.startswith("item") else "start_map"
    yield from ijson.items(ijson.parse(_shallow(events, expected, what)), prefix)


def _shallow(events: Iterable[tuple[str, object]], expected: str, what: str) -> Iterator[tuple[str, object]]:
    """Let JSON events pass that are not nested too deeply: the parser needs memory quadratic in the depth."""
    depth = 0
    for number, (event, value) in enumerate(events):
        if number == 0 and event != expected:
            # Such an answer has no elements, which must not be taken for an empty list.
            raise CatalogueAnswerUnreadable(f"SciCat's answer is no list of {what}")
        depth += (event in {"start_map", "start_array"}) - (event in {"end_map", "end_array"})
        if depth > MAX_DEPTH:
            raise CatalogueAnswerUnreadable(f"SciCat's answer is nested too deeply to be a list of {what}")
        yield event, value
