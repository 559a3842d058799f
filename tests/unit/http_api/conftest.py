"""The application on fakes, and a client that speaks to it without a socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.unit.http_api.rig import ApiRig


@pytest.fixture
def api() -> ApiRig:
    return ApiRig()


@pytest.fixture
def client(api: ApiRig) -> Iterator[TestClient]:
    with api.client() as client:
        yield client
