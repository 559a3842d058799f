"""The addresses that a tape system may send the service to, and those of them that get its token.

Redirects and discovered addresses are chosen by a server, so they are believed no further than the settings
say.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

import httpx2

_PORTS = {"http": 80, "https": 443}
_HIGHEST_PORT = 65535
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")})
"""Addresses where clouds tell machines their secrets, beside the link-local 169.254.169.254."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 addresses as IPv6 ones (RFC 6052, 2.1): the last 32 bits."""
_NO_HOST = "must be a host name or an IP address, with or without a port: no path, no wildcard"

Place = tuple[str, int | None]
"""A host in the form that is compared, and a port; None is any port."""


def place_of(url: httpx2.URL) -> Place:
    """Give host and port of an address. The host is in lower case, an IDN in ASCII, IPv6 without brackets."""
    host = url.raw_host.decode("ascii")
    return (str(_ip(host) or host), url.port or _PORTS.get(url.scheme))


def named_place(text: str) -> Place:
    """Read `host`, `host:port` or `https://host`, as `token_hosts` has them.

    Without a port and a scheme, any port is meant.

    Raises:
        ValueError: The text is none of these.
    """
    bare = f"[{text}]" if _ip(text) is not None and ":" in text else text
    try:
        url = httpx2.URL(bare if "://" in bare else f"https://{bare}")
        host, port = place_of(url)
    except (httpx2.InvalidURL, ValueError):
        raise ValueError(_NO_HOST) from None
    beyond = url.userinfo or url.query or url.fragment or url.path.strip("/")
    known = _ip(host) is not None or (len(host) < 254 and _NAME.fullmatch(host) is not None)
    if url.scheme != "https" or beyond or not known or (port or 0) > _HIGHEST_PORT:
        raise ValueError(_NO_HOST)
    return (host, port if "://" in bare or url.port or bare.endswith(":443") else None)


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine by its name or address alone."""
    return _inside(host.strip("[]")) == "loopback"


class TapeAddresses:
    """The addresses of one tape system.

    Args:
        urls: The addresses of its settings.
        token_hosts: Hosts that get the token beside those of `urls`; see `named_place`.
        redirect_hosts: Hosts that a server may lead to beside all these; None allows any host.
    """

    def __init__(
        self,
        urls: Iterable[str],
        token_hosts: Iterable[str] = (),
        redirect_hosts: Iterable[str] | None = None,
    ) -> None:
        self._trusted = frozenset(
            [place_of(httpx2.URL(url)) for url in urls] + [named_place(host) for host in token_hosts]
        )
        named = self._trusted.union(named_place(host) for host in redirect_hosts or ())
        self._led_to = None if redirect_hosts is None else named
        self._hosts = frozenset(host for host, _ in named)
        self._inside = frozenset(_inside(host) for host in self._hosts)

    def takes_token(self, url: httpx2.URL) -> bool:
        """Say whether the token may be sent there: host and port are named, by https or to this machine."""
        host, port = place_of(url)
        secret = url.scheme == "https" or is_loopback(host)
        return secret and not self._trusted.isdisjoint({(host, port), (host, None)})

    def may_lead_to(self, url: httpx2.URL) -> bool:
        """Say whether a server may lead the service there: the settings name host and port, or allow any."""
        host, port = place_of(url)
        return self._led_to is None or not self._led_to.isdisjoint({(host, port), (host, None)})

    def leads_inside(self, host: str, address: str = "", source: str = "") -> bool:
        """Say whether a host is inside, and no setting names it or its kind.

        Inside is the machine itself, or its link, such as a cloud's metadata.

        Args:
            host: The host as in an address, without brackets.
            address: The IP address of the host; without it, the host's name alone is judged.
            source: The IP address from which the host is connected to. A system reaches an address of its
                own from that very address.
        """
        kind = _inside(address or host) or ("loopback" if address and address == source else "")
        return bool(kind) and kind not in self._inside and str(_ip(host) or host.lower()) not in self._hosts


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _inside(host: str) -> str:
    if host.lower().rstrip(".") == "localhost":
        return "loopback"
    ip = _ip(host.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else ip.ipv4_mapped or ip
    if ip is None:
        return ""
    if ip in _METADATA:
        return "metadata"
    if ip.is_loopback or ip.is_unspecified:  # Linux connects an unspecified one to itself
        return "loopback"
    return "link-local" if ip.is_link_local else ""
