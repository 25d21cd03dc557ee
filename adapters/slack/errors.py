"""What goes wrong at Slack becomes one of ours: one table for the libraries, one for Slack's words.

What a failed call leads to hangs on one question: may Slack have done it? A request that never
left is repeated, one that was answered by a refusal never is, and what was cut in between is
`Uncertain`, unless the call may be repeated without harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from slack_sdk import errors as sdk

from gateway.errors import BadConfig, Busy, Failed, GatewayError, Unavailable, Uncertain

LIMITED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
REFUSED = frozenset(
    "invalid_auth not_authed account_inactive token_revoked token_expired org_login_required "
    "team_access_not_granted not_allowed_token_type ekm_access_denied two_factor_setup_required "
    "app_not_installed".split()
)
"""The token is not taken, whatever is asked."""
PERHAPS = frozenset({"fatal_error", "internal_error"})
"""Slack says of both that some of it may have been done."""
AWAY = frozenset("service_unavailable request_timeout accesslimited team_added_to_org".split())
GONE = frozenset("message_not_found cant_update_message edit_window_closed is_inactive".split())
"""Our message cannot be edited any more."""
UNREACHED = frozenset("channel_not_found not_in_channel".split())
_PATIENCE = 30.0
"""Seconds for which Slack is left alone when it does not say for how long."""


class Gone(Failed):
    """The message that was to be edited is no more, or is closed to edits."""


class Refusal(Failed):
    """Slack answered no, with a word for why."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def _answered(error: Exception) -> GatewayError:
    """Slack's own no, or an answer that is not Slack's."""
    assert isinstance(error, sdk.SlackApiError)
    code, status, data = _facts(error)
    if status == 429 or code in LIMITED:
        return Busy(f"Slack asks for patience ({code or status})", after=_wait(error))
    if code in REFUSED or (status == 401 and not code):
        return BadConfig(
            "adapters.slack.bot_token",
            f"Slack does not accept the token ({code or status})",
            "install the app again (api.slack.com/apps, Install App) and copy its bot token",
        )
    if code in GONE:
        return Gone(f"gone: {code}")
    if code in PERHAPS:
        return Uncertain(f"Slack had trouble ({code})")
    if code in AWAY or status == 503 or status // 100 in (1, 3):
        return Unavailable(f"Slack is not there ({code or status})")
    if status >= 500 or (not code and status // 100 == 2):
        return Uncertain(f"Slack gave no answer that can be read (status {status})")
    return Refusal(f"Slack refuses: {_words(code or str(status), data)}", code)


def _facts(error: sdk.SlackApiError) -> tuple[str, int, dict[str, Any]]:
    response = error.response
    data = getattr(response, "data", None)
    data = data if isinstance(data, dict) else response if isinstance(response, dict) else {}
    status = getattr(response, "status_code", None) or getattr(response, "status", None) or 200
    code = data.get("error")
    return (code if isinstance(code, str) else ""), int(status), data


def of_status(
    status: int, headers: Mapping[str, str], what: str, *, repeatable: bool
) -> GatewayError:
    """Where an answer is no more than its status. `repeatable` as below."""
    words = f"Slack answered {status} for {what}"
    if status == 429:
        return Busy(words, after=_patience(headers))
    if status == 503:
        return Unavailable(words)
    if status >= 500:
        return Unavailable(words) if repeatable else Uncertain(words)
    return Failed(words)


def _wait(error: sdk.SlackApiError) -> float:
    return _patience(getattr(error.response, "headers", None) or {})


def _patience(headers: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(headers.get("Retry-After", _PATIENCE)))
    except ValueError:
        return _PATIENCE


def _words(code: str, data: dict[str, Any]) -> str:
    if code == "missing_scope":
        return f"missing_scope, the app needs {data.get('needed')}: add it and install it again"
    meta = data.get("response_metadata")
    more = meta.get("messages") if isinstance(meta, dict) else None
    return f"{code} ({str(more)[:300]})" if more else code


def _never_left(error: Exception) -> GatewayError:
    return Unavailable(f"Slack cannot be reached: {_reason(error)}")


def _cut(error: Exception) -> GatewayError:
    return Uncertain(f"the connection to Slack was cut: {_reason(error)}")


def _ours(error: Exception) -> GatewayError:
    return Failed(f"the request cannot be made: {_reason(error)}")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


TABLE: dict[type[Exception], Callable[[Any], GatewayError]] = {
    sdk.SlackApiError: _answered,
    sdk.SlackTokenRotationError: _ours,
    sdk.BotUserAccessError: _ours,
    sdk.SlackRequestError: _ours,
    sdk.SlackObjectFormationError: _ours,
    sdk.SlackClientNotConnectedError: _never_left,
    sdk.SlackClientConfigurationError: _ours,
    sdk.SlackClientError: _ours,
    aiohttp.ClientConnectorError: _never_left,
    aiohttp.ClientConnectorCertificateError: _never_left,
    aiohttp.ConnectionTimeoutError: _never_left,
    aiohttp.ClientHttpProxyError: _never_left,
    aiohttp.InvalidURL: _never_left,
    aiohttp.NonHttpUrlClientError: _never_left,
    aiohttp.WSServerHandshakeError: _never_left,
    aiohttp.ClientError: _cut,
    TimeoutError: _cut,
    OSError: _cut,
    RuntimeError: _never_left,  # aiohttp's word for a session that was closed
    # slack-sdk reads what a proxy answers in Slack's place as if it were JSON, and an object.
    AttributeError: _cut,
    UnicodeDecodeError: _cut,
    RecursionError: _cut,
}
"""By the nearest class. What is left of aiohttp's tree broke off after it may have been read."""


def translate(error: Exception, *, repeatable: bool) -> GatewayError:
    """Ours for theirs. `repeatable`: doing it twice shows nothing twice."""
    kind = next(kind for kind in type(error).__mro__ if kind in TABLE)
    ours = TABLE[kind](error)
    if repeatable and isinstance(ours, Uncertain):
        return Unavailable(str(ours))
    return ours


CAUGHT = (sdk.SlackClientError, aiohttp.ClientError, TimeoutError, OSError, RuntimeError)
MISREAD = (*CAUGHT, AttributeError, UnicodeDecodeError)
"""Of a call through slack-sdk."""
