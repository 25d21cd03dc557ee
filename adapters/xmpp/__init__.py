"""XMPP (Jabber): direct chats and rooms."""

from __future__ import annotations

from adapters import AdapterSpec, Ask, Setup
from adapters.xmpp.capabilities import CAPABILITIES
from adapters.xmpp.config import XmppConfig

_JID = r"[^\sA-Z@/]+@[^\sA-Z@/]+"

SPEC = AdapterSpec(
    kind="xmpp",
    title="XMPP",
    config=XmppConfig,
    capabilities=CAPABILITIES,
    factory="adapters.xmpp.adapter:XmppAdapter",
    split="adapters.xmpp.render:split",
    extra="xmpp",
    id_rules={
        "id_pattern": _JID + r"(/\S+)?",
        "chat_pattern": _JID,
        "id_hint": "a bare JID in lower case, e.g. ada@example.org",
    },
    setup=Setup(
        steps=(
            "Make an account for the bot: on your own server, or with a client that can register.",
            "Add it as a contact in your own client, so that both see each other.",
        ),
        asks=(
            Ask(setting="jid", question="The bot's address, bot@example.org", env="XMPP_JID"),
            Ask(setting="password", question="Its password", env="XMPP_PASSWORD"),
        ),
    ),
)
