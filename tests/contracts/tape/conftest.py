"""A certificate authority of the tests, and rigs that trust it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import trustme

from stand_ins.tape.serving import Tls
from tests.contracts.tape.rig import WlcgRig

MakeRig = Callable[..., WlcgRig]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return file


@pytest.fixture
def make_rig(ca_file: Path) -> Iterator[MakeRig]:
    """Make rigs that are closed at the end. To trust one authority alone spares reading all those of the system."""
    with ExitStack() as stack:

        def make(*args: Any, **settings: Any) -> WlcgRig:
            return stack.enter_context(closing(WlcgRig(*args, **{"ca_file": str(ca_file), **settings})))

        yield make


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path) -> Tls:
    """A server's certificate."""
    file = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(file)
    return Tls(file)
