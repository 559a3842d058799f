"""Servers with archived objects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.glacier_server import GlacierServer, running_glacier_server
from tests.integration.ministack import Ministack, MinistackUnavailable, running_ministack


@pytest.fixture(scope="session")
def ministack() -> Iterator[Ministack]:
    try:
        with running_ministack() as server:
            yield server
    except MinistackUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def glacier() -> Iterator[GlacierServer]:
    with running_glacier_server() as server:
        yield server
