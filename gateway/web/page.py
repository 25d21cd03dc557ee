"""The chat page: a handful of static files, the same for everybody.

Read once at the start; the policy allows scripts, styles and connections of this server only, and
the page's code makes no HTML out of text.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import hdrs, web

from gateway.web.auth import Principal
from gateway.web.guard import Handler, Route

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_PERMISSIONS = "microphone=(self), camera=(), geolocation=(), payment=(), usb=()"
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    media_type: str
    etag: str

    async def __call__(self, request: web.Request, principal: Principal | None) -> web.Response:
        headers = {
            hdrs.CACHE_CONTROL: "no-cache",
            hdrs.ETAG: self.etag,
            "Content-Security-Policy": POLICY,
            "Permissions-Policy": _PERMISSIONS,
            "Cross-Origin-Opener-Policy": "same-origin",
        }
        if request.headers.get(hdrs.IF_NONE_MATCH) == self.etag:
            return web.Response(status=304, headers=headers)
        return web.Response(
            body=self.body, content_type=self.media_type, charset="utf-8", headers=headers
        )


def routes(folder: Path) -> tuple[Route, ...]:
    """``/`` and ``/login`` are the page itself; its other files keep their names."""
    files = {path.name: _file(path) for path in folder.iterdir() if path.suffix in _TYPES}
    index = files.pop("index.html")
    places: dict[str, Handler] = {"/": index, "/login": index}
    places |= {f"/{name}": file for name, file in files.items()}
    return tuple(
        Route(method=hdrs.METH_GET, path=path, handler=file, who="anyone")
        for path, file in sorted(places.items())
    )


def _file(path: Path) -> _File:
    body = path.read_bytes()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return _File(body, _TYPES[path.suffix], etag)
