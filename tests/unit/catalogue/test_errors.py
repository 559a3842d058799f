import json
import traceback

import httpx2
import ijson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.catalogue.errors import (
    MESSAGE_LIMIT,
    cleaned,
    foreign_errors_mapped,
    message_in,
    refusal,
)
from scicat_retriever.domain.errors import (
    CatalogueAnswerUnreadable,
    CatalogueError,
    CatalogueForbidden,
    CatalogueLoginFailed,
    CatalogueRefused,
    CatalogueUnavailable,
)
from tests.unit.foreign_errors import exceptions_of

FOREIGN = exceptions_of("httpx2")
PARSER_ERRORS = [kind for kind in exceptions_of("ijson") if kind.__name__ != "YAJLImportError"]
"""Those of reading; the one that is left out tells that a parser is not installed, and the next best is taken."""


def instance(kind: type[Exception]) -> Exception:
    """Make an exception without its own constructor, which may want anything."""
    return kind.__new__(kind, "some text")


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.__name__)
def test_every_exception_of_the_http_client_becomes_a_catalogue_error(kind: type[Exception]) -> None:
    with pytest.raises(CatalogueError) as raised, foreign_errors_mapped("GET /x"):
        raise instance(kind)
    assert raised.value.code
    assert "direct cause" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in FOREIGN
        if issubclass(kind, httpx2.NetworkError | httpx2.TimeoutException | httpx2.RemoteProtocolError)
    ],
    ids=lambda kind: kind.__name__,
)
def test_what_the_network_does_may_be_tried_again(kind: type[Exception]) -> None:
    with pytest.raises(CatalogueUnavailable), foreign_errors_mapped("GET /x"):
        raise instance(kind)


@pytest.mark.parametrize("kind", PARSER_ERRORS, ids=lambda kind: kind.__name__)
def test_every_exception_of_the_parser_becomes_a_catalogue_error(kind: type[Exception]) -> None:
    with pytest.raises(CatalogueError), foreign_errors_mapped("GET /x"):
        raise instance(kind)


def test_the_exceptions_of_the_libraries_are_found() -> None:
    assert {httpx2.ConnectTimeout, httpx2.StreamClosed, httpx2.InvalidURL} <= set(FOREIGN)
    assert {ijson.JSONError, ijson.IncompleteJSONError} <= set(PARSER_ERRORS)


def test_a_parser_error_is_an_unreadable_answer() -> None:
    with pytest.raises(CatalogueAnswerUnreadable), foreign_errors_mapped("GET /x"):
        list(ijson.items(b"<html>", "item"))


def test_an_answer_that_ends_too_early_may_be_asked_for_again() -> None:
    with pytest.raises(CatalogueUnavailable), foreign_errors_mapped("GET /x"):
        list(ijson.items(b'[{"a":', "item"))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (301, CatalogueRefused),
        (400, CatalogueRefused),
        (401, CatalogueLoginFailed),
        (403, CatalogueForbidden),
        (408, CatalogueUnavailable),
        (409, CatalogueRefused),
        (413, CatalogueRefused),
        (429, CatalogueUnavailable),
        (500, CatalogueUnavailable),
        (503, CatalogueUnavailable),
    ],
)
def test_a_status_decides_the_error(status: int, expected: type[CatalogueError]) -> None:
    assert type(refusal(status, "why", "GET /x")) is expected


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "Forbidden resource", "error": "Forbidden", "statusCode": 403}, "Forbidden resource"),
        ({"message": ["a must be", "b must be"], "statusCode": 400}, "a must be; b must be"),
        ({"status": 400, "message": "Invalid job id."}, "Invalid job id."),
        (
            {"message": "Invalid dataset list.", "error": '[{"property":"pid"}]'},
            'Invalid dataset list. [{"property":"pid"}]',
        ),
        ({"error": "no message"}, "no message"),
        ("Internal server error", "Internal server error"),
        ({"message": {"deep": 1}}, ""),
        (None, ""),
    ],
)
def test_the_message_is_found_in_every_shape_of_error(body: object, message: str) -> None:
    assert message_in(json.dumps(body).encode()) == message


def test_a_proxys_page_is_the_message_itself() -> None:
    assert message_in(b"<h1>502</h1>\r\n\x00") == "<h1>502</h1>"


@given(
    st.binary(max_size=5000) | st.text(max_size=5000).map(lambda text: json.dumps({"message": text}).encode())
)
def test_a_message_is_one_bounded_printable_line(content: bytes) -> None:
    message = message_in(content)
    assert len(message) <= MESSAGE_LIMIT
    assert message.isprintable()


def test_a_message_that_is_too_long_is_cut_visibly() -> None:
    assert cleaned("x" * 10_000) == "x" * (MESSAGE_LIMIT - 1) + "…"
