"""Discord: a bot on its gateway and its REST interface, by discord.py."""

from __future__ import annotations

from adapters import AdapterSpec, Ask, Setup
from adapters.discord.capabilities import CAPABILITIES, INVITE
from adapters.discord.config import DiscordConfig

SPEC = AdapterSpec(
    kind="discord",
    title="Discord",
    config=DiscordConfig,
    capabilities=CAPABILITIES,
    factory="adapters.discord.adapter:DiscordAdapter",
    split="adapters.discord.render:split",
    extra="discord",
    id_rules={
        "id_pattern": r"[0-9]{5,20}",
        "chat_pattern": r"[0-9]{5,20}",
        "id_hint": "a number: in Discord switch on Settings, Advanced, Developer Mode, then "
        "right-click the person or channel and choose Copy ID",
    },
    setup=Setup(
        steps=(
            "Open https://discord.com/developers/applications, choose New Application, name it.",
            "Bot, Privileged Gateway Intents: switch on Message Content Intent, save.",
            "Bot, Reset Token: copy the token, it is shown once.",
            f"Invite it to your server: {INVITE.format(id='<APPLICATION ID>')} "
            "(the id is on the page General Information).",
        ),
        asks=(Ask(setting="token", question="Token of the bot", env="DISCORD_TOKEN"),),
    ),
)
