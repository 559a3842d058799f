"""A bearer token (RFC 6750) from the settings, or from a file that somebody else renews."""

from __future__ import annotations

import threading
from pathlib import Path

from pydantic import SecretStr

from scicat_retriever.domain.errors import StoreRefusesAccount
from scicat_retriever.domain.foreign_text import is_bearer_token

MOST_BYTES = 64 * 1024
"""Longest token file; a token of a grid has some kilobytes."""


def file_version(path: Path) -> tuple[int, int, int]:
    """Give a value that differs once a file was replaced or written.

    Raises:
        OSError: The file cannot be seen.
    """
    seen = path.stat()
    return seen.st_ino, seen.st_mtime_ns, seen.st_size


class BearerToken:
    """The token to send now. May be asked from any thread.

    Args:
        token: The token itself, or None.
        file: A file that holds the token, or None; it is read again when it has changed.
    """

    def __init__(self, token: SecretStr | None, file: Path | None) -> None:
        self._token = token.get_secret_value() if token is not None else None
        self._file = file
        self._before: str | None = None
        self._version: tuple[int, int, int] | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        """Name it without showing it."""
        return f"{type(self).__name__}({'file' if self._file else 'settings' if self._token else 'none'})"

    def current(self) -> str | None:
        """Give the token, or None where there is none.

        Raises:
            StoreRefusesAccount: The file cannot be read, or holds no token.
        """
        if self._file is None:
            return self._token
        with self._lock:
            try:
                version = file_version(self._file)
                if version != self._version:
                    self._before, self._token = self._token, _read(self._file)
                    self._version = version
            except OSError as error:
                raise StoreRefusesAccount(
                    f"the token file {self._file} cannot be read ({error.strerror})"
                ) from error
            return self._token

    def blanked(self, content: bytes) -> bytes:
        """Blank the token, and the one before it, in what a server sent, should it quote them."""
        with self._lock:
            known = [token for token in (self._token, self._before) if token]
        for token in known:
            content = content.replace(token.encode(), b"***")
        return content


def _read(file: Path) -> str:
    with file.open("rb") as stream:
        content = stream.read(MOST_BYTES + 1)
    text = content.decode("ascii", "replace").strip()
    if len(content) > MOST_BYTES or not is_bearer_token(text):
        raise StoreRefusesAccount(
            f"the token file {file} holds no token: it must be one word of printable ASCII"
        )
    return text
