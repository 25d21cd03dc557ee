"""WhatsApp: the Cloud API, by signed webhooks in and Graph calls out."""

from __future__ import annotations

from adapters import AdapterSpec, Ask, Setup
from adapters.whatsapp.capabilities import CAPABILITIES
from adapters.whatsapp.config import WhatsAppConfig

SPEC = AdapterSpec(
    kind="whatsapp",
    title="WhatsApp",
    config=WhatsAppConfig,
    capabilities=CAPABILITIES,
    factory="adapters.whatsapp.adapter:WhatsAppAdapter",
    split="adapters.whatsapp.render:split",
    id_rules={
        "id_pattern": r"\d{5,20}|[A-Z]{2}\.[A-Za-z0-9.]{5,150}",
        "id_hint": "use the phone number with its country code, digits only, e.g. 4915112345678",
    },
    setup=Setup(
        steps=(
            "On developers.facebook.com: My Apps, Create App, use case WhatsApp.",
            "WhatsApp, API Setup: note the phone number ID.",
            "business.facebook.com, System users: make one with the app and the WhatsApp account "
            "as assets, and a token that never expires with whatsapp_business_messaging and "
            "whatsapp_business_management.",
            "App settings, Basic: show the app secret.",
            "Make up a verify token: openssl rand -hex 16.",
            "When the gateway runs: WhatsApp, Configuration, Webhook: callback URL {webhook}, the "
            "verify token, and subscribe to messages.",
        ),
        asks=(
            Ask(
                setting="token",
                question="Access token of the system user",
                env="WHATSAPP_TOKEN",
            ),
            Ask(setting="phone_number_id", question="Phone number ID", env="WHATSAPP_PHONE_ID"),
            Ask(setting="app_secret", question="App secret", env="WHATSAPP_APP_SECRET"),
            Ask(setting="verify_token", question="Verify token", env="WHATSAPP_VERIFY_TOKEN"),
        ),
    ),
)
