"""What the settings of files and voice lead to when roles are put together."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.media import reads_files
from gateway.app.road import account_rules
from gateway.errors import BadConfig
from gateway.settings import Settings, load
from multimodal.config import MediaConfig

BOTS = """
adapters:
  telegram: {token: "1234567:abcdefghijklmnopqrstuvwxyz0123456789", mention_patterns: [botty]}
"""


def settings(home: Path, text: str) -> Settings:
    (home / "moltgate.yaml").write_text(text)
    return load(home, None, {})


@pytest.mark.parametrize(
    ("media", "listens", "names"),
    [
        ("", True, ()),
        ("media: {heard_as: [molly]}", True, ("molly", "botty")),
        ("media: {heard_as: [molly]}", False, ()),
        ("media: {heard_as: [molly], read: [image, audio]}", True, ()),
    ],
)
def test_voice_messages_in_groups_are_heard_where_names_are_set(
    tmp_path: Path, media: str, listens: bool, names: tuple[str, ...]
) -> None:
    rules = account_rules(settings(tmp_path, BOTS + media), listens=listens)
    assert rules["telegram:default"].heard_as == names


@pytest.mark.parametrize("name", ["''", "' '", "[]"])
def test_a_blank_name_that_everything_said_would_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadConfig, match="heard_as"):
        settings(tmp_path, f"{BOTS}media: {{heard_as: [molly, {name}]}}").section(MediaConfig)


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("", True),
        ("redis: {url: 'redis+cluster://localhost:7000'}", False),
        (
            "redis: {url: 'redis+cluster://localhost:7000'}\n"
            "media: {broker: 'redis://localhost:6379'}",
            True,
        ),
    ],
)
def test_a_cluster_without_a_server_for_jobs_still_answers_texts(
    tmp_path: Path, text: str, reads: bool
) -> None:
    assert reads_files(settings(tmp_path, text)) is reads
