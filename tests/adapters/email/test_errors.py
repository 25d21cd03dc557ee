"""The tables of the libraries' exceptions are total, and right about what may have happened."""

from __future__ import annotations

import inspect
import ssl

import aioimaplib
import aiosmtplib
import pytest

from adapters.email import errors
from gateway.errors import BadConfig, Busy, Failed, GatewayError, Retryable, Unavailable, Uncertain


def kinds(module: object, base: type[BaseException]) -> list[type[BaseException]]:
    return [
        kind for kind in vars(module).values() if inspect.isclass(kind) and issubclass(kind, base)
    ]


SMTP = kinds(aiosmtplib, aiosmtplib.SMTPException)
IMAP = kinds(aioimaplib, aioimaplib.AioImapException)


def made(kind: type[BaseException], code: int = 550) -> BaseException:
    if kind is aiosmtplib.SMTPRecipientsRefused:
        return kind([aiosmtplib.SMTPRecipientRefused(code, "no", "x@y")])
    if issubclass(kind, aiosmtplib.SMTPSenderRefused | aiosmtplib.SMTPRecipientRefused):
        return kind(code, "no", "x@y")
    if issubclass(kind, aiosmtplib.SMTPResponseException):
        return kind(code, "no")
    return kind("words")


def test_every_exception_of_the_libraries_has_its_own_line() -> None:
    assert len(SMTP) >= 14
    assert set(SMTP) <= set(errors.SMTP)
    assert len(IMAP) >= 5
    assert set(IMAP) <= set(errors.IMAP)


@pytest.mark.parametrize("content", [True, False])
@pytest.mark.parametrize("kind", SMTP, ids=lambda kind: kind.__name__)
def test_before_the_content_left_nothing_is_uncertain(
    kind: type[BaseException], content: bool
) -> None:
    ours = errors.smtp(made(kind), content=content)
    assert isinstance(ours, GatewayError)
    assert content or not isinstance(ours, Uncertain)


@pytest.mark.parametrize("kind", IMAP, ids=lambda kind: kind.__name__)
def test_every_failure_of_imap_is_tried_again(kind: type[BaseException]) -> None:
    assert isinstance(errors.imap(made(kind)), Retryable)


@pytest.mark.parametrize(
    ("error", "content", "ours"),
    [
        (aiosmtplib.SMTPDataError(550, "spam"), True, Failed),
        (aiosmtplib.SMTPDataError(451, "later"), True, Unavailable),
        (aiosmtplib.SMTPDataError(452, "full"), True, Busy),
        (aiosmtplib.SMTPRecipientRefused(550, "unknown", "x"), False, Failed),
        (aiosmtplib.SMTPRecipientRefused(450, "greylisted", "x"), False, Busy),
        (aiosmtplib.SMTPSenderRefused(553, "not yours", "x"), False, Failed),
        (aiosmtplib.SMTPAuthenticationError(535, "no"), False, BadConfig),
        (aiosmtplib.SMTPAuthenticationError(454, "later"), False, Unavailable),
        (aiosmtplib.SMTPConnectResponseError(554, "nobody"), False, Unavailable),
        (aiosmtplib.SMTPHeloError(501, "what?"), False, Unavailable),
        (aiosmtplib.SMTPNotSupported("no STARTTLS"), False, BadConfig),
        (aiosmtplib.SMTPServerDisconnected("cut"), False, Unavailable),
        (aiosmtplib.SMTPServerDisconnected("cut"), True, Uncertain),
        (aiosmtplib.SMTPReadTimeoutError("slow"), True, Uncertain),
        (ConnectionResetError("cut"), True, Uncertain),
        (ssl.SSLError("cut"), True, Uncertain),
    ],
)
def test_the_table_reads(error: BaseException, content: bool, ours: type[GatewayError]) -> None:
    assert type(errors.smtp(error, content=content)) is ours


def test_a_password_is_in_no_words_of_ours() -> None:
    class Command:
        def __repr__(self) -> str:
            return "LOGIN ada secret"

    assert "secret" not in errors.words(aioimaplib.CommandTimeout(Command()))
