"""The one door of every route: name, origin, guesses, credentials, rights, in this order.

A route says who may use it; a route that says nothing does not exist.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from aiohttp import hdrs, web

from gateway.ports import Records
from gateway.web import auth, names
from gateway.web.auth import Principal, Scope
from gateway.web.forwarded import Unnamed
from gateway.web.guesses import Guesses
from gateway.web.problems import Problem
from gateway.web.settings import WebSettings

Who = Scope | Literal["anyone", "verified by the adapter"]
Handler = Callable[[web.Request, Principal | None], Awaitable[web.StreamResponse]]

_SAFE = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    method: str
    path: str
    handler: Handler
    who: Who
    any_host: bool = False
    """Probes and platforms may use any name: nothing there depends on it."""
    socket: bool = False
    """A WebSocket: checked like a write."""


class Guard:
    def __init__(self, settings: WebSettings, records: Records) -> None:
        self._settings = settings
        self._records = records
        limits = settings.limits
        self._guesses = Guesses(records, limit=limits.guesses, window=limits.guess_window)
        self._hosts = frozenset(host.lower() for host in settings.hosts)
        if settings.public_host:
            self._hosts |= {settings.public_host}
        self._origins = frozenset(origin.lower().rstrip("/") for origin in settings.origins)
        self._proxies = names.networks(settings.trusted_proxies)
        self._unnamed = Unnamed()

    def wrap(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def guarded(request: web.Request) -> web.StreamResponse:
            return await route.handler(request, await self.admit(request, route))

        return guarded

    async def admit(self, request: web.Request, route: Route) -> Principal | None:
        """Who is calling; None where it does not matter."""
        if not route.any_host:
            self._check_names(request)
        if route.who in ("anyone", "verified by the adapter"):
            return None
        principal = await self.identify(request)
        if principal is None:
            raise _unauthenticated()
        writes = route.socket or request.method not in _SAFE
        if writes and principal.via == "session" and hdrs.ORIGIN not in request.headers:
            raise Problem(403, "origin", "A browser session needs an Origin header.")
        if route.who not in principal.scopes and "admin" not in principal.scopes:
            raise Problem(403, "forbidden", "This is not yours to use.")
        return principal

    async def identify(self, request: web.Request) -> Principal | None:
        """None without a credential; 401 or 429 for a wrong one."""
        address = self.address(request)
        kind, secret = self._presented(request)
        if not secret:
            return None
        self._guesses.check(kind, address)
        find = auth.find_token if kind == "token" else auth.find_session
        principal = await find(self._records, secret)
        if principal is None:
            await self._guesses.wrong(kind, address)
            raise _unauthenticated()
        return principal

    async def log_in(self, request: web.Request, code: str) -> str:
        """The secret of a new session, for a code that is good. 401 or 429 otherwise."""
        address = self.address(request)
        self._guesses.check("login", address)
        ttl = self._settings.limits.session_seconds
        secret = await auth.redeem_login(self._records, code, ttl=ttl)
        if secret is None:
            await self._guesses.wrong("login", address)
            raise Problem(401, "login", "This link has been used or is too old.")
        return secret

    def cookie(self, request: web.Request) -> str:
        """Name of the session cookie, with the port: cookies are shared by all ports of a host."""
        if self._scheme(request) == "https":
            return "__Host-moltgate"
        port = request.host.rpartition(":")[2]
        return f"moltgate-{port}" if port.isdigit() else "moltgate"

    def secure(self, request: web.Request) -> bool:
        return self._scheme(request) == "https"

    def address(self, request: web.Request) -> str:
        peer = request.remote or ""
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))
        if forwarded and not names.is_trusted(peer, self._proxies):
            self._unnamed.note(peer)
        return names.client_address(peer, forwarded, self._proxies)

    def _check_names(self, request: web.Request) -> None:
        hosts = request.headers.getall(hdrs.HOST, ())
        if len(hosts) != 1 or not names.host_allowed(hosts[0], self._hosts):
            raise Problem(403, "host", "This server is not known by that name.")
        origins = request.headers.getall(hdrs.ORIGIN, ())
        if origins and not self._origin_allowed(request, origins, hosts[0]):
            raise Problem(403, "origin", "That page may not use this server.")

    def _origin_allowed(self, request: web.Request, origins: list[str], host: str) -> bool:
        return len(origins) == 1 and names.origin_allowed(
            origins[0], scheme=self._scheme(request), host=host, allowed=self._origins
        )

    def _scheme(self, request: web.Request) -> str:
        if names.is_trusted(request.remote or "", self._proxies):
            forwarded = request.headers.get("X-Forwarded-Proto", "").lower()
            if forwarded in ("http", "https"):
                return forwarded
        public = self._settings.public_url
        if public.startswith("https://") and request.host.lower() == self._settings.public_host:
            return "https"
        return "http"

    def _presented(self, request: web.Request) -> tuple[Literal["token", "session"], str]:
        scheme, _, secret = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme:
            return "token", secret.strip() if scheme.lower() == "bearer" else ""
        return "session", request.cookies.get(self.cookie(request), "")


def _unauthenticated() -> Problem:
    return Problem(401, "unauthenticated", "Please log in, or send a token.")


GUARD: web.AppKey[Guard] = web.AppKey("guard", Guard)
