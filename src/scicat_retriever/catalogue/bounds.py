"""Bounds of an answer's size and time: whatever answers in SciCat's place, reading it comes to an end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx2

from scicat_retriever.domain.amounts import in_words
from scicat_retriever.domain.errors import CatalogueAnswerUnreadable, CatalogueTimedOut

MAX_ANSWER = 64 * 2**20
"""Bytes, unpacked, of an answer that is read whole: a document of SciCat's database has 16 MB at most."""

MAX_LIST = 16 * 2**30
"""Bytes, unpacked, of a list that is read entry by entry: some 50 million files of one dataset."""

ENCODINGS = "gzip, deflate"
"""The ways in which an answer may be packed.

Both unpack to a thousand times as much at most, so a piece from the network stays small.
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of one client's answers.

    Attributes:
        seconds: The time that one answer may take from its first piece to its last.
        now: Gives the seconds of a clock that is never set.
    """

    seconds: float
    now: Callable[[], float]

    def pieces(self, response: httpx2.Response, what: str, most: int) -> Iterator[bytes]:
        """Give the pieces of an answer's body, unpacked.

        Args:
            response: The response, whose body was not read yet.
            what: Method and path of the request, for the error's text.
            most: Most bytes of the body, unpacked.

        Raises:
            CatalogueAnswerUnreadable: The body has more bytes, or is packed in another way than `ENCODINGS`.
            CatalogueTimedOut: The body takes longer than `seconds`.
        """
        packed = response.headers.get("content-encoding", "identity").strip().lower()
        if packed not in {"identity", "gzip", "deflate", ""}:
            raise CatalogueAnswerUnreadable(f"SciCat's answer to {what} is packed by {packed!r:.60}")
        began, taken = self.now(), 0
        for piece in response.iter_bytes():
            taken += len(piece)
            if taken > most:
                raise CatalogueAnswerUnreadable(f"SciCat's answer to {what} is larger than {in_words(most)}")
            if self.now() - began > self.seconds:
                raise CatalogueTimedOut(
                    f"SciCat's answer to {what} took longer than {self.seconds:g} s and was broken off after"
                    f" {in_words(taken)} (catalogue.answer_timeout)"
                )
            yield piece
