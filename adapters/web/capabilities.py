"""What the page can show, as data."""

from __future__ import annotations

from gateway.ports import Capabilities

CAPABILITIES = Capabilities(
    text_limit=32000,
    dialect="commonmark",
    streams=True,
    edit_interval=0.05,
    typing=True,
    typing_interval=5.0,
    buttons=True,
    files_in=True,
    files_out=True,
    voice_out=True,
    file_limit=20 * 2**20,
    idempotent_send=True,
)
