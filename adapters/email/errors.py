"""The libraries' exceptions become ours: one table for SMTP, one for IMAP.

SMTP has no key for a send: what was cut once the content was on its way is `Uncertain`, everything
before surely did not happen. IMAP calls may all be repeated.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

import aioimaplib  # type: ignore[import-untyped]
import aiosmtplib

from gateway.errors import BadConfig, Busy, Failed, GatewayError, Unavailable, Uncertain

_FULL = (450, 452)
"""Mailbox busy or greylisted; too little room, or too many for now."""


class NoSuchFolder(Failed):
    """The server has no folder of that name."""


class Gone(Failed):
    """The mail is no longer there."""


def _unavailable(error: BaseException) -> GatewayError:
    return Unavailable(f"the mail server cannot be reached: {words(error)}")


def _cut(error: BaseException) -> GatewayError:
    return Unavailable(f"the connection to the mail server was lost: {words(error)}")


def _answered(error: BaseException) -> GatewayError:
    """By its code (RFC 5321, 4.2.1)."""
    assert isinstance(error, aiosmtplib.SMTPResponseException)
    if error.code in _FULL:
        return Busy(words(error))
    return (Unavailable if not 500 <= error.code < 600 else Failed)(words(error))


def _greeting(error: BaseException) -> GatewayError:
    """554 in a greeting means nobody, not this mail."""
    return Unavailable(words(error))


def _login(error: BaseException) -> GatewayError:
    assert isinstance(error, aiosmtplib.SMTPResponseException)
    if not 500 <= error.code < 600:
        return Unavailable(words(error))
    return refused_login("smtp", words(error))


def _several(error: BaseException) -> GatewayError:
    assert isinstance(error, aiosmtplib.SMTPRecipientsRefused)
    return _answered(error.recipients[0])


def _unsupported(error: BaseException) -> GatewayError:
    return BadConfig(
        "adapters.email.smtp.tls",
        f"the SMTP server cannot do what the settings ask for ({words(error)})",
        "check tls and port: 465 is implicit, 587 is starttls",
    )


def _other(error: BaseException) -> GatewayError:
    return Unavailable(words(error))


SMTP: dict[type[BaseException], Callable[[BaseException], GatewayError]] = {
    aiosmtplib.SMTPConnectResponseError: _greeting,
    aiosmtplib.SMTPConnectTimeoutError: _unavailable,
    aiosmtplib.SMTPConnectError: _unavailable,
    aiosmtplib.SMTPReadTimeoutError: _cut,
    aiosmtplib.SMTPTimeoutError: _cut,
    aiosmtplib.SMTPServerDisconnected: _cut,
    aiosmtplib.SMTPNotSupported: _unsupported,
    aiosmtplib.SMTPHeloError: _greeting,
    aiosmtplib.SMTPAuthenticationError: _login,
    aiosmtplib.SMTPSenderRefused: _answered,
    aiosmtplib.SMTPRecipientRefused: _answered,
    aiosmtplib.SMTPRecipientsRefused: _several,
    aiosmtplib.SMTPDataError: _answered,
    aiosmtplib.SMTPResponseException: _answered,
    aiosmtplib.SMTPException: _other,
    ssl.SSLError: _cut,
    OSError: _cut,
    TimeoutError: _cut,
}

IMAP: dict[type[BaseException], Callable[[BaseException], GatewayError]] = {
    aioimaplib.Abort: _cut,
    aioimaplib.Error: _cut,
    aioimaplib.CommandTimeout: _cut,
    aioimaplib.aioimaplib.IncompleteRead: _cut,
    aioimaplib.AioImapException: _cut,
    ssl.SSLError: _unavailable,
    OSError: _unavailable,
    TimeoutError: _unavailable,
    UnicodeError: _cut,  # an answer that is not IMAP
    ValueError: _cut,
    AttributeError: _cut,  # the library's, of a connection that is not there
    IndexError: _cut,
}
CUT = tuple(IMAP)


def smtp(error: BaseException, *, content: bool) -> GatewayError:
    """Ours for theirs. `content`: the mail itself may have left."""
    kind = next(kind for kind in type(error).__mro__ if kind in SMTP)
    ours = SMTP[kind](error)
    if content and not isinstance(error, aiosmtplib.SMTPResponseException):
        return Uncertain(f"the send was cut: {words(error)}")
    return ours


def imap(error: BaseException) -> GatewayError:
    kind = next(kind for kind in type(error).__mro__ if kind in IMAP)
    return IMAP[kind](error)


def refused_login(where: str, said: str) -> BadConfig:
    return BadConfig(
        "adapters.email.password",
        f"the {where.upper()} server does not let us in ({said})",
        f"check user, password or oauth; many providers want an app password, and {where.upper()} "
        "to be switched on",
    )


def words(error: BaseException) -> str:
    """One line, without what the server may repeat of a mail."""
    certificate = error if isinstance(error, ssl.SSLCertVerificationError) else error.__cause__
    if isinstance(certificate, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted: {certificate.verify_message}; for a server of your "
            "own name its certificate authority in ca_file"
        )
    if isinstance(error, aiosmtplib.SMTPResponseException):
        text = f"{error.code} {error.message}"
    elif isinstance(error, aioimaplib.CommandTimeout):
        text = "no answer in time"  # its own words hold the command
    else:
        text = str(error) or type(error).__name__
    return " ".join(text.split())[:300]
