"""Host and Origin: which names requests may use, and which pages may make them.

Pure decisions. Without them any web page could drive a gateway on the visitor's own machine, by
its address or by a name that is made to point there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?")

Networks = Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]


def host_allowed(host: str, allowed: Collection[str]) -> bool:
    """`allowed` holds names with or without a port, in lower case; loopback names always count."""
    host = host.lower()
    parts = _HOST.fullmatch(host)
    if parts is None:
        return False
    return parts[1] in _LOOPBACK or parts[1] in allowed or host in allowed


def origin_allowed(origin: str, *, scheme: str, host: str, allowed: Collection[str]) -> bool:
    """Whether a page of `origin` may call us: our own page, or one on the list.

    `host` is the request's Host header, already found good; names and ports must be the same.
    """
    return origin in allowed or origin == f"{scheme}://{host}".lower()


def networks(names: Collection[str]) -> Networks:
    return tuple(ipaddress.ip_network(name, strict=False) for name in names)


def client_address(peer: str, forwarded_for: str, trusted: Networks) -> str:
    """The address to count by: the last one in ``X-Forwarded-For`` that is not a trusted proxy's.

    Never an identity. Anything that is not an address ends the search.
    """
    address = peer
    hops = [hop.strip() for hop in forwarded_for.split(",")] if forwarded_for else []
    while hops and is_trusted(address, trusted):
        hop = hops.pop()
        try:
            address = str(ipaddress.ip_address(hop))
        except ValueError:
            break
    return address


def is_trusted(address: str, trusted: Networks) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped  # how a socket for both kinds names an IPv4 peer
    return any(parsed in network for network in trusted)
