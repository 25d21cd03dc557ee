"""E-mail: IMAP in, SMTP out. Answers mails, drafts answers, or sorts."""

from __future__ import annotations

from adapters import AdapterSpec, Ask, Setup
from adapters.email.capabilities import CAPABILITIES
from adapters.email.config import EmailConfig

_ADDRESS = r"[^\s@A-Z]+@[a-z0-9]([a-z0-9.-]*[a-z0-9])?"

SPEC = AdapterSpec(
    kind="email",
    title="E-mail",
    config=EmailConfig,
    capabilities=CAPABILITIES,
    factory="adapters.email.adapter:EmailAdapter",
    split="adapters.email.render:split",
    extra="email",
    id_rules={
        "id_pattern": _ADDRESS,
        "chat_pattern": _ADDRESS,
        "id_hint": "an address in lower case, without a name: ada@example.org",
    },
    setup=Setup(
        steps=(
            "Use a mailbox of its own, not one in which people read.",
            "In its settings switch IMAP on, and make an app password where the provider has "
            "them (Google: Security, 2-Step Verification, App passwords; Fastmail, iCloud and "
            "Yahoo alike). Microsoft 365 wants oauth instead of a password.",
            "Note its IMAP and SMTP servers, e.g. imap.example.org and smtp.example.org.",
            "Open any mail in it, show its source, and note the first word after the topmost "
            "Authentication-Results: that is authserv_id. Without it nobody's address can be "
            "trusted, and nobody is answered.",
        ),
        asks=(
            Ask(setting="address", question="Address of the mailbox", env="EMAIL_ADDRESS"),
            Ask(setting="password", question="Its (app) password", env="EMAIL_PASSWORD"),
            Ask(setting="imap.host", question="IMAP server", env="EMAIL_IMAP_HOST"),
            Ask(setting="smtp.host", question="SMTP server", env="EMAIL_SMTP_HOST"),
            Ask(setting="authserv_id", question="authserv_id", env="EMAIL_AUTHSERV_ID"),
        ),
    ),
)
