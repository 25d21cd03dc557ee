"""What a program at the other end of a webhook can do, as data. Lengths count characters."""

from __future__ import annotations

from gateway.ports import Capabilities

TEXT_LIMIT = 60_000
FILE_LIMIT = 20 * 2**20

CAPABILITIES = Capabilities(
    text_limit=TEXT_LIMIT,
    dialect="commonmark",
    buttons=True,
    files_in=True,
    files_out=True,
    voice_out=True,
    file_limit=FILE_LIMIT,
    idempotent_send=True,
)
