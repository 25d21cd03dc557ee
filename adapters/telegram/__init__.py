"""Telegram: the Bot API, by long polling or webhook."""

from __future__ import annotations

from adapters import AdapterSpec, Ask, Setup
from adapters.telegram.capabilities import CAPABILITIES
from adapters.telegram.config import TelegramConfig

SPEC = AdapterSpec(
    kind="telegram",
    title="Telegram",
    config=TelegramConfig,
    capabilities=CAPABILITIES,
    factory="adapters.telegram.adapter:TelegramAdapter",
    split="adapters.telegram.split:split",
    extra="telegram",
    setup=Setup(
        steps=(
            "In Telegram, write to @BotFather: /newbot, a name, a user name ending in bot.",
            "It answers with a token like 123456:ABC-DEF.",
        ),
        asks=(Ask(setting="token", question="Token from BotFather", env="TELEGRAM_TOKEN"),),
    ),
)
