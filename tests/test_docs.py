"""Prose and program say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from adapters import find, kinds
from gateway.metrics import Metrics, merged
from gateway.queues.ledger import Depths, Ledger
from gateway.settings import load

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
COLUMNS = {
    "streams": "streaming",
    "typing": "typing",
    "threads": "threads",
    "buttons": "buttons",
    "files_in": "files in",
    "files_out": "files out",
    "groups": "groups",
    "idempotent_send": "repeatable send",
    "read_back": "look-up",
}


def capability_table() -> str:
    """The README's table, from each adapter's `capabilities.py`."""
    rows = [
        "| platform | " + " | ".join(COLUMNS.values()) + " | text per message |",
        "| --- |" + " --- |" * (len(COLUMNS) + 1),
    ]
    for kind in kinds():
        spec = find(kind)
        marks = ["yes" if getattr(spec.capabilities, name) else "–" for name in COLUMNS]
        limit = f"{spec.capabilities.text_limit:,}"
        rows.append(f"| {spec.title} | " + " | ".join(marks) + f" | {limit} |")
    return "\n".join(rows)


def test_the_readme_shows_what_the_adapters_say_they_can() -> None:
    readme = (ROOT / "README.md").read_text()
    shown = readme.partition("<!-- capabilities -->\n")[2].partition("\n<!-- /capabilities -->")[0]
    assert shown == capability_table(), "put this into the README:\n" + capability_table()


def test_operations_names_every_metric() -> None:
    text = merged({"gateway": Metrics().exposition()}, Ledger(), Depths(outbox={})).decode()
    names = set(re.findall(r"^# HELP (moltgate_\w+?)(?:_total|_created)? ", text, re.MULTILINE))
    page = (ROOT / "docs" / "operations.md").read_text()
    named = set(re.findall(r"`(moltgate_\w+)`", page))

    assert names <= named
    assert named <= names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    for record in folder.glob("[0-9]*.md"):
        assert f"({record.name})" in index


def test_the_readmes_configuration_is_one(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    assert yaml.safe_load(example)
    file = tmp_path / "moltgate.yaml"
    file.write_text(example)

    env = {
        "TELEGRAM_TOKEN": "123456:" + "a" * 35,
        "DISCORD_TOKEN": f"{'M' * 24}.{'a' * 6}.{'b' * 38}",
        "EMAIL_PASSWORD": "correct horse",
    }
    settings = load(tmp_path, file, env)

    assert list(settings.engines) == ["home"]
    kinds = [entry.account.kind for entry in settings.adapters]
    assert kinds == ["web", "telegram", "discord", "email"]


def test_the_readmes_scripts_are_there() -> None:
    readme = (ROOT / "README.md").read_text()
    for script in re.findall(r"\bscripts/\w+", readme):
        assert (ROOT / script).stat().st_mode & 0o111, script


def test_ci_runs_the_readmes_test_command() -> None:
    assert "scripts/test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("kind", kinds())
def test_every_adapter_has_a_page_with_a_checklist(kind: str) -> None:
    page = (ROOT / "adapters" / kind / "README.md").read_text()
    assert "- [x]" in page or "done" in page
    assert "exempt" in page
