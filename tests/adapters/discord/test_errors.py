"""The table of the libraries' exceptions is total, and right about what may have happened."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from discord import errors as sdk

from adapters.discord.errors import TABLE, is_over, translate
from gateway.errors import BadConfig, Busy, Failed, GatewayError, Retryable, Unavailable, Uncertain


def of(module: Any, base: type[Exception]) -> list[type[Exception]]:
    found = [one for one in vars(module).values() if inspect.isclass(one)]
    return [one for one in found if issubclass(one, base)]


THEIRS = [
    *of(sdk, sdk.DiscordException),
    *of(aiohttp, aiohttp.ClientError),
    TimeoutError,
    ConnectionResetError,
    BrokenPipeError,
    RuntimeError,
]
NEVER_LEFT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientProxyConnectionError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.ServerFingerprintMismatch,
)


def response(status: int, **headers: str) -> Any:
    return SimpleNamespace(status=status, reason="because", headers=headers)


def made(kind: type[Exception]) -> Exception:
    """An instance, without its own ideas of how it is built."""
    if issubclass(kind, sdk.HTTPException):
        return kind(response(500), {"message": "x", "code": 0})
    if issubclass(kind, sdk.DiscordException):
        spelled = kind
    else:  # aiohttp's want a connection to be spelled
        spelled = type(kind.__name__, (kind,), {"__str__": lambda self: "words"})
    error = spelled.__new__(spelled)
    if isinstance(error, sdk.RateLimited):
        error.retry_after = 3.0
    return error


@pytest.mark.parametrize("kind", THEIRS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("repeatable", [True, False])
def test_every_exception_becomes_one_of_ours(kind: type[Exception], repeatable: bool) -> None:
    error = made(kind)
    ours = translate(error, repeatable=repeatable)

    assert isinstance(ours, GatewayError)
    assert not (repeatable and isinstance(ours, Uncertain))


@pytest.mark.parametrize("kind", of(aiohttp, aiohttp.ClientError), ids=lambda kind: kind.__name__)
def test_only_what_never_left_may_be_sent_again(kind: type[Exception]) -> None:
    found = TABLE[next(one for one in kind.__mro__ if one in TABLE)](OSError("x"))
    expected = Unavailable if issubclass(kind, NEVER_LEFT) else Uncertain
    if kind is not aiohttp.WSServerHandshakeError:
        assert isinstance(found, expected)


@pytest.mark.parametrize(
    ("status", "code", "ours"),
    [
        (400, 50035, Failed),
        (401, 0, BadConfig),
        (401, 50027, Failed),
        (403, 50013, Failed),
        (404, 10008, Failed),
        (405, 0, Failed),
        (408, 0, Unavailable),
        (413, 40005, Failed),
        (429, 0, Busy),
        (500, 0, Uncertain),
        (502, 0, Uncertain),
        (503, 0, Unavailable),
        (504, 0, Uncertain),
        (524, 0, Uncertain),
        (301, 0, Unavailable),
    ],
)
def test_every_status_has_its_meaning(status: int, code: int, ours: type[GatewayError]) -> None:
    kinds = {403: sdk.Forbidden, 404: sdk.NotFound}
    kind = kinds.get(status, sdk.DiscordServerError if status >= 500 else sdk.HTTPException)
    found = translate(kind(response(status), {"message": "x", "code": code}), repeatable=False)

    assert type(found) is ours
    assert is_over(found) == (status == 404 or code == 50027)


def test_being_locked_out_by_the_address_means_a_long_wait() -> None:
    page = "<html>Access denied</html>"
    limited = translate(
        sdk.HTTPException(response(429, **{"Retry-After": "77"}), page), repeatable=False
    )
    forbidden = translate(sdk.Forbidden(response(403), page), repeatable=False)
    assert isinstance(limited, Busy)
    assert limited.after == 77
    assert isinstance(forbidden, Busy)
    assert (forbidden.after or 0) >= 60


def test_a_refused_token_says_where_to_get_one() -> None:
    ours = translate(sdk.LoginFailure("Improper token"), repeatable=True)
    assert isinstance(ours, BadConfig)
    assert "Reset Token" in ours.remedy
    assert not isinstance(ours, Retryable)
