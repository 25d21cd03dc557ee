"""Web chat: the gateway's own page, and the same conversations for programs."""

from __future__ import annotations

from adapters import AdapterSpec
from adapters.web.capabilities import CAPABILITIES
from adapters.web.config import WebChatConfig

SPEC = AdapterSpec(
    kind="web",
    title="Web chat",
    config=WebChatConfig,
    capabilities=CAPABILITIES,
    factory="adapters.web.adapter:WebAdapter",
    split="adapters.web.render:split",
)
