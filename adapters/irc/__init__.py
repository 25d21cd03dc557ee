"""IRC: channels and direct messages on one network."""

from __future__ import annotations

from adapters import AdapterSpec, Ask, Setup
from adapters.irc.capabilities import CAPABILITIES
from adapters.irc.config import IrcConfig

SPEC = AdapterSpec(
    kind="irc",
    title="IRC",
    config=IrcConfig,
    capabilities=CAPABILITIES,
    factory="adapters.irc.adapter:IrcAdapter",
    split="adapters.irc.render:split",
    id_rules={
        "id_pattern": r"[^\sA-Z@][^\sA-Z]*",
        "chat_pattern": r"[#&+!][^\sA-Z,]+",
        "id_hint": "in lower case: a services account, or nick!user@host; a #channel for groups",
    },
    setup=Setup(
        steps=(
            "Choose a nick. On networks with services register it: /msg NickServ REGISTER.",
            "People are known for sure by their services account only (see the adapter's README).",
        ),
        asks=(
            Ask(setting="server", question="Server, e.g. irc.libera.chat", env="IRC_SERVER"),
            Ask(setting="nick", question="The bot's nick", env="IRC_NICK", default="moltgate"),
        ),
    ),
)
