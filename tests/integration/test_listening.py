"""What is said of an address that cannot be listened on."""

from __future__ import annotations

import pytest

from scicat_retriever.processes.supervisor import _check_port
from scicat_retriever.settings import SettingsInvalid


@pytest.mark.parametrize(
    ("host", "why"), [("[::1]", r"IPv6 without brackets: ::1"), ("a..b", r"no address of this machine")]
)
def test_a_host_that_is_none_is_not_blamed_on_the_port(host: str, why: str) -> None:
    with pytest.raises(SettingsInvalid, match=rf"^api\.host: .*{why}"):
        _check_port("api.port", host, 8080)
