"""Who is calling: one-time logins, browser sessions and API tokens, all kept as hashes.

Everything is looked up again on every request, so that what is revoked stops working at once.
The command line uses `issue_login`, `create_token`, `list_tokens`, `revoke_token`, `end_sessions`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from typing import Literal, TypeVar, get_args

import msgspec

from gateway.errors import Failed
from gateway.ports import Records

Scope = Literal["chat", "metrics", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
OWNER = "owner"

LOGIN_TTL = 15 * 60.0
"""Seconds a one-time link works."""

_LOGINS, _SESSIONS, _TOKENS = "login", "session", "token"
_TOKEN = re.compile(r"mgt_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who is calling, as our own record says."""

    id: str
    scopes: frozenset[Scope]
    via: Literal["session", "token"]
    credential: str
    """Key of the session's or token's record: what revocation removes."""


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it may be shown."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: float
    """Seconds since the epoch."""
    expires_at: float = 0.0
    """0 for never."""


class _Login(msgspec.Struct, frozen=True):
    principal: str
    scopes: tuple[Scope, ...]


class _Session(msgspec.Struct, frozen=True):
    principal: str
    scopes: tuple[Scope, ...]
    created_at: float


class _Token(msgspec.Struct, frozen=True):
    digest: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: float
    expires_at: float = 0.0


# --- one-time logins --------------------------------------------------------------------------


async def issue_login(records: Records, *, ttl: float = LOGIN_TTL) -> str:
    """A code that opens one session of the owner, once."""
    code = secrets.token_urlsafe(32)
    value = msgspec.json.encode(_Login(OWNER, SCOPES))
    await records.set(_LOGINS, _digest(code), value, ttl=ttl)
    return code


async def redeem_login(records: Records, code: str, *, ttl: float) -> str | None:
    """Uses the code up and opens a session; its secret, or None when the code is not good."""
    raw = await records.take(_LOGINS, _digest(code))
    if raw is None:
        return None
    login = _read(raw, _Login)
    secret = secrets.token_urlsafe(32)
    session = _Session(login.principal, login.scopes, time.time())
    await records.set(_SESSIONS, _digest(secret), msgspec.json.encode(session), ttl=ttl)
    return secret


# --- sessions ---------------------------------------------------------------------------------


async def find_session(records: Records, secret: str) -> Principal | None:
    return await _session(records, _digest(secret))


async def end_session(records: Records, principal: Principal) -> None:
    if principal.via == "session":
        await records.remove(_SESSIONS, principal.credential)


async def end_sessions(records: Records) -> int:
    """Log every browser out; how many there were."""
    ended = [await records.remove(_SESSIONS, key) for key, _ in await records.items(_SESSIONS)]
    return sum(ended)


async def _session(records: Records, key: str) -> Principal | None:
    raw = await records.get(_SESSIONS, key)
    if raw is None:
        return None
    found = _read(raw, _Session)
    return Principal(
        id=found.principal, scopes=frozenset(found.scopes), via="session", credential=key
    )


# --- tokens -----------------------------------------------------------------------------------


async def create_token(
    records: Records, name: str, scopes: Sequence[Scope] = ("chat",), *, ttl: float | None = None
) -> tuple[str, str]:
    """Id and secret of a new token. The secret is shown this once and kept as a hash."""
    identity, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    now = time.time()
    token = _Token(_digest(secret), name, tuple(scopes), now, now + ttl if ttl else 0.0)
    await records.set(_TOKENS, identity, msgspec.json.encode(token), ttl=ttl)
    return identity, f"mgt_{identity}_{secret}"


async def list_tokens(records: Records) -> Sequence[TokenView]:
    return [_view(key, _read(raw, _Token)) for key, raw in await records.items(_TOKENS)]


async def revoke_token(records: Records, identity: str) -> bool:
    """Open streams of the token are closed within seconds."""
    return await records.remove(_TOKENS, identity)


async def find_token(records: Records, presented: str) -> Principal | None:
    parts = _TOKEN.fullmatch(presented)
    if parts is None:
        return None
    raw = await records.get(_TOKENS, parts[1])
    if raw is None:
        return None
    token = _read(raw, _Token)
    right = hmac.compare_digest(token.digest, _digest(parts[2]))
    return _bearer(parts[1], token) if right else None


async def still_valid(records: Records, principal: Principal) -> bool:
    """Whether the credential behind an open stream is still there with the same rights."""
    if principal.via == "session":
        return await _session(records, principal.credential) == principal
    raw = await records.get(_TOKENS, principal.credential)
    return raw is not None and _bearer(principal.credential, _read(raw, _Token)) == principal


def _bearer(identity: str, token: _Token) -> Principal:
    return Principal(
        id=f"token-{identity}", scopes=frozenset(token.scopes), via="token", credential=identity
    )


def _view(identity: str, token: _Token) -> TokenView:
    return TokenView(
        id=identity,
        name=token.name,
        scopes=token.scopes,
        created_at=token.created_at,
        expires_at=token.expires_at,
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


_Stored = TypeVar("_Stored", _Login, _Session, _Token)


def _read(raw: bytes, kind: type[_Stored]) -> _Stored:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as problem:
        raise Failed(f"a stored credential cannot be read: {problem}") from problem
