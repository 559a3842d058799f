"""An application on fakes, and somebody who types commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.cli.operator.rig import Operator
from tests.unit.http_api.rig import ApiRig


@pytest.fixture
def api() -> ApiRig:
    return ApiRig()


@pytest.fixture
def operator(api: ApiRig) -> Iterator[Operator]:
    with api.client() as client:
        yield Operator(client)
