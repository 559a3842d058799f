"""An answer of SciCat that was read to its end."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from scicat_retriever.catalogue.errors import refusal
from scicat_retriever.domain.errors import CatalogueAnswerUnreadable, CatalogueError, CatalogueUnavailable


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of SciCat.

    Attributes:
        what: Method and path of the request.
        status: The HTTP status.
        content: The body.
        message: SciCat's error message, cleaned; empty for a 2xx.
    """

    what: str
    status: int
    content: bytes = field(repr=False)
    message: str

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def route_missing(self) -> bool:
        """Whether this SciCat has no such route (`Cannot PATCH /api/...`), rather than no such object."""
        return self.status == 404 and self.message.startswith("Cannot ")

    @property
    def object_missing(self) -> bool:
        """Whether SciCat itself says that it has no such object. A 404 of a proxy says nothing of that."""
        return self.status == 404 and not self.route_missing and isinstance(self._json(), dict)

    def json_object(self) -> dict[str, Any]:
        """Give the body as a JSON object.

        Raises:
            CatalogueAnswerUnreadable: The body is no JSON object.
        """
        body = self._json()
        if not isinstance(body, dict):
            raise CatalogueAnswerUnreadable(f"SciCat's answer to {self.what} is no JSON object")
        return body

    def json_list(self) -> list[dict[str, Any]]:
        """Give the body as a list of JSON objects.

        Raises:
            CatalogueAnswerUnreadable: The body is no such list.
        """
        body = self._json()
        if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
            raise CatalogueAnswerUnreadable(f"SciCat's answer to {self.what} is no list of JSON objects")
        return body

    def error(self, right: str = "") -> CatalogueError:
        """Give the error that an answer other than 2xx stands for, whatever was asked.

        Args:
            right: The setting of SciCat that gives the account the missing right (see `rights`).
        """
        if self.status == 404 and not self.route_missing and not self.object_missing:
            return CatalogueUnavailable(f"Something that is not SciCat answers 404 to {self.what}")
        return refusal(self.status, self.message, self.what, right)

    def _json(self) -> object:
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None


def segment(identifier: str) -> str:
    """Percent-encode an identifier to be one segment of a path.

    It is encoded ONCE: SciCat answers 404 to an identifier that is not encoded, or encoded twice.
    """
    encoded = quote(identifier, safe="", errors="replace")
    # A segment of dots alone would be resolved away (RFC 3986, 5.2.4).
    return encoded.replace(".", "%2E") if set(encoded) == {"."} else encoded
