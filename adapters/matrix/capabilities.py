"""What Matrix can do, as data. Lengths count UTF-8 bytes of what is seen, without the markup."""

from __future__ import annotations

from gateway.ports import Capabilities

TEXT_LIMIT = 16_000
"""An event may have 64 KiB. A text is in it twice, as text and as HTML, and encryption makes it a
third longer."""
FILE_LIMIT = 50 * 2**20
"""Bytes; what a homeserver takes is its own setting, 50 MB where nobody changed it."""

CAPABILITIES = Capabilities(
    text_limit=TEXT_LIMIT,
    dialect="html",
    edits=True,
    streams=True,
    edit_interval=1.5,
    typing=True,
    typing_interval=5.0,
    threads=True,
    reactions=True,
    files_in=True,
    files_out=True,
    voice_out=True,
    file_limit=FILE_LIMIT,
    read_back=True,
    groups=True,
)
