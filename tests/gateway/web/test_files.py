"""Files: known by their content, and only to those they belong to."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

import pytest

from gateway import sniff
from gateway.message import Attachment, Inbound
from gateway.web.files import label
from gateway.web.settings import Limits
from tests.fakes.web import FakeRoad, House, house

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
ABSENT = "0" * 64


async def upload(
    home: House, headers: dict[str, str], body: bytes, name: str = "x.png"
) -> tuple[int, Any]:
    async with home.client.post(
        f"{home.url}/api/v1/files?name={quote(name, safe='')}", data=body, headers=headers
    ) as response:
        return response.status, await response.json()


async def download(home: House, headers: dict[str, str], path: str) -> tuple[int, bytes]:
    async with home.client.get(f"{home.url}/api/v1/files/{path}", headers=headers) as response:
        return response.status, await response.read()


async def send(home: House, headers: dict[str, str], *files: dict[str, object]) -> int:
    body = {"conversation": "a", "attachments": files}
    async with home.client.post(
        home.url + "/api/v1/messages", json=body, headers=headers
    ) as response:
        return response.status


async def test_an_uploaded_file_goes_along_with_a_message() -> None:
    async with house() as home:
        headers = await home.token()
        status, stored = await upload(home, headers, PNG)
        digest = hashlib.sha256(PNG).hexdigest()
        assert status == 201
        assert stored == {"digest": digest, "media_type": "image/png", "size": 48, "name": "x.png"}

        assert await send(home, headers, {"digest": digest}) == 202

        assert home.road.taken[0].attachments == (
            Attachment(kind="image", digest=digest, media_type="image/png", name="x.png", size=48),
        )
        where = f"{digest}?conversation=a&seq=1"
        assert await download(home, headers, where) == (200, PNG)


async def test_speech_is_told_from_sound() -> None:
    async with house() as home:
        headers = await home.token()
        _, stored = await upload(home, headers, b"\x1aE\xdf\xa3" + b"\x42\x82\x84webm" + b"A_OPUS")

        await send(home, headers, {"digest": stored["digest"], "voice": True, "duration": 2.5})

        (attachment,) = home.road.taken[0].attachments
        assert (attachment.kind, attachment.media_type) == ("voice", "audio/webm")
        assert attachment.duration == 2.5


async def test_knowing_a_digest_is_worth_nothing() -> None:
    async with house() as home:
        mine, theirs = await home.token(), await home.token()
        _, stored = await upload(home, mine, PNG)
        digest = stored["digest"]
        await send(home, mine, {"digest": digest})

        assert (await download(home, mine, digest))[0] == 200
        for path in (digest, f"{digest}?conversation=a&seq=1"):
            assert (await download(home, theirs, path))[0] == 404
        assert await send(home, theirs, {"digest": digest}) == 422


async def test_a_file_is_found_only_in_the_message_that_has_it() -> None:
    async with house() as home:
        headers = await home.token()
        _, stored = await upload(home, headers, PNG)
        await send(home, headers, {"digest": stored["digest"]})
        await home.road.settled()

        for path in (
            f"{stored['digest']}?conversation=a&seq=2",
            f"{stored['digest']}?conversation=a&seq=99",
            f"{stored['digest']}?conversation=b&seq=1",
            f"{stored['digest']}?conversation=a",
            f"{stored['digest']}?conversation=..%2Fa&seq=1",
            f"{ABSENT}?conversation=a&seq=1",
            ABSENT,
        ):
            assert (await download(home, headers, path))[0] == 404


async def test_a_file_in_an_answer_is_for_its_reader() -> None:
    body = b"%PDF-1.7 ..."

    async def draw(event: Inbound, road: FakeRoad) -> None:
        digest = hashlib.sha256(body).hexdigest()
        file = Attachment(kind="document", digest=digest, media_type="application/pdf", name="a")
        await road.answer(event, "here", files=(file,))

    async def chunks() -> Any:
        yield body

    async with house(draw) as home:
        headers, theirs = await home.token(), await home.token()
        digest, _, _ = await home.blobs.store(chunks(), limit=100)
        await home.road.adapter.receive(
            principal=await who(home, headers), conversation="a", id="1", text="draw"
        )
        await home.road.settled()

        path = f"{digest}?conversation=a&seq=2"
        assert await download(home, headers, path) == (200, body)
        assert (await download(home, theirs, path))[0] == 404


async def who(home: House, headers: dict[str, str]) -> str:
    async with home.client.get(home.url + "/api/v1/me", headers=headers) as response:
        return str((await response.json())["principal"])


async def test_what_is_served_can_run_nothing() -> None:
    async with house() as home:
        headers = await home.token()
        page = b"<script>alert(1)</script>"
        _, stored = await upload(home, headers, page, 'a"; filename="evil.html\r\nX: y')
        assert stored["media_type"] == "text/plain"
        async with home.client.get(
            f"{home.url}/api/v1/files/{stored['digest']}", headers=headers
        ) as response:
            assert response.headers["Content-Disposition"].startswith(
                "attachment; filename*=UTF-8''"
            )
            assert "\r" not in response.headers["Content-Disposition"]
            assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_a_file_is_refused_while_it_comes_in() -> None:
    async with house(limits=Limits(upload=1000, uploads_per_hour=3)) as home:
        headers = await home.token()

        async def chunks() -> Any:
            for _ in range(100):
                yield b"x" * 100

        async with home.client.post(
            home.url + "/api/v1/files", data=chunks(), headers=headers
        ) as response:
            assert response.status == 413
        statuses = [(await upload(home, headers, b"x"))[0] for _ in range(4)]
        assert statuses == [201, 201, 429, 429]


async def test_an_empty_file_is_refused() -> None:
    async with house() as home:
        status, body = await upload(home, await home.token(), b"")
        assert (status, body["error"]["code"]) == (422, "empty")


@pytest.mark.parametrize(
    ("claimed", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\system32\\x.dll", "x.dll"),
        ("a\x00b\x1b[31m.txt", "ab[31m.txt"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("...", ""),
        ("CON", "CON"),
        ("é" * 4000, "é" * 200),
        ("a\r\nContent-Type: text/html", "html"),
    ],
)
def test_a_claimed_name_is_a_label(claimed: str, shown: str) -> None:
    assert label(claimed) == shown


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"OggS\0OpusHead", "audio/ogg"),
        (b"OggS\0\x80theora", "video/ogg"),
        (b"\x1aE\xdf\xa3\x42\x82\x84webm..A_OPUS", "audio/webm"),
        (b"\x1aE\xdf\xa3\x42\x82\x84webm..V_VP9", "video/webm"),
        (b"\x1aE\xdf\xa3\x42\x82\x88matroska", "video/x-matroska"),
        (b"\0\0\0\x18ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x18ftypisom....mp4a", "audio/mp4"),
        (b"\0\0\0\x18ftypisom....avc1mp4a", "video/mp4"),
        (b"ID3\x04", "audio/mpeg"),
        (b"%PDF-1.7", "application/pdf"),
        (b"plain text\n", "text/plain"),
        ("Grüße".encode()[:4], "text/plain"),
        (b"<svg onload=alert(1)>", "text/plain"),
        (b"\x00\x01", sniff.OCTETS),
        (b"\xff\xfe\xfd", sniff.OCTETS),
        (b"xxxxxxxxWEBP", "text/plain"),
        (b"", sniff.OCTETS),
    ],
)
def test_the_content_says_what_a_file_is(head: bytes, found: str) -> None:
    assert sniff.media_type(head) == found
