"""Notices a reverse proxy that `http.trusted_proxies` does not name: what it forwards counts for
nothing, so that everybody behind it shares one limit on wrong credentials.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

EVERY = 3600.0
"""Seconds between two lines about the same peer."""
MOST = 16
"""Peers that are spoken of within that time: anybody can send the header."""


class Unnamed:
    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._told: dict[str, float] = {}

    def note(self, peer: str) -> None:
        """A peer that is not trusted has sent ``X-Forwarded-For``."""
        address = _address(peer)
        now = self._now()
        self._told = {one: at for one, at in self._told.items() if now - at < EVERY}
        if not address or address in self._told or len(self._told) >= MOST:
            return
        self._told[address] = now
        log.warning(
            "forwarded_by_untrusted_peer",
            peer=address,
            advice=f"if {address} is your reverse proxy, add it to http.trusted_proxies: until "
            "then everybody behind it shares one limit on wrong log-ins; if it is not, somebody "
            "made the header up and nothing has to be done",
        )


def _address(peer: str) -> str:
    """As it is to be written into the setting; empty for what is none, e.g. a socket file."""
    try:
        parsed = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
