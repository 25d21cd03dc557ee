"""What WhatsApp can do, as data. Lengths count UTF-16 units of the text with its marks."""

from __future__ import annotations

from gateway.ports import Capabilities

TEXT_LIMIT = 4000
"""WhatsApp takes 4096. The rest is room for what it and we count differently."""
CAPTION_LIMIT = 1024
BUTTON_TEXT_LIMIT = 1024
"""Of a text above buttons."""
BUTTONS = 3
BUTTON_LABEL = 20
BUTTON_DATA = 256
DOWNLOAD_LIMIT = 100 * 2**20
IMAGE_LIMIT = 5 * 2**20
MEDIA_LIMIT = 16 * 2**20
"""Of sound and film."""
DOCUMENT_LIMIT = 100 * 2**20

CAPABILITIES = Capabilities(
    text_limit=TEXT_LIMIT,
    dialect="whatsapp",
    typing=True,
    typing_interval=20.0,  # it fades after 25 s
    buttons=True,
    reactions=True,
    files_in=True,
    files_out=True,
    voice_out=True,
    file_limit=DOWNLOAD_LIMIT,
    read_back=True,
)
