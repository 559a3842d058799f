"""A whole service, as an operator runs it, with a stand-in SciCat and real tars."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from stand_ins.running import RunningService
from tests.acceptance.facility import QUICK, Facility

MakeFacility = Callable[..., Facility]


@pytest.fixture
def make_facility(tmp_path: pathlib.Path) -> Iterator[MakeFacility]:
    """Makes facilities that are torn down after the test."""
    with ExitStack() as stack:

        def make(**settings: dict[str, object]) -> Facility:
            return stack.enter_context(Facility.open(tmp_path / f"facility-{len(made)}", settings))

        made: list[Facility] = []
        yield make


@pytest.fixture(scope="module")
def facility(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    """One facility for the tests of a module, its service running; tests tell themselves apart by their pids."""
    odd = (
        tmp_path_factory.mktemp("facility") / "100%25 of %20 #1? à"
    )  # none of it may be read as a part of a URL
    with (
        Facility.open(odd, QUICK) as opened,
        RunningService(opened.folder) as service,
    ):
        opened.service = service
        yield opened
