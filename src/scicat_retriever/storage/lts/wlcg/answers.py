"""The answers of a server of the WLCG Tape REST API v1, read without trust.

The format is that of the "WLCG Tape REST API" reference document, version 1, and of what dCache, StoRM and
EOS make of it. Unknown keys are passed over. Entries that cannot be read count as not answered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scicat_retriever.domain.foreign_text import one_line

MESSAGE_LIMIT = 300
"""Characters of a server's words that are kept."""

REQUEST_LIMIT = 200
"""Longest name of a request that is accepted; in practice it is a UUID."""

_LOGIN = re.compile(r"://[^\s/?#\"'<>]*@")
_QUERY = re.compile(r"(?<=\S)\?[^\s\"'<>]+")
_LAST_MOMENT = 1e11
"""The end of what can be seconds in a time stamp: as milliseconds, this number is a moment of 1973."""
_ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED", "CANCELED", "SKIPPED"})


class AnswerUnreadable(Exception):
    """An answer is not as the specification says; the message says in what."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """The answer of `archiveinfo` on one file.

    Attributes:
        locality: `DISK`, `TAPE`, `DISK_AND_TAPE`, `LOST`, `NONE`, `UNAVAILABLE`; empty where the server gives
            an error in its place.
        error: The server's words, printable.
    """

    locality: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of one file of a stage request.

    Attributes:
        active: Whether the server is still at the file.
        word: `SUBMITTED`, `STARTED`, `CANCELLED`, `FAILED`, `COMPLETED`, or the server's own word.
        error: The server's words, printable.
        stated: Whether the server gives a state; if not, `word` is made of `onDisk` and `error`.
        created_at: When the request was made, seconds since 1970, UTC; None where the server does not say.
    """

    active: bool
    word: str
    error: str = ""
    stated: bool = True
    created_at: float | None = None


def printable(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Give foreign text as one bounded line, without control characters and the secrets of addresses."""
    return one_line(without_secrets(text), limit)


def without_secrets(text: str) -> str:
    """Leave out user, password and query of the addresses in a text.

    A query may be a signature that lets anyone read.
    """
    return _QUERY.sub("", _LOGIN.sub("://", text))


def problem_in(content: bytes) -> str:
    """Find the message in an error answer: `title` and `detail` of RFC 7807.

    An answer that is no JSON is given as it is, made printable. JSON without these gives an empty text.
    """
    try:
        body = _json(content)
    except AnswerUnreadable:
        return printable(content.decode("utf-8", "replace"))
    if not isinstance(body, dict):
        return ""
    said = [text for text in (body.get("title"), body.get("detail")) if isinstance(text, str) and text]
    return printable(": ".join(said))


def api_uri(content: bytes) -> str:
    """Find the API's address in the answer of `/.well-known/wlcg-tape-rest-api`.

    Raises:
        AnswerUnreadable: The answer names no endpoint of version 1.
    """
    body = _json(content)
    endpoints = body.get("endpoints") if isinstance(body, dict) else None
    for endpoint in _objects(endpoints):
        uri, version = endpoint.get("uri"), str(endpoint.get("version", "")).lower()
        if version in {"v1", "1"} and isinstance(uri, str):
            return uri.rstrip("/")
    raise AnswerUnreadable("it names no endpoint of version v1")


def request_id(content: bytes, location: str) -> str:
    """Find the name of a new stage request: `requestId`, or the end of the Location header.

    Raises:
        AnswerUnreadable: The answer has no name that can be used.
    """
    try:
        body = _json(content)
    except AnswerUnreadable:
        body = None
    named = body.get("requestId") if isinstance(body, dict) else None
    name = named if isinstance(named, str) else location.rstrip("/").rpartition("/")[2]
    if not name.strip(".") or len(name) > REQUEST_LIMIT or not name.isprintable():
        raise AnswerUnreadable("it names no request")
    return name


def progress_in(content: bytes) -> Mapping[str, Progress]:
    """Give the files of the answer of `GET /stage/{id}`, by path.

    Raises:
        AnswerUnreadable: The answer has no list of files.
    """
    body = _json(content)
    files = body.get("files") if isinstance(body, dict) else None
    if not isinstance(files, list):
        raise AnswerUnreadable("it has no list of files")
    created_at = _moment(body.get("createdAt"))
    return {path: _progress(entry, created_at) for path, entry in _by_path(files)}


def localities_in(content: bytes) -> Mapping[str, FileInfo]:
    """Give the files of the answer of `POST /archiveinfo`, by path.

    Raises:
        AnswerUnreadable: The answer is no list.
    """
    body = _json(content)
    if not isinstance(body, list):
        raise AnswerUnreadable("it is no list")
    return {
        path: FileInfo(_text(entry, "locality", 40), _text(entry, "error")) for path, entry in _by_path(body)
    }


def _progress(entry: Mapping[str, Any], created_at: float | None) -> Progress:
    word, error = _text(entry, "state", 40).upper(), _text(entry, "error")
    stated = bool(word)
    if not stated:
        word = (
            "COMPLETED" if str(entry.get("onDisk")).lower() == "true" else "FAILED" if error else "SUBMITTED"
        )
    return Progress(word not in _ENDED, word, error, stated, created_at)


def _moment(value: object) -> float | None:
    """Read a time stamp: seconds since 1970, or milliseconds as dCache has them."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LAST_MOMENT * 1000:
        return None
    return float(value if value < _LAST_MOMENT else value / 1000)


def _by_path(entries: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for entry in _objects(entries):
        path = entry.get("path")
        if isinstance(path, str) and path:
            yield "/" + "/".join(step for step in path.split("/") if step), entry


def _objects(entries: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(entries, list):
        yield from (entry for entry in entries if isinstance(entry, dict))


def _text(entry: Mapping[str, Any], key: str, limit: int = MESSAGE_LIMIT) -> str:
    value = entry.get(key)
    return printable(value, limit) if isinstance(value, str) else ""


def _json(content: bytes) -> Any:  # noqa: ANN401 - whatever the server sent
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise AnswerUnreadable("it is no JSON") from None
