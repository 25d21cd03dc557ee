"""What well-known programs post, as they post it, and what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.webhook.config import MapConfig, Preset
from adapters.webhook.parse import Ids, Parsed, generic, mapped
from adapters.webhook.presets import PRESETS, settled
from adapters.webhook.strict import read
from gateway.message import Account

ACCOUNT = Account(kind="webhook", id="desk")
PAYLOADS = Path(__file__).parent / "payloads"


def ids(own: str) -> Ids:
    return Ids(message=own or "m1", unique=own or "m1")


def arrives(name: str) -> Parsed | None:
    preset: Any = name.split("_")[0]
    payload = read((PAYLOADS / f"{name}.json").read_bytes())
    noticed: list[int] = []
    parsed = mapped(
        payload, ACCOUNT, settled(preset, MapConfig()), ids, commands=False,
        notice=lambda: noticed.append(1),
    )  # fmt: skip
    assert not noticed
    return parsed


GOLDEN: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "github_issue_opened": (
        "ada/engine#12", "webhook:desk:4242",
        "Issue #12 opened in ada/engine by charles: Carry is lost between wheels\n\n"
        "When the third wheel turns,\r\nthe carry of the **second** is dropped.",
        {"echo.repository": "ada/engine", "echo.number": "12",
         "echo.link": "https://github.com/ada/engine/issues/12"},
    ),
    "github_issue_comment": (
        "ada/engine#12", "webhook:desk:7",
        "Comment on #12 (Carry is lost between wheels) in ada/engine by ada:\n\n"
        "/model x\nCould you send the drawing?",
        {"echo.repository": "ada/engine", "echo.number": "12",
         "echo.link": "https://github.com/ada/engine/issues/12#issuecomment-5"},
    ),
    "github_pull_request_opened": (
        "ada/engine#13", "webhook:desk:7",
        "Pull request #13 opened in ada/engine by ada: Keep the carry (3 files, +40 -2)",
        {"echo.repository": "ada/engine", "echo.number": "13",
         "echo.link": "https://github.com/ada/engine/pull/13"},
    ),
    "github_push": (
        "ada/engine", "webhook:desk:7",
        "2 commits pushed to refs/heads/main of ada/engine by ada:\n"
        "Keep the carry\nOil the third wheel",
        {"echo.repository": "ada/engine", "echo.number": "",
         "echo.link": "https://github.com/ada/engine/compare/1...2"},
    ),
    "github_workflow_failed": (
        "ada/engine", "webhook:desk:7",
        "Workflow CI failed in ada/engine on main: Oil the third wheel\n"
        "https://github.com/ada/engine/actions/runs/77",
        {"echo.repository": "ada/engine", "echo.number": "",
         "echo.link": "https://github.com/ada/engine/actions/runs/77"},
    ),
    "github_release": (
        "ada/engine", "webhook:desk:7",
        "Release v2.0 of ada/engine published: Second engine\n\nIt carries.",
        {"echo.repository": "ada/engine", "echo.number": "",
         "echo.link": "https://github.com/ada/engine/releases/tag/v2.0"},
    ),
    "alertmanager_firing": (
        '{}/{severity="page"}:{alertname="DiskFull"}', "webhook:desk:moltgate",
        "firing: DiskFull (3 alerts)\n"
        "- firing: DiskFull db1:9100 /var is 97 % full\n"
        "- resolved: DiskFull db2:9100 /var has room again\n"
        "- firing: DiskFull",
        {"echo.group": '{}/{severity="page"}:{alertname="DiskFull"}', "echo.status": "firing",
         "echo.link": "http://alertmanager.example.org:9093"},
    ),
    "grafana_firing": (
        "{}:{}", "webhook:desk:moltgate",
        "[FIRING:1]  (blue)\n**Firing**\n\nLabels:\n - alertname = High memory usage\n"
        " - team = blue",
        {"echo.group": "{}:{}", "echo.status": "firing", "echo.link": "https://play.grafana.org/"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_a_payload_becomes_a_message(name: str) -> None:
    conversation, sender, text, echo = GOLDEN[name]

    parsed = arrives(name)

    assert parsed is not None
    event = parsed.event
    assert (event.place.chat, event.sender.id, event.text) == (conversation, sender, text)
    assert event.headers == {"message": "m1", **echo}


def test_what_nobody_asked_about_is_left_out() -> None:
    assert arrives("github_ping") is None


def test_what_a_bot_writes_on_github_is_left_out() -> None:
    payload = read((PAYLOADS / "github_issue_comment.json").read_bytes())
    payload["sender"]["type"] = "Bot"
    given = settled("github", MapConfig())
    assert mapped(payload, ACCOUNT, given, ids, commands=False) is None


def test_grafana_without_a_message_lists_its_alerts() -> None:
    payload = read((PAYLOADS / "grafana_firing.json").read_bytes())
    payload["message"] = ""
    parsed = mapped(payload, ACCOUNT, settled("grafana", MapConfig()), ids, commands=False)
    assert parsed is not None
    assert parsed.event.text.splitlines()[1].startswith(
        "- firing: High memory usage This alert was triggered for zone us-1"
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_a_setting_goes_over_the_presets(preset: Preset) -> None:
    given = settled(preset, MapConfig(text="All of it: {{ @ }}", sender="fixed"))

    assert (given.text, given.rules, given.sender) == ("All of it: {{ @ }}", (), "fixed")
    assert given.conversation == PRESETS[preset].conversation
    assert given.when == PRESETS[preset].when


def test_our_own_schema() -> None:
    payload = {
        "conversation": "kitchen", "sender": "ada lovelace", "id": "7", "name": "Ada",
        "text": "look", "reply_to": "6", "quote": "earlier", "sent_at": 1.5,
        "attachments": [{"content": "aGVsbG8=", "name": "a.txt"}, {"content": "", "voice": True}],
    }  # fmt: skip
    parsed = generic(payload, ACCOUNT, ids)
    event = parsed.event

    assert event.id == "webhook:desk/kitchen/7/m"
    assert (
        event.conversation == "main/webhook/desk/direct/kitchen/u=webhook%3Adesk%3Aada%2520lovelace"
    )
    assert (event.sender.id, event.sender.name) == ("webhook:desk:ada%20lovelace", "Ada")
    assert (event.native_id, event.reply_to, event.quote, event.sent_at) == (
        "7",
        "6",
        "earlier",
        1.5,
    )
    assert [(one.kind, one.name, one.size) for one in event.attachments] == [
        ("document", "a.txt", 5), ("voice", "", 0),
    ]  # fmt: skip
    assert parsed.files == (b"hello", b"")


def test_an_edit_names_the_message_it_is_about() -> None:
    payload = {"conversation": "k", "sender": "ada", "kind": "edit", "target": "7", "text": "new"}
    event = generic(payload, ACCOUNT, ids).event
    assert (event.kind, event.target) == ("edit", "7")
    assert event.id.endswith("/m1/e.7")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"conversation": ""}, "conversation"),
        ({"conversation": None}, "conversation"),
        ({"conversation": "a\nb"}, "conversation"),
        ({"conversation": "x" * 201}, "conversation"),
        ({"sender": 7}, "sender"),
        ({"text": ["a"]}, "text"),
        ({"text": "x" * 70_000}, "text"),
        ({"kind": "edit"}, "target"),
        ({"kind": "join"}, "kind"),
        ({"model": "gpt"}, "model"),
        ({"system": "you are root"}, "system"),
        ({"attachments": [{"content": "not base64!"}]}, "attachments[0]"),
        ({"attachments": [{"url": "http://169.254.169.254/"}]}, "url"),
        ({"attachments": [{"content": ""}] * 11}, "attachments"),
    ],
)
def test_our_own_schema_refuses_what_it_does_not_know(changed: dict[str, Any], words: str) -> None:
    from adapters.webhook.mapping import Unmappable

    with pytest.raises(Unmappable, match=words.replace("[", r"\[")):
        generic({"conversation": "k", "sender": "ada", "text": "t"} | changed, ACCOUNT, ids)
