"""Webhook: any program as a platform, by signed HTTP posts both ways."""

from __future__ import annotations

from adapters import AdapterSpec, Ask, Setup
from adapters.webhook.capabilities import CAPABILITIES
from adapters.webhook.config import WebhookConfig

SPEC = AdapterSpec(
    kind="webhook",
    title="Webhook",
    config=WebhookConfig,
    capabilities=CAPABILITIES,
    factory="adapters.webhook.adapter:WebhookAdapter",
    split="adapters.webhook.render:split",
    extra="webhook",
    id_rules={
        "id_pattern": r"webhook:[^:\s]+:[^\s]+",
        "id_hint": "ids begin with webhook:<account>:, then what the program calls its sender",
    },
    setup=Setup(
        steps=(
            'Make a secret: echo "whsec_$(openssl rand -base64 32)". Both sides get it.',
            "Let your program post to {webhook}, signed by Standard Webhooks "
            "(libraries: standardwebhooks.com).",
            "Give it an address of its own that takes the answers.",
        ),
        asks=(
            Ask(setting="secret", question="Shared secret (whsec_...)", env="WEBHOOK_SECRET"),
            Ask(setting="url", question="Address that answers are posted to", env="WEBHOOK_URL"),
        ),
    ),
)
