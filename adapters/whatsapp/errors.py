"""What the Graph API's error codes lead to: one table, by code and not by words or status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from gateway.errors import BadConfig, Busy, Failed, GatewayError, Unavailable, Uncertain

Leads = Literal["token", "number", "account", "busy", "unavailable", "uncertain", "failed"]

TABLE: Mapping[int, tuple[Leads, float]] = {
    0: ("token", 0),  # not authenticated
    3: ("token", 0),  # no capability
    10: ("token", 0),  # no permission
    190: ("token", 0),  # expired or revoked
    33: ("number", 0),  # deleted number
    131009: ("failed", 0),  # a parameter's value
    133010: ("number", 0),  # not registered
    368: ("account", 0),  # blocked for policy
    131031: ("account", 0),  # locked
    131042: ("account", 0),  # payment
    131045: ("number", 0),  # certificate
    4: ("busy", 60),  # the app's calls
    80007: ("busy", 60),  # the account's calls
    130429: ("busy", 5),  # throughput
    131048: ("busy", 600),  # held for spam
    131056: ("busy", 6),  # too much to one person
    131057: ("unavailable", 60),  # maintenance
    131016: ("unavailable", 0),
    1: ("uncertain", 0),  # wrong request, or their fault: nobody says
    2: ("uncertain", 0),
    131000: ("uncertain", 0),
    100: ("failed", 0),
    470: ("failed", 0),  # the window, by its old number
    130472: ("failed", 0),
    130497: ("failed", 0),
    131008: ("failed", 0),
    131021: ("failed", 0),
    131026: ("failed", 0),
    131030: ("failed", 0),
    131037: ("failed", 0),
    131047: ("failed", 0),  # the window
    131049: ("failed", 0),
    131051: ("failed", 0),
    131052: ("failed", 0),
    131053: ("failed", 0),
    132000: ("failed", 0),
    132001: ("failed", 0),
    135000: ("failed", 0),
}

WORDS: Mapping[int, str] = {
    470: "the 24-hour window is over",
    131047: "the 24-hour window is over",
    131026: "the person cannot be reached on WhatsApp (no account, or an old version)",
    131030: "the number is not on the list of the test account: add it in API Setup",
    131049: "WhatsApp chose not to deliver it",
    131051: "WhatsApp does not take this kind of message",
    131053: "WhatsApp could not take the file",
    132001: "there is no such template in this language",
}

LABELS = frozenset({131026, 131047, 131049, 131051, 131052, 131053, 130472, 131042, 131048})
"""Codes of failed deliveries that are counted by themselves."""


def translate(
    status: int, answer: Any, headers: Mapping[str, str], *, repeatable: bool
) -> GatewayError:
    """Ours for an answer that is no 2xx. `repeatable`: doing it twice shows nothing twice."""
    error = answer.get("error") if isinstance(answer, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    code = code if isinstance(code, int) and not isinstance(code, bool) else None
    words = _words(status, code, error)
    if status == 401:
        return _made("token", 0, words, repeatable)
    if code is not None and code in TABLE:
        leads, after = TABLE[code]
        return _made(leads, after, words, repeatable)
    if code is not None and 200 <= code <= 299:
        return _made("token", 0, words, repeatable)
    if status == 429:
        told = headers.get("Retry-After", "")
        return Busy(words, after=float(told[:6]) if told.isascii() and told.isdigit() else 5.0)
    if status == 503:
        return Unavailable(words)
    if status >= 500 or status < 200:
        return _made("uncertain", 0, words, repeatable)
    return Failed(words)


def _made(leads: Leads, after: float, words: str, repeatable: bool) -> GatewayError:
    match leads:
        case "token":
            remedy = "make a token for the system user with whatsapp_business_messaging"
            return BadConfig(
                "adapters.whatsapp.token", f"Meta does not accept it ({words})", remedy
            )
        case "number":
            remedy = "compare it with API Setup; is the number registered for the Cloud API?"
            return BadConfig("adapters.whatsapp.phone_number_id", words, remedy)
        case "account":
            remedy = "look at business.facebook.com, WhatsApp Manager"
            return BadConfig("adapters.whatsapp.phone_number_id", words, remedy)
        case "busy":
            return Busy(words, after=after)
        case "unavailable":
            return Unavailable(words, after=after or None)
        case "uncertain":
            return Unavailable(words) if repeatable else Uncertain(words)
        case "failed":
            return Failed(words)


def _words(status: int, code: int | None, error: Any) -> str:
    if code is not None and code in WORDS:
        return f"{WORDS[code]} ({code})"
    told = error.get("message") if isinstance(error, dict) else None
    told = " ".join(told.split())[:200] if isinstance(told, str) else "no description"
    return f"{told} ({code if code is not None else status})"
