"""Every failure of a server has a meaning for the message."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from http import HTTPStatus

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.completion import Malformed, Reported, reported
from engine.sse import TooLarge
from engine.translation import DOOR, EXCEPTIONS, from_status, retry_after, translate
from gateway.errors import Busy, Failed, GatewayError, Refused, Unavailable

NOW = 1_700_000_000.0


def _derived(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _derived(child)


def _made(kind: type[Exception]) -> Exception:
    problem = kind.__new__(kind)
    if isinstance(problem, aiohttp.ClientConnectorError):
        problem._os_error = OSError(111, "Connection refused")
    if isinstance(problem, Reported):
        problem.__init__(500)  # type: ignore[misc]
    return problem


@pytest.mark.parametrize("door", DOOR)
def test_the_table_is_total(door: type[Exception]) -> None:
    for kind in _derived(door):
        assert isinstance(translate("home", _made(kind)), GatewayError), kind


def test_everything_in_the_table_is_caught_at_the_door() -> None:
    assert all(issubclass(kind, DOOR) for kind in EXCEPTIONS)


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (Malformed("x"), Unavailable),
        (TooLarge("x"), Unavailable),
        (Reported(429), Busy),
        (Reported(400), Refused),
        (aiohttp.ServerDisconnectedError(), Unavailable),
        (aiohttp.ClientPayloadError(), Unavailable),
        (aiohttp.ServerTimeoutError(), Unavailable),
        (aiohttp.InvalidURL("x"), Failed),
        (ssl.SSLCertVerificationError(), Failed),
        (ConnectionResetError(), Unavailable),
        (TimeoutError(), Unavailable),
    ],
)
def test_the_nearest_class_decides(problem: Exception, kind: type[GatewayError]) -> None:
    assert type(translate("home", problem)) is kind


def test_something_else_is_not_swallowed() -> None:
    with pytest.raises(TypeError):
        translate("home", KeyError("x"))


@pytest.mark.parametrize("status", [s for s in range(200, 600) if s != HTTPStatus.OK])
def test_every_status_has_a_meaning(status: int) -> None:
    failure = from_status("home", Reported(status, message="secret words"))

    assert isinstance(failure, Refused | Busy | Unavailable | Failed)
    assert "secret words" not in str(failure)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("999999", 3600.0),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10.0),
        ("Tue, 14 Nov 2023 22:13:30 -0000", 10.0),
        ("Tue, 14 Nov 2023 20:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_both_forms_of_retry_after_are_read(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}, NOW) == seconds


def test_without_the_header_there_is_no_wait() -> None:
    assert retry_after({}, NOW) is None


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b'{"error": {"message": "m", "type": "t", "code": 503}}', 503, "t"),
        (b'{"error": {"message": "m", "type": "t", "code": "429"}}', 429, "t"),
        (b'{"error": {"message": "m", "code": "context_length_exceeded"}}', 500, "context_length"),
        (b'{"object": "error", "message": "m", "type": "t", "code": 400}', 400, "t"),
        (b'{"error": "m"}', 500, ""),
        (b'{"error": {"code": 99999}}', 500, ""),
        (b"<html>", 500, ""),
        (b"", 500, ""),
    ],
)
def test_errors_are_read_in_all_their_forms(body: bytes, status: int, kind: str) -> None:
    said = reported(body)

    assert said.status == status
    assert said.kind.startswith(kind)


@given(st.binary(max_size=200))
def test_no_error_body_upsets_it(body: bytes) -> None:
    assert reported(body).status in range(400, 600)
