"""Mails as people and programs write them, read in this process."""

from __future__ import annotations

from adapters.email.reading import Limits, Mail, Reader, Unreadable
from adapters.email.reading.assemble import assemble

US = ("bot@example.org", "assistant@example.org")

HUMAN = {
    "Return-Path": "<ada@example.net>",
    "Received": "from mail.example.net by mx.example.org; Mon, 3 Nov 2025 10:00:00 +0000",
    "From": "Ada Lovelace <ada@example.net>",
    "To": "bot@example.org",
    "Subject": "the engine",
    "Date": "Mon, 3 Nov 2025 10:00:00 +0000",
    "Message-ID": "<one@example.net>",
}


def raw(
    headers: dict[str, str | list[str] | None] | None = None, body: str | bytes = "Does it weave?"
) -> bytes:
    """A mail of Ada's with other headers; None takes one away, a list repeats one."""
    merged: dict[str, str | list[str] | None] = {**HUMAN, **(headers or {})}
    lines = []
    for name, value in merged.items():
        if value is not None:
            lines += [f"{name}: {each}" for each in ([value] if isinstance(value, str) else value)]
    content = body if isinstance(body, bytes) else body.replace("\n", "\r\n").encode()
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def mail(
    headers: dict[str, str | list[str] | None] | None = None, body: str | bytes = "Does it weave?"
) -> Mail:
    return assemble(raw(headers, body), Limits())


def multipart(*parts: str, kind: str = "mixed", headers: dict[str, str] | None = None) -> Mail:
    """Each part with its headers, an empty line, and its content."""
    body = "".join(f"--b\n{part}\n" for part in parts) + "--b--\n"
    content_type = f'multipart/{kind}; boundary="b"'
    return mail({"Content-Type": content_type, **(headers or {})}, body)


async def outcome(reader: Reader, raw: bytes) -> Mail | str:
    """The mail, or why it was not read."""
    try:
        return await reader.read(raw)
    except Unreadable as refused:
        return refused.reason
