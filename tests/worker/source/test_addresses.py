"""Every block of IANA's special-purpose registries, at both ends, and the adjacent addresses."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from pipeline.errors import UrlRejected
from tests.support.http_server import http_server
from worker.source import urls
from worker.source.addresses import is_public
from worker.source.urls import open_request

_SPECIAL = [
    # https://www.iana.org/assignments/iana-ipv4-special-registry, multicast, and Azure's own.
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
    # https://www.iana.org/assignments/iana-ipv6-special-registry, multicast, site-local and unallocated space.
    "::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32", "2001:1::1/128",
    "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48", "2001:10::/28", "2001:20::/28",
    "2001:30::/28", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fd00:ec2::254/128",
    "fe80::/10", "fec0::/10", "ff00::/8", "4000::/3", "1000::/4", "8000::/1",
]  # fmt: skip
_PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0",
    "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
    "168.63.129.15", "2001:200::1", "2001:4860:4860::8888", "2606:4700::1111", "2a00:1450::1", "2620:4f:7fff::1",
    "3ffe:ffff::1", "3fff:1000::1", "2002:808:808::1", "64:ff9b::808:808", "::ffff:8.8.8.8",
]  # fmt: skip


@pytest.mark.parametrize("block", _SPECIAL)
def test_no_special_block_is_public(block: str) -> None:
    network = ipaddress.ip_network(block)
    for address in (network[0], network[network.num_addresses // 2], network[-1]):
        assert not is_public(str(address))
        if isinstance(address, ipaddress.IPv4Address):
            for wrapped in (
                int(address) | 0xFFFF << 32,
                (0x2002 << 112) | int(address) << 80,
                0x64FF9B << 96 | int(address),
            ):
                assert not is_public(str(ipaddress.IPv6Address(wrapped)))
            assert not is_public(f"::{address}")


@pytest.mark.parametrize("address", _PUBLIC)
def test_addresses_next_to_private_ranges_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "x", "1.1.1", "2606:4700::1111%eth0", "1.1.1.1/32"])
def test_an_invalid_address_is_not_public(text: str) -> None:
    assert not is_public(text)


def test_the_peer_address_is_checked_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A route or a socket that is turned elsewhere behind the check of the name."""
    with http_server({"/a": b"data"}) as server:

        def turned(address: Any, *rest: Any, **more: Any) -> socket.socket:
            return socket.create_connection(("127.0.0.1", server.port))

        monkeypatch.setattr("urllib3.util.connection.create_connection", turned)
        asked = urls.WebRequest("GET", "http://93.184.216.34/a", field="video_url", private_hosts=frozenset())
        with pytest.raises(UrlRejected), open_request(asked):
            pass
        # A connection that is closed before a request leaves an empty head.
        assert not any(server.heads)
        monkeypatch.setattr(urls, "is_public", lambda address: True)
        with open_request(asked) as response:
            assert response.status_code == 200
