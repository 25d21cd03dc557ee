"""Matrix: the client-server API of any homeserver, encrypted rooms included."""

from __future__ import annotations

from adapters import AdapterSpec, Ask, Setup
from adapters.matrix.capabilities import CAPABILITIES
from adapters.matrix.config import MatrixConfig

SPEC = AdapterSpec(
    kind="matrix",
    title="Matrix",
    config=MatrixConfig,
    capabilities=CAPABILITIES,
    factory="adapters.matrix.adapter:MatrixAdapter",
    split="adapters.matrix.render:split",
    extra="matrix",
    id_rules={
        "id_pattern": r"@[^:\s]+:[^\s]+",
        "chat_pattern": r"![^\s]+",
        "id_hint": "a full Matrix id like @ada:example.org, a room id like !abc:example.org",
    },
    setup=Setup(
        steps=(
            "Make an account for the bot on your homeserver, e.g. in Element: Create account.",
            "Signed in as the bot: All settings, Help & About, Access Token; then close the "
            "window without signing out. Or give user and password instead of a token.",
        ),
        asks=(
            Ask(
                setting="homeserver",
                question="Address of the homeserver, e.g. https://matrix.example.org",
                env="MATRIX_HOMESERVER",
            ),
            Ask(
                setting="access_token",
                question="Access token of the bot",
                env="MATRIX_ACCESS_TOKEN",
            ),
            Ask(
                setting="owners",
                question="Your own Matrix id, whose invitations the bot accepts",
                env="MATRIX_OWNER",
            ),
        ),
    ),
)
