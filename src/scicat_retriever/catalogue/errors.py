"""The seam where foreign errors end: the HTTP client's, the JSON parser's, and SciCat's error answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import ijson

from scicat_retriever.domain.errors import (
    CatalogueAnswerUnreadable,
    CatalogueError,
    CatalogueForbidden,
    CatalogueLoginFailed,
    CatalogueRefused,
    CatalogueTimedOut,
    CatalogueUnavailable,
)
from scicat_retriever.domain.foreign_text import one_line

MESSAGE_LIMIT = 300
"""Characters of a foreign message that are kept."""


def cleaned(text: str) -> str:
    """Give foreign text as one bounded line without control characters."""
    return one_line(text, MESSAGE_LIMIT)


def message_in(content: bytes) -> str:
    """Find the message in an error answer of SciCat.

    SciCat has three shapes: `{message, error, statusCode}`, `{status, message}`, and `{message, error}` whose
    `error` is JSON text that says more than the message. `message` is a string or a list. A 500 may be a bare
    JSON string. An answer that is not JSON (a proxy's page) is given as it is, bounded.
    """
    try:
        body: Any = json.loads(content)
    except (ValueError, RecursionError):
        return cleaned(content[: 8 * MESSAGE_LIMIT].decode("utf-8", "replace"))
    message = body.get("message") if isinstance(body, dict) else body
    if isinstance(message, list):
        message = "; ".join(str(part) for part in message[:10])
    if isinstance(body, dict) and "statusCode" not in body and isinstance(body.get("error"), str):
        message = f"{message or ''} {body['error'][:MESSAGE_LIMIT]}".strip()
    return cleaned(message) if isinstance(message, str) else ""


def refusal(status: int, message: str, what: str, right: str = "") -> CatalogueError:
    """Give the error that an answer other than 2xx stands for.

    Args:
        status: The HTTP status.
        message: The message found in the answer.
        what: Method and path of the request, for the error's text.
        right: The setting of SciCat that gives the account the missing right (see `rights`).
    """
    text = f"SciCat answers {status} to {what}" + (f": {message}" if message else "")
    if status == 401:
        return CatalogueLoginFailed(
            f"{text}. Check the account's user name and password, or configure a new catalogue.token"
        )
    if status == 403:
        return CatalogueForbidden(f"{text}. {right or 'The account of the service lacks the right'}")
    if status in (408, 425, 429) or status >= 500:
        return CatalogueUnavailable(text)
    if 300 <= status < 400:
        return CatalogueRefused(
            f"{text}. Redirects are not followed; set the address to where SciCat really is"
        )
    return CatalogueRefused(text)


def transport_error(error: Exception, what: str) -> CatalogueError:
    """Give the catalogue's error that an error of httpx2 stands for."""
    kind = type(error).__name__
    if isinstance(error, httpx2.DecodingError):
        return CatalogueAnswerUnreadable(f"SciCat's answer to {what} cannot be decompressed")
    if isinstance(error, httpx2.LocalProtocolError | httpx2.UnsupportedProtocol):
        # Their text may quote a header, and so the token.
        return CatalogueRefused(f"The request {what} could not be made ({kind}); check the address of SciCat")
    if isinstance(error, httpx2.TimeoutException):
        return CatalogueTimedOut(f"SciCat did not answer {what} in time ({kind})")
    if isinstance(error, httpx2.TransportError):
        return CatalogueUnavailable(f"SciCat cannot be reached for {what} ({kind}: {cleaned(str(error))})")
    return CatalogueRefused(f"The request {what} could not be made ({kind})")


def _parser_error(error: ijson.JSONError, what: str) -> CatalogueError:
    if "premature EOF" in str(error):
        return CatalogueUnavailable(f"SciCat's answer to {what} ends too early")
    return CatalogueAnswerUnreadable(f"SciCat's answer to {what} is not JSON")


@contextmanager
def foreign_errors_mapped(what: str) -> Iterator[None]:
    """Turn an error of httpx2 or ijson inside the block into a `CatalogueError`.

    The original error is not chained: it carries the request, and with it the token.
    """
    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, httpx2.CookieConflict) as error:
        raise transport_error(error, what) from None
    except ijson.JSONError as error:
        raise _parser_error(error, what) from None
    except UnicodeDecodeError:
        # ijson's parser passes half an escaped surrogate pair on as bytes that are not UTF-8.
        raise CatalogueAnswerUnreadable(f"SciCat's answer to {what} holds text that is not Unicode") from None
