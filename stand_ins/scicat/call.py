"""One request as SciCat's backend (Express) sees it: raw path segments, query, headers, decoded body."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, parse_qsl

from stand_ins.scicat.accounts import Account
from stand_ins.scicat.answers import JsonObject, framework_refusal

MERGE_PATCH = "application/merge-patch+json"
_FORM = "application/x-www-form-urlencoded"
_READABLE = ("application/json", MERGE_PATCH, _FORM)
BODY_LIMIT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Call:
    """A request on its way to a route.

    Attributes:
        version: ``"v3"`` or ``"v4"``, from the path.
        params: the variable path segments, percent-decoded once.
        expired: whether the caller sent a token that ran out.
        payload: the decoded body; ``{}`` when the content type is not one that SciCat reads.
    """

    method: str
    raw_path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    account: Account | None
    expired: bool = False
    version: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    payload: JsonObject = field(default_factory=dict, repr=False)

    @property
    def target(self) -> str:
        """The raw path with its query, as Express names it in a 404."""
        return f"{self.raw_path}?{self.query}" if self.query else self.raw_path

    @property
    def is_readable(self) -> bool:
        """Whether the content type is one that SciCat decodes."""
        return _media_type(self.headers) in _READABLE

    @property
    def merges(self) -> bool:
        """Whether the content type is exactly merge-patch: a ``; charset`` behind it makes SciCat replace."""
        return self.version == "v4" and self.headers.get("content-type") == MERGE_PATCH

    def arguments(self, name: str) -> list[str]:
        """Give all values of a query argument."""
        return parse_qs(self.query, keep_blank_values=True).get(name, [])

    def filter(self) -> JsonObject:
        """Read the ``filter`` query argument; refuses what is not JSON."""
        return self.json_argument("filter")

    def json_argument(self, name: str) -> JsonObject:
        """Read a query argument that holds a JSON object, ``{}`` where there is none; refuses what is not JSON."""
        values = self.arguments(name)
        if not values or not values[0]:
            return {}
        try:
            parsed = json.loads(values[0])
        except ValueError:
            raise framework_refusal(400, f"Invalid JSON in {name}: {json_complaint(values[0])}") from None
        return parsed if isinstance(parsed, dict) else {}


def read_payload(headers: Mapping[str, str], body: bytes) -> JsonObject:
    """Decode a body as Express does: JSON and forms by their content type, everything else not at all."""
    media_type = _media_type(headers)
    if media_type == _FORM:
        return dict(parse_qsl(body.decode("utf-8", "replace")))
    if media_type not in _READABLE or not body:
        return {}
    try:
        parsed = json.loads(body)
    except ValueError:
        raise framework_refusal(400, json_complaint(body.decode("utf-8", "replace"))) from None
    return parsed if isinstance(parsed, dict) else {}


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def json_complaint(text: str) -> str:
    """Say what is wrong with a JSON text in the words of Node.js."""
    opening = re.match(r"\s*\{\s*(?=[^\"}\s])", text)
    if opening:
        return f"Expected property name or '}}' in JSON at position {opening.end()}"
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text):
            return "Unexpected end of JSON input"
        return f"Unexpected token {text[error.pos]} in JSON at position {error.pos}"
    return "Unexpected token in JSON"
