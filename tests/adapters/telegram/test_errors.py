"""The table of the library's exceptions is total, and right about what may have happened."""

from __future__ import annotations

import inspect

import httpx
import pytest
from telegram import error as sdk
from telegram.warnings import PTBDeprecationWarning

from adapters.telegram import errors
from adapters.telegram.errors import TABLE, translate
from gateway.errors import BadConfig, Busy, Failed, GatewayError, Retryable, Unavailable, Uncertain

THEIRS = [
    kind
    for kind in vars(sdk).values()
    if inspect.isclass(kind) and issubclass(kind, sdk.TelegramError)
]


def test_every_exception_of_the_library_has_its_own_line() -> None:
    assert len(THEIRS) >= 11
    assert set(THEIRS) <= set(TABLE)


@pytest.mark.parametrize("kind", THEIRS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("repeatable", [True, False])
def test_every_exception_of_the_library_becomes_one_of_ours(
    kind: type[sdk.TelegramError], repeatable: bool
) -> None:
    argument = {sdk.RetryAfter: 3, sdk.ChatMigrated: -1005}.get(kind, "words")
    arguments = () if kind is sdk.TimedOut else (argument,)

    ours = translate(_made(kind, *arguments), repeatable=repeatable)

    assert isinstance(ours, GatewayError)
    assert not (repeatable and isinstance(ours, Uncertain))


def _made(kind: type[sdk.TelegramError], *arguments: object) -> sdk.TelegramError:
    if kind is not sdk.RetryAfter:
        return kind(*arguments)  # type: ignore[arg-type]
    with pytest.warns(PTBDeprecationWarning, match="retry_after"):  # our transport makes its own
        return sdk.RetryAfter(3)


TRANSPORT = [
    kind
    for kind in vars(httpx).values()
    if inspect.isclass(kind) and issubclass(kind, httpx.TransportError)
]


@pytest.mark.parametrize("kind", TRANSPORT, ids=lambda kind: kind.__name__)
def test_only_what_never_left_may_be_sent_again(kind: type[httpx.TransportError]) -> None:
    wrapped = sdk.TimedOut() if issubclass(kind, httpx.TimeoutException) else sdk.NetworkError("x")
    wrapped.__cause__ = kind("x")

    ours = translate(wrapped, repeatable=False)

    never_left = {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "ProxyError",
        "UnsupportedProtocol",
        "LocalProtocolError",
    }
    assert type(ours) is (Unavailable if kind.__name__ in never_left else Uncertain)


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (errors.Flooded("x", 3.0), Busy),
        (errors.ServerFault("x", 500), Uncertain),
        (errors.ServerFault("x", 503), Unavailable),
        (errors.Rejected("x"), Failed),
        (errors.Astray("x"), Unavailable),
        (sdk.BadRequest("x"), Failed),
        (sdk.Forbidden("x"), Failed),
        (sdk.ChatMigrated(-5), Failed),
        (sdk.InvalidToken("x"), BadConfig),
        (sdk.Conflict("x"), BadConfig),
        (sdk.NetworkError("x"), Uncertain),
        (sdk.TelegramError("x"), Uncertain),
    ],
)
def test_the_table_reads(error: sdk.TelegramError, ours: type[GatewayError]) -> None:
    assert type(translate(error, repeatable=False)) is ours


def test_what_may_be_repeated_is_retryable_when_it_was_cut() -> None:
    assert isinstance(translate(sdk.NetworkError("x"), repeatable=True), Retryable)
