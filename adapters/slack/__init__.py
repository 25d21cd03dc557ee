"""Slack: Socket Mode or the signed Events API, and the Web API."""

from __future__ import annotations

from adapters import AdapterSpec, Ask, Setup
from adapters.slack.capabilities import CAPABILITIES
from adapters.slack.config import SlackConfig

SPEC = AdapterSpec(
    kind="slack",
    title="Slack",
    config=SlackConfig,
    capabilities=CAPABILITIES,
    factory="adapters.slack.adapter:SlackAdapter",
    split="adapters.slack.render:split",
    extra="slack",
    id_rules={
        "id_pattern": r"[TE][A-Z0-9]+/[UWB][A-Z0-9]+",
        "chat_pattern": r"[CDG][A-Z0-9]+",
        "id_hint": "people are TEAM/USER, e.g. T012AB3CD/U045EF6GH, as /whoami shows it; a "
        "channel's id, e.g. C012AB3CD, is at the bottom of its details",
    },
    setup=Setup(
        steps=(
            "Open https://api.slack.com/apps: Create New App, From a manifest, your workspace; "
            "paste the manifest of adapters/slack/README.md.",
            "Basic Information, App-Level Tokens: Generate Token with the scope "
            "connections:write. It looks like xapp-1-A012-...",
            "Install App: Install to Workspace. The Bot User OAuth Token looks like xoxb-...",
            "In Slack, write to the app directly, or /invite it into a channel.",
        ),
        asks=(
            Ask(setting="bot_token", question="Bot User OAuth Token", env="SLACK_BOT_TOKEN"),
            Ask(setting="app_token", question="App-Level Token", env="SLACK_APP_TOKEN"),
        ),
    ),
)
