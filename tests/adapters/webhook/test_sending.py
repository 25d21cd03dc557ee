"""Answers are posted: signed, under their key, to the one address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.webhook.adapter import WebhookAdapter
from adapters.webhook.errors import LONGEST, wait
from adapters.webhook.render import body, split
from gateway.errors import BadConfig, Busy, Failed, Unavailable
from gateway.message import Attachment, Button
from tests.adapters.webhook.scene import ACCOUNT, OTHER, SECRET, config, part
from tests.fakes.ports import free_port
from tests.fakes.receiver import Receiver
from tests.fakes.services import services
from tests.fakes.stores import MemoryBlobs


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver(SECRET) as made:
        yield made


def built(url: str, **settings: Any) -> WebhookAdapter:
    blobs = settings.pop("blobs", MemoryBlobs())
    return WebhookAdapter(ACCOUNT, config(url, **settings), services(ACCOUNT, blobs=blobs))


@pytest.fixture
async def adapter(receiver: Receiver) -> AsyncIterator[WebhookAdapter]:
    made = built(receiver.url, timeout=60)
    yield made
    await made.close()


async def test_an_answer_says_what_it_answers_and_comes_in_two_forms(
    adapter: WebhookAdapter, receiver: Receiver
) -> None:
    answer = part(
        "**Yes**, see `x` <b>",
        headers={"message": "msg_7", "echo.issue": "12", "message-id": "x"},
        buttons=((Button(label="More", data="more"), Button(label="Page", url="https://a.b")),),
    )
    receipt = await adapter.send(answer)

    (shown,) = receiver.shown("c1")
    assert shown == {
        "type": "message", "key": "r1.0", "reply": "r1", "part": 0, "parts": 1, "kind": "answer",
        "account": "desk", "conversation": "c1", "in_reply_to": "msg_7",
        "text": "**Yes**, see `x` <b>",
        "html": shown["html"],
        "buttons": [[{"label": "More", "data": "more"}, {"label": "Page", "url": "https://a.b"}]],
        "files": [], "echo": {"issue": "12"},
    }  # fmt: skip
    assert "<strong>Yes</strong>" in shown["html"]
    assert "&lt;b&gt;" in shown["html"]
    assert receipt.native_id == "r1.0"


async def test_a_repeated_part_keeps_its_key(adapter: WebhookAdapter, receiver: Receiver) -> None:
    for _ in range(3):
        await adapter.send(part("once"))

    assert receiver.texts() == ["once"]
    assert [one.outcome for one in receiver.posts] == ["shown", "repeated", "repeated"]
    assert {one.headers["Idempotency-Key"] for one in receiver.posts} == {"r1.0"}


async def test_files_go_along_as_base64(receiver: Receiver) -> None:
    blobs = MemoryBlobs()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"hello"

    digest, size, _ = await blobs.store(chunks(), limit=9)
    file = Attachment(
        kind="document", digest=digest, media_type="text/plain", name="a.txt", size=size
    )
    adapter = built(receiver.url, blobs=blobs)
    await adapter.send(part("see", files=(file,)))
    gone = Attachment(kind="document", digest="0" * 64)
    with pytest.raises(Failed, match="no bytes"):
        await adapter.send(part("see", files=(gone,)))
    await adapter.close()

    assert receiver.shown()[0]["files"] == [
        {"kind": "document", "name": "a.txt", "media_type": "text/plain", "size": 5,
         "content": "aGVsbG8="},
    ]  # fmt: skip


async def test_a_large_file_goes_along_too(receiver: Receiver) -> None:
    blobs = MemoryBlobs()

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(2 * 2**20)

    digest, _, _ = await blobs.store(chunks(), limit=2**30)
    adapter = built(receiver.url, blobs=blobs)
    await adapter.send(part(files=(Attachment(kind="document", digest=digest),)))
    await adapter.close()
    assert len(receiver.shown()[0]["files"][0]["content"]) > 2 * 2**20


async def test_during_a_rotation_both_signatures_go_along(receiver: Receiver) -> None:
    adapter = built(receiver.url, secret=OTHER, previous_secret=SECRET)
    await adapter.send(part("hello"))
    await adapter.close()

    assert receiver.texts() == ["hello"]
    assert len(receiver.posts[0].headers["webhook-signature"].split(" ")) == 2


async def test_headers_of_ones_own_go_along(receiver: Receiver) -> None:
    adapter = built(receiver.url, url_headers={"Authorization": "Bearer abc"})
    await adapter.send(part("hello"))
    await adapter.close()
    assert receiver.posts[0].headers["Authorization"] == "Bearer abc"


@pytest.mark.parametrize(
    ("status", "retry_after", "error", "after"),
    [
        (400, "", Failed, None),
        (403, "", Failed, None),
        (404, "", Failed, None),
        (410, "", Failed, None),
        (413, "", Failed, None),
        (422, "", Failed, None),
        (401, "", BadConfig, None),
        (429, "7", Busy, 7.0),
        (429, "", Busy, None),
        (503, "7", Busy, 7.0),
        (503, "", Unavailable, None),
        (500, "7", Unavailable, None),
        (502, "", Unavailable, None),
        (504, "", Unavailable, None),
        (408, "", Unavailable, None),
        (409, "", Unavailable, None),
        (425, "", Unavailable, None),
        (302, "", Failed, None),
        (308, "", Failed, None),
    ],
)
async def test_what_the_receivers_answer_leads_to(
    adapter: WebhookAdapter,
    receiver: Receiver,
    status: int,
    retry_after: str,
    error: type[Exception],
    after: float | None,
) -> None:
    receiver.fault("status", status=status, retry_after=retry_after)
    with pytest.raises(error) as raised:
        await adapter.send(part("hello"))

    assert getattr(raised.value, "after", None) == after
    assert len(receiver.posts) == 1


async def test_redirects_are_not_followed(adapter: WebhookAdapter, receiver: Receiver) -> None:
    receiver.fault("redirect")
    with pytest.raises(Failed, match="redirect"):
        await adapter.send(part("hello"))
    assert len(receiver.posts) == 1


@pytest.mark.parametrize("kind", ["cut", "cut_after", "delay"])
async def test_a_post_that_was_cut_may_be_repeated(
    adapter: WebhookAdapter, receiver: Receiver, kind: str
) -> None:
    hasty = built(receiver.url, timeout=0.5 if kind == "delay" else 60)
    receiver.fault(kind, seconds=60.0)
    with pytest.raises(Unavailable):
        await hasty.send(part("hello"))
    await hasty.close()
    with pytest.raises(Unavailable):
        await hasty.send(part("hello"))  # after its end, too, it has not happened
    await adapter.send(part("hello"))

    assert receiver.texts() == ["hello"]


async def test_nobody_there_is_unavailable() -> None:
    adapter = built(f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(Unavailable):
        await adapter.send(part("hello"))
    probe = await adapter.probe()
    await adapter.close()

    assert not probe.ok
    assert "receiver" in probe.summary


async def test_a_probe_posts_nothing_and_says_what_is_missing(
    adapter: WebhookAdapter, receiver: Receiver
) -> None:
    probe = await adapter.probe()

    assert probe.ok
    assert "127.0.0.1 answers" in probe.summary
    assert any("/webhooks/webhook/desk" in line for line in probe.advice)
    assert receiver.posts == []


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("", None), ("0", 0.0), (" 12 ", 12.0), ("-1", None), ("1.5", None), ("soon", None),
        ("Thu, 99999999999999999999 Jan 1970 00:00:00 GMT", None),
        ("9" * 400, LONGEST), ("Thu, 01 Jan 1970 00:01:40 GMT", 50.0),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0), ("Thu, 01 Jan 2070 00:00:00 GMT", LONGEST),
    ],
)  # fmt: skip
def test_how_long_to_wait(given: str, seconds: float | None) -> None:
    assert wait(given, 50.0) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "<script>alert(1)</script>", "@everyone", "\x00\ud800x", "[a](javascript:x)", "```"],
)
def test_whatever_a_model_writes_can_be_posted(text: str) -> None:
    posted = body(part(text), [])
    assert b"<script" not in posted.split(b'"html"')[1]
    assert b'href=\\"javascript' not in posted


def test_only_what_is_very_long_is_cut() -> None:
    assert len(split(part("word " * 10_000))) == 1
    parts = split(part(("word " * 100 + "\n\n") * 300))
    assert len(parts) > 1
    assert all(len(one.text) <= 60_000 for one in parts)
    assert sum(one.text.count("word") for one in parts) == 30_000
