"""What Telegram can do, as data. Lengths count UTF-16 units of what is seen, without the markup."""

from __future__ import annotations

from gateway.ports import Capabilities

TEXT_LIMIT = 4000
"""Telegram takes 4096. The rest is room for what it and we count differently."""
CAPTION_LIMIT = 1024
CALLBACK_LIMIT = 64
"""Bytes of what a button may bring back."""
DOWNLOAD_LIMIT = 20 * 2**20
"""Bytes of the largest file that the cloud Bot API hands out."""
UPLOAD_LIMIT = 50 * 2**20

CAPABILITIES = Capabilities(
    text_limit=TEXT_LIMIT,
    dialect="html",
    edits=True,
    streams=True,
    edit_interval=1.0,
    typing=True,
    typing_interval=4.5,
    threads=True,
    buttons=True,
    reactions=True,
    files_in=True,
    files_out=True,
    voice_out=True,
    file_limit=DOWNLOAD_LIMIT,
    groups=True,
)
