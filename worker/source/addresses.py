"""Which addresses are public according to IANA's registries, independent of Python's version."""

from __future__ import annotations

import ipaddress

_SPECIAL_IPV4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private use
            "100.64.0.0/10",  # shared by a provider's customers
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # a public address at which Azure's machines reach Azure's internal services
            "169.254.0.0/16",  # link-local, metadata of clouds
            "172.16.0.0/12",  # private use
            "192.0.0.0/24",  # IETF assignments, metadata of Oracle's cloud
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays, deprecated
            "192.168.0.0/16",  # private use
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarking
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
"""IANA's IPv4 Special-Purpose Address Registry, and multicast. Its few public services (anycast of AS112, AMT, PCP)
host no files."""
_UNICAST_IPV6 = ipaddress.IPv6Network("2000::/3")
"""All addresses that IANA has allocated as global unicast. Everything else (unique local, link-local, the deprecated
site-local fec0::/10, segment routing, multicast, mapped and compatible forms) is outside."""
_SPECIAL_IPV6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # IETF assignments: Teredo, benchmarking, ORCHID, drone identifiers, AMT, AS112
            "2001:db8::/32",  # documentation
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)
"""The part of IANA's IPv6 Special-Purpose Address Registry within ``_UNICAST_IPV6``."""
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Return whether an address is public, also after a gateway has translated it to IPv4.

    An IPv4 address embedded in an IPv6 one (mapped, 6to4, NAT64) is judged itself. An invalid address is not public.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return _is_public_ipv4(parsed)
    if parsed.scope_id is not None:
        return False
    if parsed.ipv4_mapped is not None:
        return _is_public_ipv4(parsed.ipv4_mapped)
    if parsed in _NAT64:
        return _is_public_ipv4(ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF))
    if parsed in _SIX_TO_FOUR:
        return _is_public_ipv4(ipaddress.IPv4Address(int(parsed) >> 80 & 0xFFFFFFFF))
    return parsed in _UNICAST_IPV6 and not any(parsed in network for network in _SPECIAL_IPV6)


def _is_public_ipv4(address: ipaddress.IPv4Address) -> bool:
    return not any(address in network for network in _SPECIAL_IPV4)
