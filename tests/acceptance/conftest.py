"""A whole service, as an operator runs it, with a stand-in SciCat and real tars.

A service takes seconds to start. Two of them stay up for all tests that can live with their settings: tests tell themselves
apart by their pids and jobs. What needs settings of its own makes its facility, once a module where it can.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from stand_ins.running import free_port
from tests.acceptance.facility import IMPATIENT, PATIENT, Facility

MakeFacility = Callable[..., Facility]


@pytest.fixture
def make_facility(tmp_path: pathlib.Path) -> Iterator[MakeFacility]:
    """Makes facilities that are torn down after the test."""
    with ExitStack() as stack:

        def make(**settings: dict[str, object]) -> Facility:
            return stack.enter_context(Facility.open(tmp_path / f"facility-{len(made)}", settings))

        made: list[Facility] = []
        yield make


@pytest.fixture(scope="session")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    """One facility for the session, whose service gives up soon what is not there."""
    odd = (
        tmp_path_factory.mktemp("facility") / "100%25 of %20 #1? à"
    )  # none of it may be read as a part of a URL
    with Facility.standing(odd, IMPATIENT) as standing:
        yield standing


@pytest.fixture
def facility(impatient: Facility) -> Facility:
    """The facility whose service gives up soon what is not there; the service is up, and SciCat without faults."""
    impatient.put_right()
    return impatient


@pytest.fixture(scope="session")
def standing_patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facility]:
    """One facility for the session, whose service waits long for what is not there."""
    settings: dict[str, dict[str, object]] = {**PATIENT, "engine": {"port": free_port()}}
    with Facility.standing(tmp_path_factory.mktemp("patient"), settings) as standing:
        yield standing


@pytest.fixture
def patient(standing_patient: Facility) -> Facility:
    """The facility whose service waits long for what is not there; the service is up, and SciCat without faults."""
    standing_patient.put_right()
    return standing_patient
