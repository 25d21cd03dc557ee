"""What Discord can do, as data. Lengths count UTF-16 units of the text as it is written, with its
markup."""

from __future__ import annotations

from gateway.ports import Capabilities

TEXT_LIMIT = 2000
BUTTON_LIMIT = 100
"""Characters of what a button may bring back."""
LABEL_LIMIT = 80
ROWS = COLUMNS = 5

PERMISSIONS = {
    "View Channels": 1 << 10,
    "Send Messages": 1 << 11,
    "Send Messages in Threads": 1 << 38,
    "Read Message History": 1 << 16,
    "Attach Files": 1 << 15,
    "Add Reactions": 1 << 6,
    "Send Voice Messages": 1 << 46,
}
"""What the bot needs in a server, as Discord calls it."""
ADMINISTRATOR = 1 << 3

INVITE = (
    "https://discord.com/oauth2/authorize?client_id={id}&scope=bot+applications.commands"
    f"&permissions={sum(PERMISSIONS.values())}"
)

CAPABILITIES = Capabilities(
    text_limit=TEXT_LIMIT,
    dialect="discord",
    edits=True,
    streams=True,
    edit_interval=1.2,
    typing=True,
    typing_interval=8.0,
    threads=True,
    buttons=True,
    reactions=True,
    files_in=True,
    files_out=True,
    voice_out=True,
    file_limit=10 * 2**20,
    read_back=True,
    groups=True,
)
