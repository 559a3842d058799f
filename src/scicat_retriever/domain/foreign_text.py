"""Text from outside on its way into messages and headers."""

from __future__ import annotations


def one_line(text: str, limit: int) -> str:
    """Give foreign text as one line of at most `limit` characters, all of them printable."""
    # Cut first, so that never much more is cleaned than is kept.
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def is_bearer_token(text: str) -> bool:
    """Say whether `text` can stand in an Authorization header as a bearer token.

    By RFC 6750, section 2.1, it has no space and no control character.
    """
    return bool(text) and all("!" <= character <= "~" for character in text)
