"""HTTP requests to servers on this machine, as `httpx2` makes them, without a proxy of the environment."""

from __future__ import annotations

import ssl
from functools import cache, partial
from typing import Any

import httpx2


@cache
def authorities() -> ssl.SSLContext:
    """Give whom this machine trusts, which is read once for all clients: that takes 0.06 s of the processor."""
    return httpx2.create_ssl_context(trust_env=False)


def request(method: str, url: str, **options: Any) -> httpx2.Response:  # noqa: ANN401 - as `httpx2` has them
    """Send one request and give its answer.

    Args:
        method: HTTP's word for what is wanted.
        url: What is asked.
        options: As of `httpx2.request`. `timeout` is 60 seconds where none is given.

    Raises:
        httpx2.HTTPError: There is no answer.
    """
    given = {"timeout": 60.0, "trust_env": False, "verify": authorities(), **options}
    return httpx2.request(method, url, **given)


get, post, put = (partial(request, method) for method in ("GET", "POST", "PUT"))
patch, delete = (partial(request, method) for method in ("PATCH", "DELETE"))
