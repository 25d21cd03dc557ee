"""A person on a fresh machine: one command, a browser, a conversation, and things that break."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.journeys.stage import living_children

ROOT = Path(__file__).parent.parent.parent
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ANSWERED = 30_000

pytestmark = pytest.mark.browser


class Running:
    """`moltgate run` as a person starts it, and what it prints."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.output = home / "output.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with self.output.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "--home", str(home), "run", "--port", str(port)],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def link(self, seconds: float = 30.0) -> str:
        """The one-time login link it printed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = re.search(r"Web chat: (http://\S+)", self.output.read_text())
            if found:
                return found[1]
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.05)
        raise AssertionError(self.output.read_text())

    def kill(self, role: str) -> None:
        """kill -9 the child with this role."""
        for child, words in living_children(self.process.pid):
            if role in words[4:]:  # past python -P -m gateway
                child.kill()
                return
        raise AssertionError(f"no {role} among the children")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    moltgate = Running(tmp_path)
    yield moltgate
    with contextlib.suppress(ProcessLookupError):
        moltgate.process.kill()
    moltgate.process.wait()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("Chromium is missing: apt-get install chromium, or run scripts/test")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1100, "height": 760})
    yield context.new_page()
    context.close()


def ask(page: Page, text: str) -> None:
    box = page.get_by_role("textbox").first
    box.fill(text)
    box.press("Enter")


def test_one_command_a_browser_and_a_conversation(running: Running, page: Page) -> None:
    page.goto(running.link())
    ask(page, "Who are you?")
    log = page.get_by_role("log")
    expect(log).to_contain_text("demo model", timeout=ANSWERED)

    page.reload()
    expect(page.get_by_role("log")).to_contain_text("demo model", timeout=ANSWERED)

    running.kill("worker")
    ask(page, "What is the capital of France?")
    expect(page.get_by_role("log")).to_contain_text("Paris", timeout=ANSWERED)

    running.kill("gateway")
    ask(page, "/status")
    expect(page.get_by_role("log")).to_contain_text("Queue mode", timeout=ANSWERED)
    assert page.get_by_role("log").get_by_text("Paris").count() == 1

    assert running.stop() == 0


def test_a_login_link_works_once(running: Running, browser: Browser) -> None:
    link = running.link()
    first, second = browser.new_context(), browser.new_context()
    try:
        page = first.new_page()
        page.goto(link)
        expect(page.get_by_role("textbox").first).to_be_visible(timeout=ANSWERED)
        stranger = second.new_page()
        stranger.goto(link)
        stranger.wait_for_load_state("networkidle")
        expect(stranger.get_by_role("log")).to_have_count(0)
    finally:
        first.close()
        second.close()
