from __future__ import annotations

import inspect

import aiohttp
import pytest
from nio import exceptions as nio

from adapters.matrix.client import _read
from adapters.matrix.errors import CODES, FOREIGN, NEVER_SENT, Refusal, Unreadable, translate
from gateway.errors import (
    BadConfig,
    Busy,
    Failed,
    GatewayError,
    Retryable,
    Unavailable,
    Uncertain,
)


def below(kind: type[Exception]) -> set[type[Exception]]:
    return {kind}.union(*(below(one) for one in kind.__subclasses__()))


CONNECTION = sorted(below(aiohttp.ClientError), key=lambda kind: kind.__name__)
NIO = [one for _, one in inspect.getmembers(nio, inspect.isclass) if issubclass(one, Exception)]


def made(kind: type[Exception]) -> Exception:
    error = kind.__new__(kind)
    BaseException.__init__(error, "x")
    return error


@pytest.mark.parametrize("kind", CONNECTION)
def test_what_the_connection_raises_is_known(kind: type[Exception]) -> None:
    error = made(kind)
    assert isinstance(error, FOREIGN)
    try:
        ours = translate(error, repeatable=False)
    except AttributeError:  # one that cannot be printed without its connection
        return
    assert type(ours) is (Unavailable if issubclass(kind, NEVER_SENT) else Uncertain)


@pytest.mark.parametrize("kind", NIO)
def test_what_the_library_raises_is_known(kind: type[Exception]) -> None:
    error = made(kind)
    assert isinstance(error, FOREIGN)
    assert isinstance(translate(error, repeatable=False), GatewayError)


@pytest.mark.parametrize("status", [*range(300, 309), *range(400, 432), *range(500, 512), 599])
def test_every_status_leads_somewhere(status: int) -> None:
    ours = translate(Refusal(status), repeatable=False)
    assert isinstance(ours, GatewayError)
    assert isinstance(ours, Failed) == (400 <= status < 500 and status not in (401, 408, 429))


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (Refusal(429, "M_LIMIT_EXCEEDED", after=3.0), Busy),
        (Refusal(429), Busy),
        (Refusal(401, "M_UNKNOWN_TOKEN"), BadConfig),
        (Refusal(401), BadConfig),
        (Refusal(403, "M_USER_SUSPENDED"), BadConfig),
        (Refusal(403, "M_RESOURCE_LIMIT_EXCEEDED"), Unavailable),
        (Refusal(403, "M_FORBIDDEN"), Failed),
        (Refusal(404, "M_NOT_FOUND"), Failed),
        (Refusal(413, "M_TOO_LARGE"), Failed),
        (Refusal(400, "M_UNKNOWN"), Failed),
        (Refusal(500, "M_UNKNOWN"), Uncertain),
        (Refusal(503), Unavailable),
        (Unreadable("x"), Uncertain),
        (TimeoutError(), Uncertain),
        (ConnectionResetError(), Uncertain),
        (nio.OlmUnverifiedDeviceError(None), Failed),
        (nio.EncryptionError("x"), Unavailable),
    ],
)
def test_the_table_reads(error: Exception, ours: type[GatewayError]) -> None:
    assert isinstance(translate(error, repeatable=False), ours)


def test_a_wait_is_handed_on() -> None:
    busy = translate(Refusal(429, "M_LIMIT_EXCEEDED", after=3.0), repeatable=False)
    assert isinstance(busy, Busy)
    assert busy.after == 3.0


@pytest.mark.parametrize("error", [Refusal(500), Unreadable("x"), TimeoutError()])
def test_what_may_be_repeated_is_retryable_when_it_was_cut(error: Exception) -> None:
    assert isinstance(translate(error, repeatable=True), Retryable)


def test_words_of_the_server_are_kept_short_and_on_one_line() -> None:
    words = str(translate(Refusal(400, "M_X", "line\n" * 1000), repeatable=False))
    assert len(words) < 300
    assert "\n" not in words
    assert all(code.startswith("M_") for code in CODES)


def test_how_long_to_wait_is_told_in_the_header_or_in_the_answer() -> None:
    for raw, header, after in (
        (b"slow down", "7", 7.0),
        (b'{"retry_after_ms": 2500}', "", 2.5),
        (b'{"retry_after_ms": 2500}', "3", 3.0),
        (b"{}", "Wed, 21 Oct 2015 07:28:00 GMT", None),
    ):
        with pytest.raises(Refusal) as refused:
            _read(429, raw, header)
        ours = translate(refused.value, repeatable=False)
        assert isinstance(ours, Busy)
        assert ours.after == after
