"""The complaint about a section whose client cannot be made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.settings import SettingsInvalid

_READ_BY_LIBRARIES = {
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSLKEYLOGFILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
}
"""Variables of the environment that the libraries for SciCat and the stores read."""


@contextmanager
def named(section: str) -> Iterator[None]:
    """Turn an error that keeps a section's client from being made into one that names the section.

    It also names the variables of the environment that the client's library reads.

    Raises:
        SettingsInvalid: The client cannot be made.
    """
    try:
        yield
    except (SettingsInvalid, RetrieverError):
        raise
    except Exception as error:
        read = [name for name in os.environ if name.upper() in _READ_BY_LIBRARIES or name.startswith("AWS_")]
        environment = f", or the environment's {', '.join(sorted(read))}" if read else ""
        raise SettingsInvalid(
            f"{section}: it cannot be used as the section [{section}]{environment} says: {error}"
        ) from error
