"""Settings of the web chat."""

from __future__ import annotations

from pydantic import Field

from config.fields import Section


class WebChatConfig(Section):
    title: str = Field(
        "Moltgate", min_length=1, max_length=60, description="What the page calls itself."
    )
