"""What mail can do, as data. Lengths count characters."""

from __future__ import annotations

from gateway.ports import Capabilities

TEXT_LIMIT = 200_000
"""Nobody reads more, and it is far from any server's limit."""
FILE_LIMIT = 25 * 2**20
"""Bytes of a whole mail, encoded: what most providers take."""

CAPABILITIES = Capabilities(
    text_limit=TEXT_LIMIT,
    dialect="html",
    threads=True,
    files_in=True,
    files_out=True,
    voice_out=True,
    file_limit=FILE_LIMIT,
    read_back=True,
)
