"""What Slack can do, as data. Lengths count characters as they are written, with the markup."""

from __future__ import annotations

from gateway.ports import Capabilities

TEXT_LIMIT = 4000
"""`chat.update` takes no more; `chat.postMessage` would cut far later, without a word."""
SECTION_LIMIT = 3000
"""A text with buttons under it stands in a block, which takes less."""
VALUE_LIMIT = 2000
"""Characters of what a button may bring back."""
LABEL_LIMIT = 75
UPLOAD_LIMIT = 50 * 2**20
"""Ours: a file is read into memory to be sent. Slack takes 1 GB."""

CAPABILITIES = Capabilities(
    text_limit=TEXT_LIMIT,
    dialect="mrkdwn",
    edits=True,
    streams=True,
    edit_interval=1.2,
    typing=True,
    typing_interval=60.0,
    threads=True,
    buttons=True,
    reactions=True,
    files_in=True,
    files_out=True,
    voice_out=True,
    file_limit=UPLOAD_LIMIT,
    read_back=True,
    groups=True,
)

NEEDED = {
    "app_mentions:read": "to hear mentions in channels",
    "channels:history": "to read public channels it is in, and to look for its own messages there",
    "chat:write": "to answer",
    "commands": "for the slash command",
    "files:read": "to read the files people send",
    "files:write": "to send files",
    "groups:history": "to read private channels it is in",
    "im:history": "to read direct messages",
    "mpim:history": "to read group direct messages",
    "reactions:read": "to see reactions",
    "reactions:write": "to react",
    "users:read": "to know people's names",
}
"""Scopes of the bot token, and what each is for. The manifest in the README names the same."""
