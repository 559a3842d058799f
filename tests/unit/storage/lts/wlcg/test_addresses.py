"""Which addresses get the token of a tape system, and which lead inside."""

from __future__ import annotations

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.storage.lts.wlcg.addresses import TapeAddresses, named_place


@pytest.mark.parametrize(
    ("named", "url"),
    [
        ("https://door.example.org", "https://DOOR.example.org:443/x"),
        ("https://[2001:DB8:0::1]:2880", "https://[2001:db8::1]:2880/x"),
        ("https://bücher.example", "https://xn--bcher-kva.example/x"),
        ("https://xn--bcher-kva.example", "https://bücher.example/x"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/x"),
    ],
)
def test_an_address_that_is_named_gets_the_token_however_it_is_written(named: str, url: str) -> None:
    assert TapeAddresses([named]).takes_token(httpx2.URL(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://door.example.org/x",
        "http://door.example.org:443/x",
        "https://door.example.org:8443/x",
        "https://x/",
    ],
)
def test_another_scheme_port_or_host_gets_no_token(url: str) -> None:
    assert not TapeAddresses(["https://door.example.org"]).takes_token(httpx2.URL(url))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Pool1.example.org", ("pool1.example.org", None)),
        ("pool1.example.org:443", ("pool1.example.org", 443)),
        ("pool1.example.org:24000", ("pool1.example.org", 24000)),
        ("https://pool1.example.org", ("pool1.example.org", 443)),
        ("https://pool1.example.org:24000/", ("pool1.example.org", 24000)),
        ("bücher.example", ("xn--bcher-kva.example", None)),
        ("2001:DB8::1", ("2001:db8::1", None)),
        ("[2001:db8::1]:443", ("2001:db8::1", 443)),
    ],
)
def test_a_token_host_is_read_as_it_may_be_written(text: str, place: tuple[str, int | None]) -> None:
    assert named_place(text) == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*.example.org",
        "http://x",
        "x/y",
        "https://x/y",
        "x?y",
        "u@x",
        "a b",
        "x:port",
        "x:99999",
        "-x",
        "a" * 300,
    ],
)
def test_what_names_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host name"):
        named_place(text)


@given(st.text())
def test_any_text_is_a_host_or_refused(text: str) -> None:
    try:
        host, _ = named_place(text)
    except ValueError:
        return
    assert host == host.lower()
    assert host.isascii()


def test_a_machine_that_is_named_may_be_led_to() -> None:
    here = TapeAddresses(["http://localhost:8080"])
    assert not here.leads_inside("127.0.0.1")
    assert here.leads_inside("169.254.169.254")


def test_a_name_is_judged_by_the_address_it_has() -> None:
    addresses = TapeAddresses(["https://door.example.org"])
    assert addresses.leads_inside("pool.example.org", "169.254.169.254")
    assert addresses.leads_inside("pool.example.org", "fe80::1%eth0")
    assert not addresses.leads_inside("pool.example.org", "10.0.0.1")
    assert not addresses.leads_inside("door.example.org", "127.0.0.1")


@pytest.mark.parametrize(
    "address",
    [
        "fd00:ec2::254",
        "FD00:0EC2:0:0::254",
        "100.100.100.200",
        "::ffff:100.100.100.200",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::7f00:1",
        "64:ff9b::6464:64c8",
    ],
)
def test_where_clouds_keep_their_secrets_nobody_is_led(address: str) -> None:
    assert TapeAddresses(["https://door.example.org"]).leads_inside("pool.example.org", address)
    assert not TapeAddresses(
        [f"https://[{address}]" if ":" in address else f"https://{address}"]
    ).leads_inside(address)


@pytest.mark.parametrize("own", ["192.0.2.7", "2001:db8::7"])
def test_an_address_that_is_reached_from_itself_is_this_machine_s(own: str) -> None:
    addresses = TapeAddresses(["https://door.example.org"])
    assert addresses.leads_inside("pool.example.org", own, own)
    assert not addresses.leads_inside("pool.example.org", own, "192.0.2.8")
    assert not addresses.leads_inside("door.example.org", own, own)
    assert not TapeAddresses(["http://localhost"]).leads_inside("pool.example.org", own, own)


@pytest.mark.parametrize("address", ["fd00:ec2::253", "100.100.100.201", "64:ff9b::a00:1", "2001:db8::1"])
def test_other_addresses_may_be_led_to(address: str) -> None:
    assert not TapeAddresses(["https://door.example.org"]).leads_inside("pool.example.org", address)
