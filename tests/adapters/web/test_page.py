"""The page in a real browser."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Page, Request, expect

from gateway.errors import Refused, Unavailable
from gateway.message import Button, Inbound
from tests.fakes.browser import PHONE, chromium, connected, logged_in, say
from tests.fakes.web import FakeRoad, House, house, until
from tests.fakes.web_corpora import xss_payloads
from tests.fakes.wire import wire

pytestmark = pytest.mark.browser

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63"
    "fccf50af010005020201e4a5cd2b0000000049454e44ae426082"
)


async def silent(event: Inbound, road: FakeRoad) -> None:
    """Answers nothing by itself."""


async def taken(home: House, count: int = 1) -> Inbound:
    await until(lambda: len(home.road.taken) >= count)
    return home.road.taken[count - 1]


async def test_a_message_is_sent_shown_and_answered() -> None:
    async with house() as home, chromium() as browser:
        page = await logged_in(home, browser)
        assert page.url.startswith(home.url + "/#"), "the code must not stay in the address"

        await say(page, "hello **there**")

        await expect(page.locator(".message.user .body")).to_have_text("hello **there**")
        await expect(page.locator(".message.assistant strong")).to_have_text("there")
        await expect(page.locator("#pending li")).to_have_count(0)
        await expect(page.locator("#conversations .name")).to_have_text("hello **there**")
        await expect(page.locator("#text")).to_be_focused()


async def test_an_answer_grows_in_place_and_its_final_form_takes_over() -> None:
    async with house(silent) as home, chromium() as browser:
        page = await logged_in(home, browser)
        await say(page, "tell me")
        event = await taken(home)

        await home.road.begin(event)
        await expect(page.locator("#typing")).to_be_visible()
        await expect(page.locator("#stop")).to_be_visible()
        for text in ("One", "One *two*", "One *two*\n\n```py\nx = 1"):
            await home.road.grow(event, text)
        await expect(page.locator(".growing em")).to_have_text("two")
        await expect(page.locator(".growing pre")).to_have_text("x = 1")
        await expect(page.locator("#typing")).to_be_hidden()
        assert await page.locator(".growing").get_attribute("aria-busy") == "true"

        await home.road.answer(event, "One *two* three")
        await expect(page.locator(".message.assistant .body")).to_have_text("One two three")
        await home.road.grow(event, "late and void")
        await say(page, "next")
        await taken(home, 2)
        await expect(page.locator(".message.user")).to_have_count(2)
        await expect(page.locator(".message.assistant")).to_have_count(1)
        await expect(page.locator(".growing")).to_have_count(0)
        await expect(page.locator("#stop")).to_be_hidden()


async def test_reloading_in_the_middle_of_an_answer_loses_and_doubles_nothing() -> None:
    async with house(silent) as home, chromium() as browser:
        page = await logged_in(home, browser)
        await say(page, "tell me")
        event = await taken(home)
        await home.road.grow(event, "Half of")
        await expect(page.locator(".growing")).to_have_text("Half of")

        await page.reload()

        await expect(page.locator(".growing")).to_have_text("Half of")
        await home.road.answer(event, "Half of it", part=0, parts=2)
        await home.road.answer(event, "and the rest", part=1, parts=2)
        await expect(page.locator(".message.user")).to_have_count(1)
        await expect(page.locator(".message.assistant .body")).to_have_text(
            ["Half of it", "and the rest"]
        )


async def test_two_tabs_show_the_same_conversation() -> None:
    async with house(silent) as home, chromium() as browser:
        one = await logged_in(home, browser)
        other = await one.context.new_page()
        await other.goto(one.url)
        await connected(other)

        await say(one, "from one")
        await home.road.answer(await taken(home), "for both")
        await say(other, "from the other")
        await home.road.answer(await taken(home, 2), "again")

        for page in (one, other):
            await expect(page.locator(".message .body")).to_have_text(
                ["from one", "for both", "from the other", "again"]
            )


async def test_what_was_sent_without_a_connection_arrives_once_when_it_is_back() -> None:
    async with house() as home, wire(home.port) as line, chromium() as browser:
        page = await logged_in(home, browser, url=line.url)
        await say(page, "first")
        await expect(page.locator(".message.assistant")).to_have_count(1)

        line.cut()
        await page.locator("#state[data-state=offline]").wait_for()
        await say(page, "second")
        await say(page, "third")
        await expect(page.locator("#pending .waiting")).to_have_count(2)
        line.mend()

        await connected(page)
        await expect(page.locator("#pending li")).to_have_count(0)
        await expect(page.locator(".message.user .body")).to_have_text(["first", "second", "third"])
        await expect(page.locator(".message.assistant")).to_have_count(3)
        assert [event.text for event in home.road.taken] == ["first", "second", "third"]


async def test_a_line_that_is_cut_again_and_again_loses_and_doubles_nothing() -> None:
    async with house() as home, wire(home.port) as line, chromium() as browser:
        page = await logged_in(home, browser, url=line.url)
        for number in range(12):
            await say(page, f"message {number}")
            line.cut()
            line.mend()
        await expect(page.locator(".message.assistant")).to_have_count(12)
        await expect(page.locator("#pending li")).to_have_count(0)

        shown = await page.locator(".message").evaluate_all(
            "all => all.map((each) => Number(each.dataset.seq))"
        )
        assert shown == list(range(1, 25))
        assert sorted(event.text for event in home.road.taken) == sorted(
            f"message {number}" for number in range(12)
        )


async def test_a_store_that_is_away_keeps_the_message_until_it_is_back() -> None:
    async with house() as home, chromium() as browser:
        page = await logged_in(home, browser)
        home.road.failure = Unavailable("down", after=0.1)
        await say(page, "hello")
        await expect(page.locator(".message.user")).to_have_count(1)

        home.road.failure = None

        await expect(page.locator(".message.assistant")).to_have_count(1)
        await expect(page.locator(".message.user")).to_have_count(1)
        await expect(page.locator("#pending li")).to_have_count(0)


async def test_a_refused_message_says_why_and_can_be_sent_again() -> None:
    async with house() as home, chromium() as browser:
        page = await logged_in(home, browser)
        home.road.failure = Refused("That is too much.", reason="rate_limit")
        await say(page, "hello")
        await expect(page.locator(".message.failed")).to_contain_text("Not sent: That is too much.")
        home.road.failure = None

        await page.get_by_role("button", name="Try again").click()

        await expect(page.locator(".message.assistant")).to_have_count(1)
        await expect(page.locator("#pending li")).to_have_count(0)


async def test_a_file_is_uploaded_and_shown(tmp_path: Path) -> None:
    picture = tmp_path / "dot.png"
    picture.write_bytes(PNG)
    async with house() as home, chromium() as browser:
        page = await logged_in(home, browser)
        await page.set_input_files("#file", picture)
        await expect(page.locator(".chip:not(.loading)")).to_contain_text("dot.png")
        await say(page, "look")

        event = await taken(home)
        assert (event.attachments[0].kind, event.attachments[0].name) == ("image", "dot.png")
        image = page.locator(".message.user img")
        await expect(image).to_have_attribute("alt", "dot.png")
        await until_true(page, "document.querySelector('.message img').naturalWidth === 1")


async def test_a_pasted_and_a_dropped_file_are_attached() -> None:
    async with house() as home, chromium() as browser:
        page = await logged_in(home, browser)
        for name, target in (("paste", "#text"), ("drop", "#scroll")):
            await page.evaluate(
                """([name, target]) => {
                    const data = new DataTransfer();
                    data.items.add(new File(["content of " + name], name + ".txt"));
                    const init = { bubbles: true, cancelable: true };
                    const event = name === "paste"
                      ? new ClipboardEvent("paste", { ...init, clipboardData: data })
                      : new DragEvent("drop", { ...init, dataTransfer: data });
                    document.querySelector(target).dispatchEvent(event);
                }""",
                [name, target],
            )
        await expect(page.locator(".chip:not(.loading)")).to_have_count(2)
        await page.get_by_role("button", name="Remove paste.txt").click()
        await page.press("#text", "Enter")

        event = await taken(home)
        assert [each.name for each in event.attachments] == ["drop.txt"]
        await expect(page.locator(".message .document b")).to_have_text("drop.txt")


async def test_voice_is_recorded_and_sent() -> None:
    async with house() as home, chromium() as browser:
        page = await logged_in(home, browser)
        await page.get_by_role("button", name="Record voice").click()
        await expect(page.locator("#clock")).to_have_text("0:01")
        await page.get_by_role("button", name="Stop recording").click()
        await expect(page.locator(".chip:not(.loading)")).to_contain_text("Voice message")
        await page.click("#send")

        (voice,) = (await taken(home)).attachments
        assert (voice.kind, voice.media_type) == ("voice", "audio/webm")
        assert voice.size > 0
        assert 0.5 < voice.duration < 30
        await expect(page.locator(".message.user audio")).to_have_count(1)


async def test_buttons_answer_and_their_links_are_safe() -> None:
    rows = (
        (
            Button(label="Yes", data="y"),
            Button(label="Site", url="https://example.org/"),
            Button(label="Bad", url="javascript:alert(1)"),
        ),
    )

    async def ask(event: Inbound, road: FakeRoad) -> None:
        if event.kind != "button":
            await road.answer(event, "Sure?", buttons=rows)

    async with house(ask) as home, chromium() as browser:
        page = await logged_in(home, browser)
        await say(page, "go")
        await page.get_by_role("button", name="Yes").click()

        event = await taken(home, 2)
        assert (event.kind, event.text) == ("button", "y")
        link = page.get_by_role("link", name="Site")
        await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
        await expect(page.get_by_role("link", name="Bad")).to_have_count(0)


async def test_commands_are_offered_by_keyboard() -> None:
    async with house() as home, chromium() as browser:
        page = await logged_in(home, browser)
        await page.fill("#text", "/st")
        options = page.get_by_role("option")
        await expect(options).to_have_count(2)
        await page.press("#text", "ArrowDown")
        await page.press("#text", "Enter")
        await expect(page.locator("#text")).to_have_value("/status")
        await page.press("#text", "Enter")

        assert (await taken(home)).kind == "command"
        await page.fill("#text", "two")
        await page.press("#text", "Shift+Enter")
        await page.press("#text", "l")
        await expect(page.locator("#text")).to_have_value("two\nl")


async def test_on_a_phone_everything_fits_and_the_list_opens() -> None:
    async with house() as home, chromium() as browser:
        page = await logged_in(home, browser, **PHONE)
        await say(page, "A rather long first message that cannot fit into the title " * 3)
        await say(page, "```\n" + "wide " * 60 + "\n```\n\n" + "unbroken" * 60)
        await expect(page.locator(".message.assistant")).to_have_count(2)
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        await expect(page.locator("#send")).to_be_in_viewport()
        await expect(page.locator("#state")).to_be_in_viewport()

        await expect(page.locator("#sidebar")).to_be_hidden()
        await page.click("#menu")
        await expect(page.locator("#new-chat")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.locator("#sidebar")).to_be_hidden()
        await page.click("#menu")
        await page.click("#new-chat")
        await expect(page.locator(".message")).to_have_count(0)
        await expect(page.locator("#welcome")).to_be_visible()


async def test_conversations_are_kept_apart_and_found_again() -> None:
    async with house() as home, chromium() as browser:
        page = await logged_in(home, browser)
        await say(page, "about boats")
        await expect(page.locator(".message.assistant")).to_have_count(1)
        await page.click("#new-chat")
        await say(page, "about trains")
        await expect(page.locator(".message .body")).to_have_text(
            ["about trains", "You said: about trains"]
        )

        await page.get_by_role("link", name="about boats").click()

        await expect(page.locator(".message .body")).to_have_text(
            ["about boats", "You said: about boats"]
        )
        await expect(page.locator("#title")).to_have_text("about boats")
        await page.go_back()
        await expect(page.locator("#title")).to_have_text("about trains")


async def test_nothing_older_comes_where_nobody_scrolled_up() -> None:
    """Also where the page is hardly longer than the window, so that its end is near its top."""
    asked: list[str] = []
    async with house() as home, chromium() as browser:
        page = await logged_in(home, browser)
        name = page.url.split("#")[1]
        for number in range(150):
            await home.road.adapter.receive(
                principal="owner", conversation=name, id=f"m{number}", text=f"{number}"
            )
        await page.reload()
        await expect(page.locator(".message")).to_have_count(100)
        beyond = await page.evaluate(
            "(({scrollHeight, clientHeight}) => scrollHeight - clientHeight)"
            "(document.getElementById('scroll'))"
        )
        size = page.viewport_size
        assert size is not None
        await page.set_viewport_size(
            {"width": size["width"], "height": size["height"] + beyond - 60}
        )
        page.on("request", lambda request: asked.append(request.url))
        await page.reload()
        await expect(page.locator(".message").last).to_be_visible()
        await page.evaluate("new Promise((done) => setTimeout(done, 500))")

        assert [url for url in asked if "after=" in url and "/messages?" in url] == []


async def test_older_messages_come_when_one_scrolls_up() -> None:
    async with house() as home, chromium() as browser:
        page = await logged_in(home, browser)
        name = page.url.split("#")[1]
        for number in range(150):
            await home.road.adapter.receive(
                principal="owner", conversation=name, id=f"m{number}", text=f"message {number}"
            )
        await home.road.settled()
        await page.reload()
        await expect(page.locator(".message").last).to_be_visible()
        while await page.locator(".message").count() < 300:
            await page.evaluate("document.getElementById('scroll').scrollTop = 0")
            await asyncio.sleep(0.02)
        found = await page.locator(".message").evaluate_all(
            "all => all.map((each) => Number(each.dataset.seq))"
        )
        assert found == list(range(1, 301))


async def test_logging_out_elsewhere_is_noticed() -> None:
    async with house() as home, chromium() as browser:
        page = await logged_in(home, browser)
        other = await page.context.new_page()
        await other.goto(home.url + "/")
        await connected(other)

        await other.click("#logout")

        await expect(page.locator("#login")).to_be_visible()
        await page.reload()
        await expect(page.locator("#login")).to_be_visible()


async def test_the_page_is_understood_without_eyes() -> None:
    async with house() as home, chromium() as browser:
        page = await logged_in(home, browser)
        await say(page, "hello")
        await expect(page.locator(".message.assistant")).to_have_count(1)

        await expect(page.get_by_role("log", name="Conversation")).to_contain_text("You said")
        await expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()
        await expect(page.get_by_role("textbox", name="Message")).to_be_visible()
        await expect(page.get_by_role("status")).to_have_text("Connected")
        unnamed = await page.locator("button").evaluate_all(
            """all => all
                 .filter((each) => !each.ariaLabel && !each.textContent.trim())
                 .map((each) => each.outerHTML)"""
        )
        assert unnamed == []
        await page.locator(".skip").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#text")).to_be_focused()
        await expect(page.locator(".message.assistant")).to_have_count(1)


MARKDOWN_ATTACKS = [
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](java\nscript:alert(1))",
    "[a](\x01javascript:alert(1))",
    "[a](data:text/html,<script>alert(1)</script>)",
    "[a](vbscript:x)",
    "[a](//evil.example)",
    "[a](file:///etc/passwd)",
    "[a](blob:http://x)",
    "[a](<javascript:alert(1)>)",
    '[a](https://x" onmouseover="alert(1))',
    "![a](https://evil.example/leak.png)",
    "![a](javascript:alert(1))",
    "<javascript:alert(1)>",
    "<https://x onclick=alert(1)>",
    "<img src=x onerror=window.hit=1>",
    "`<img src=x onerror=window.hit=1>`",
    "```html\n<script>window.hit=1</script>\n```",
    "# <svg onload=window.hit=1>",
    "> <iframe srcdoc='<script>parent.hit=1</script>'>",
    "- <details open ontoggle=window.hit=1>",
    "| <b onclick=window.hit=1>x</b> |\n| --- |\n| <img src=x onerror=window.hit=1> |",
    "[<img src=x onerror=window.hit=1>](https://example.org)",
    "**<img src=x onerror=window.hit=1>**",
    "```<img src=x onerror=window.hit=1>\nx\n```",
    'https://x/"><img src=x onerror=window.hit=1>',
    "__proto__ constructor **constructor** `__proto__`",
    "&lt;img src=x onerror=window.hit=1&gt;",
    "\\<img src=x onerror=window.hit=1\\>",
    "[x]: javascript:alert(1)\n\n[x]",
]


async def test_no_text_becomes_code_whoever_wrote_it() -> None:
    payloads = [*xss_payloads(), *MARKDOWN_ATTACKS]
    loaded: list[str] = []

    async def repeat(event: Inbound, road: FakeRoad) -> None:
        """Both as a growing and as a final answer."""
        await road.grow(event, event.text)
        await road.answer(event, event.text)

    def note(request: Request) -> None:
        loaded.append(request.url)

    async with house(repeat) as home, chromium() as browser:
        page = await logged_in(home, browser)
        await page.evaluate("window.hit = 0; window.alert = () => { window.hit = 1; }")
        page.on("request", note)
        page.on("dialog", lambda dialog: loaded.append("dialog"))
        name = page.url.split("#")[1]
        for number, payload in enumerate(payloads):
            text = payload if payload.strip() else "x"
            await home.road.adapter.receive(
                principal="owner", conversation=name, id=f"m{number}", text=text
            )
        await home.road.settled()
        await expect(page.locator(".message")).to_have_count(2 * len(payloads))
        await page.reload()
        await expect(page.locator(".message")).to_have_count(100)

        assert await page.evaluate("window.hit") in (0, None)
        assert [url for url in loaded if not url.startswith(home.url)] == []
        await check_dom(page)


async def check_dom(page: Page) -> None:
    """Only elements and links that the renderer makes are in the conversation."""
    tags = await page.locator("#log").evaluate(
        "log => [...new Set([...log.querySelectorAll('*')].map((each) => each.tagName))].sort()"
    )
    allowed = """A BLOCKQUOTE BR BUTTON CODE DIV EM FIGCAPTION FIGURE H3 H4 H5 H6 HR INPUT LI OL P
                 PRE S SPAN STRONG TABLE TBODY TD TH THEAD TIME TR UL""".split()
    assert set(tags) <= set(allowed)
    attributes = await page.locator("#log").evaluate(
        """log => [...new Set([...log.querySelectorAll('*')].flatMap((each) =>
                   [...each.attributes].map((attribute) => attribute.name)))].sort()"""
    )
    assert not [name for name in attributes if name.startswith("on") or name in ("style", "src")]
    links = await page.locator("#log a").evaluate_all(
        "all => all.map((each) => [each.protocol, each.rel])"
    )
    assert {protocol for protocol, _ in links} <= {"http:", "https:", "mailto:"}
    assert {rel for _, rel in links} <= {"noopener noreferrer nofollow"}


async def test_long_hostile_markdown_does_not_hold_the_page_up() -> None:
    hostile = [
        "*" * 30_000,
        "**a" * 10_000,
        "[" * 30_000,
        "[a](" * 7_000,
        "`" * 15_001 + "a" + "`" * 15_000,
        "` `` " * 6_000,
        ">" * 30_000,
        "- " * 15_000,
        "_a_a" * 7_000,
        "<" * 30_000,
        "|" * 15_000 + "\n" + "|-" * 7_000 + "|\n",
        "\\" * 30_000,
        "![" * 15_000,
        "http://" * 4_000,
        "~~a" * 10_000,
        "\n> - " * 5_000,
        "# " * 15_000,
        "- - " * 7_000,
        " " * 30_000 + "x",
    ]
    async with house(silent) as home, chromium() as browser:
        page = await logged_in(home, browser)
        times = await page.evaluate(
            """async (texts) => {
                const { show } = await import("/markdown.js");
                return texts.map((text) => {
                    const target = document.createElement("div");
                    const began = performance.now();
                    show(target, text);
                    return performance.now() - began;
                });
            }""",
            hostile,
        )
    slow = [
        (text[:12], round(took)) for text, took in zip(hostile, times, strict=True) if took > 1500
    ]
    assert slow == []


async def until_true(page: Page, expression: str) -> None:
    async with asyncio.timeout(30):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.02)
