"""The tables of what goes wrong are total, and right about what may have happened."""

from __future__ import annotations

import inspect
from typing import Any

import aiohttp
import pytest
from slack_sdk import errors as sdk

from adapters.slack.errors import CAUGHT, TABLE, Gone, Refusal, translate
from gateway.errors import BadConfig, Busy, Failed, GatewayError, Retryable, Unavailable, Uncertain

THEIRS = [
    kind
    for kind in vars(sdk).values()
    if inspect.isclass(kind) and issubclass(kind, sdk.SlackClientError)
]
TRANSPORT = [
    kind
    for kind in vars(aiohttp).values()
    if inspect.isclass(kind) and issubclass(kind, aiohttp.ClientError)
]


class Answered:
    """As slack-sdk hands an answer over."""

    def __init__(self, data: object, status: int = 200, **headers: str) -> None:
        self.data = data
        self.status_code = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def said(code: str = "", status: int = 200, **more: Any) -> sdk.SlackApiError:
    data = {"ok": False, "error": code, **more} if code else {}
    return sdk.SlackApiError("failed", Answered(data, status))


def blank(kind: type[Exception]) -> Exception:
    """One of its class, made without its arguments."""

    class Bare(kind):  # type: ignore[valid-type, misc]
        def __init__(self) -> None:
            Exception.__init__(self, "x")

        def __str__(self) -> str:
            return "x"

    return Bare()


def test_every_exception_of_the_library_has_its_own_line() -> None:
    assert len(THEIRS) >= 8
    assert set(THEIRS) <= set(TABLE)


@pytest.mark.parametrize("kind", [*THEIRS, *TRANSPORT], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("repeatable", [True, False])
def test_every_exception_becomes_one_of_ours(kind: type[Exception], repeatable: bool) -> None:
    assert issubclass(kind, CAUGHT)
    error = said("any_error") if kind is sdk.SlackApiError else blank(kind)

    ours = translate(error, repeatable=repeatable)

    assert isinstance(ours, GatewayError)
    assert not (repeatable and isinstance(ours, Uncertain))


@pytest.mark.parametrize("kind", TRANSPORT, ids=lambda kind: kind.__name__)
def test_only_what_never_left_may_be_sent_again(kind: type[Exception]) -> None:
    ours = translate(blank(kind), repeatable=False)

    never_left = {
        "ClientConnectorError",
        "ClientConnectorDNSError",
        "ClientConnectorSSLError",
        "ClientConnectorCertificateError",
        "ClientProxyConnectionError",
        "ClientSSLError",
        "UnixClientConnectorError",
        "ConnectionTimeoutError",
        "ClientHttpProxyError",
        "InvalidURL",
        "InvalidUrlClientError",
        "InvalidUrlRedirectClientError",
        "NonHttpUrlClientError",
        "NonHttpUrlRedirectClientError",
        "WSServerHandshakeError",
    }
    assert type(ours) is (Unavailable if kind.__name__ in never_left else Uncertain)


@pytest.mark.parametrize(
    ("code", "status", "ours"),
    [
        ("ratelimited", 429, Busy),
        ("ratelimited", 200, Busy),
        ("rate_limited", 200, Busy),
        ("message_limit_exceeded", 200, Busy),
        ("", 429, Busy),
        ("invalid_auth", 200, BadConfig),
        ("not_authed", 200, BadConfig),
        ("account_inactive", 200, BadConfig),
        ("token_revoked", 200, BadConfig),
        ("token_expired", 200, BadConfig),
        ("not_allowed_token_type", 200, BadConfig),
        ("org_login_required", 200, BadConfig),
        ("team_access_not_granted", 200, BadConfig),
        ("", 401, BadConfig),
        ("message_not_found", 200, Gone),
        ("cant_update_message", 200, Gone),
        ("edit_window_closed", 200, Gone),
        ("channel_not_found", 200, Refusal),
        ("not_in_channel", 200, Refusal),
        ("is_archived", 200, Refusal),
        ("msg_too_long", 200, Refusal),
        ("missing_scope", 200, Refusal),
        ("invalid_blocks", 200, Refusal),
        ("no_text", 200, Refusal),
        ("nobody_has_heard_of_it", 200, Refusal),
        ("", 403, Refusal),
        ("", 413, Refusal),
        ("fatal_error", 200, Uncertain),
        ("internal_error", 200, Uncertain),
        ("internal_error", 500, Uncertain),
        ("", 500, Uncertain),
        ("", 502, Uncertain),
        ("", 504, Uncertain),
        ("", 200, Uncertain),
        ("", 503, Unavailable),
        ("service_unavailable", 200, Unavailable),
        ("service_unavailable", 503, Unavailable),
        ("request_timeout", 200, Unavailable),
        ("accesslimited", 200, Unavailable),
        ("team_added_to_org", 200, Unavailable),
        ("", 302, Unavailable),
    ],
)
def test_the_table_of_slacks_words_reads(code: str, status: int, ours: type[GatewayError]) -> None:
    assert type(translate(said(code, status), repeatable=False)) is ours


@pytest.mark.parametrize(
    ("header", "after"), [("7", 7.0), ("0.5", 0.5), ("soon", 30.0), ("-3", 0.0), (None, 30.0)]
)
def test_slack_says_for_how_long_it_wants_patience(header: str | None, after: float) -> None:
    headers = {} if header is None else {"Retry_After": header}
    error = sdk.SlackApiError("x", Answered({"error": "ratelimited"}, 429, **headers))

    busy = translate(error, repeatable=False)

    assert isinstance(busy, Busy)
    assert busy.after == after


def test_a_missing_scope_is_named() -> None:
    refused = translate(said("missing_scope", needed="files:write"), repeatable=False)

    assert isinstance(refused, Failed)
    assert "files:write" in str(refused)


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(), said("fatal_error")])
def test_what_may_be_repeated_is_retryable_when_it_was_cut(error: Exception) -> None:
    assert isinstance(translate(error, repeatable=False), Uncertain)
    assert isinstance(translate(error, repeatable=True), Retryable)
