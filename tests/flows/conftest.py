"""An engine for each test of flows: what one leaves on it could keep its clock from skipping time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flows.rig import Engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()
