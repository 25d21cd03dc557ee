"""What XMPP can do, as data. Lengths count bytes of UTF-8: servers limit what a stanza weighs."""

from __future__ import annotations

from gateway.ports import Capabilities

TEXT_LIMIT = 8000
UPLOAD_LIMIT = 50 * 2**20
"""Bytes; the upload service may allow less, and says so."""

CAPABILITIES = Capabilities(
    text_limit=TEXT_LIMIT,
    dialect="xmpp",
    edits=True,
    streams=True,
    edit_interval=2.0,
    typing=True,
    typing_interval=20.0,
    files_in=True,
    files_out=True,
    voice_out=True,
    file_limit=20 * 2**20,
    read_back=True,
    groups=True,
)
