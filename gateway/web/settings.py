"""What the HTTP server is told: names it answers to, whom it believes, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Everything a stranger could use up. Times are seconds, sizes bytes."""

    json_body: int = 512 * 2**10
    upload: int = 20 * 2**20
    uploads_per_hour: int = 300
    header_seconds: float = 10.0
    """From connecting to the end of the first request's headers."""
    stall_seconds: float = 10.0
    """Longest pause within a body."""
    body_seconds: float = 30.0
    upload_seconds: float = 600.0
    write_seconds: float = 20.0
    """Longest wait for a reader that does not read; it may come back and resume."""
    connections: int = 800
    """Beyond it the oldest idle connection goes."""
    sockets: int = 400
    """Open event streams and WebSockets, all together."""
    sockets_per_principal: int = 24
    stream_seconds: float = 3600.0
    """Longest life of an event stream; its reader reconnects and resumes."""
    heartbeat_seconds: float = 15.0
    recheck_seconds: float = 2.0
    """How often open streams are asked whether their owner may still read."""
    guesses: int = 20
    """Wrong credentials from one address within `guess_window`, before all are refused unread."""
    guess_window: float = 300.0
    session_seconds: float = 30 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    public_url: str = ""
    """Where others reach the server; its host and origin are allowed."""
    hosts: tuple[str, ...] = ()
    """Host names besides the loopback ones; a port may follow the name."""
    origins: tuple[str, ...] = ()
    """Origins of other pages that may use the API."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose ``X-Forwarded-*`` headers count."""
    limits: Limits = Limits()

    @property
    def public_host(self) -> str:
        return urlsplit(self.public_url).netloc.lower()
