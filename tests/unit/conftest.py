"""Unit tests run with sockets closed."""

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def _closed_sockets() -> Iterator[None]:
    disable_socket(allow_unix_socket=True)
    yield
    # The patch is of the whole process, and other suites may follow in it.
    enable_socket()
