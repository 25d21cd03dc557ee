"""A real Chromium, as the tests of the page need it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from gateway.web import auth
from tests.fakes.web import House

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-ui-for-media-stream "
    "--use-fake-device-for-media-stream"
).split()

PATIENCE = 30_000
"""Milliseconds until what was expected counts as missing: no test is about the machine's speed."""

expect.set_options(timeout=PATIENCE)

PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    path = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if path is None:
        pytest.fail("Chromium is missing: apt-get install chromium, or run scripts/test")
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


async def logged_in(home: House, browser: Browser, *, url: str = "", **options: object) -> Page:
    """A page of a new browser profile, logged in by a link, connected."""
    context = await browser.new_context(**options)  # type: ignore[arg-type]
    page = await context.new_page()
    page.set_default_timeout(PATIENCE)
    code = await auth.issue_login(home.records)
    await page.goto(f"{url or home.url}/login#{code}")
    await connected(page)
    return page


async def connected(page: Page) -> None:
    await page.locator("#state[data-state=online]").wait_for()


async def say(page: Page, text: str) -> None:
    await page.fill("#text", text)
    await page.press("#text", "Enter")
