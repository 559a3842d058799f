"""A bucket behind TLS whose certificate an own CA has signed."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from scicat_retriever.domain.errors import StagingWriteFailed
from tests.contracts.staging.rig import CONTENT, KEY, MakeArea, stage, staged
from tests.integration.seaweedfs import Seaweed
from tests.integration.tcp_proxy import TcpProxy, proxy_before


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@pytest.fixture
def tls(authority: trustme.CA, seaweed: Seaweed) -> Iterator[TcpProxy]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with proxy_before(seaweed.port, context) as proxy:
        yield proxy


@pytest.mark.parametrize("sign_payload", [None, True])
def test_the_own_ca_is_trusted_when_it_is_named(
    make_area: MakeArea, tls: TcpProxy, ca_file: Path, *, sign_payload: bool | None
) -> None:
    url = f"https://{tls.address}"
    area = make_area(endpoint_url=url, ca_bundle=str(ca_file), sign_payload=sign_payload)
    content = CONTENT * 13
    token = stage(area, KEY, content)
    assert staged(area, KEY, token) == content


def test_a_ca_that_is_not_named_is_refused_with_the_setting_to_change(
    make_area: MakeArea, tls: TcpProxy
) -> None:
    with pytest.raises(StagingWriteFailed, match=r"staging\.ca_bundle"):
        make_area(endpoint_url=f"https://{tls.address}", attempts=1)


def test_a_certificate_of_another_host_is_refused(
    make_area: MakeArea, authority: trustme.CA, seaweed: Seaweed, ca_file: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("s3.example.org").configure_cert(context)
    with (
        proxy_before(seaweed.port, context) as other,
        pytest.raises(StagingWriteFailed, match="compare the host name"),
    ):
        make_area(endpoint_url=f"https://{other.address}", ca_bundle=str(ca_file), attempts=1)
