"""The API for programs: repeatable sending, reading, and input of every kind without a 500."""

from __future__ import annotations

import asyncio
import json
import unicodedata
from typing import Any
from urllib.parse import quote

import pytest

from adapters.web.parse import clean
from gateway.errors import Busy, Failed, Refused, Unavailable
from gateway.web.settings import Limits
from tests.fakes.web import House, house
from tests.fakes.web_corpora import naughty_strings


async def send(home: House, headers: dict[str, str], **body: object) -> tuple[int, Any]:
    message = {"conversation": "a", **body}
    async with home.client.post(
        home.url + "/api/v1/messages", json=message, headers=headers
    ) as response:
        return response.status, await response.json()


async def post_raw(
    home: House, headers: dict[str, str], body: bytes, kind: str = "application/json"
) -> int:
    async with home.client.post(
        home.url + "/api/v1/messages", data=body, headers={**headers, "Content-Type": kind}
    ) as response:
        code = (await response.json()).get("error", {"code": "-"})["code"]
        assert code.isascii()
        return response.status


async def read(home: House, headers: dict[str, str], path: str) -> tuple[int, Any]:
    async with home.client.get(f"{home.url}/api/v1/{path}", headers=headers) as response:
        return response.status, await response.json()


async def test_a_message_is_taken_once_and_answered() -> None:
    async with house() as home:
        headers = await home.token()

        first = await send(home, headers, text="hi", id="m1")
        again = await send(home, headers, text="hi", id="m1")
        await home.road.settled()

        taken = {"id": "m1", "conversation": "a", "seq": 1}
        assert first == (202, {**taken, "outcome": "stored"})
        assert again == (202, {**taken, "outcome": "duplicate"})
        _, found = await read(home, headers, "conversations/a/messages")
        assert [each["event"]["text"] for each in found["messages"]] == ["hi", "You said: hi"]
        assert found["next"] == 2


async def test_the_same_id_at_once_a_hundred_times_is_one_message() -> None:
    async with house() as home:
        headers = await home.token()

        results = await asyncio.gather(
            *(send(home, headers, text="hi", id="m1") for _ in range(100))
        )

        assert {status for status, _ in results} == {202}
        assert len(home.road.taken) == 1


async def test_an_id_is_made_up_when_there_is_none() -> None:
    async with house() as home:
        headers = await home.token()
        ids = {(await send(home, headers, text="hi"))[1]["id"] for _ in range(5)}

        assert len(ids) == 5


async def test_an_id_for_two_texts_is_a_conflict() -> None:
    async with house() as home:
        headers = await home.token()
        await send(home, headers, text="hi", id="m1")

        status, body = await send(home, headers, text="ho", id="m1")

        assert (status, body["error"]["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("failure", "status", "after"),
    [
        (Unavailable("store"), 503, "2"),
        (Busy("full", after=7.2), 503, "8"),
        (Refused("Too fast.", reason="rate_limit"), 429, None),
        (Refused("No.", reason="other"), 422, None),
        (Failed("a secret detail"), 500, None),
    ],
)
async def test_what_could_not_be_taken_is_said_without_details(
    failure: Any, status: int, after: str | None
) -> None:
    async with house() as home:
        headers = await home.token()
        home.road.failure = failure
        async with home.client.post(
            home.url + "/api/v1/messages",
            json={"conversation": "a", "text": "hi"},
            headers=headers,
        ) as response:
            assert response.status == status
            assert response.headers.get("Retry-After") == after
            assert "secret" not in await response.text()


BAD_BODIES = {
    b"": 400,
    b"{": 400,
    b"\xff\xfe": 400,
    b'{"conversation":"a","text":NaN}': 400,
    b'{"conversation":"a","text":"\\ud800"}': 400,
    b'{"conversation":"a","text":"\xed\xa0\x80"}': 400,
    b'{"conversation":"a","text":"x"} {}': 400,
    b"null": 422,
    b"[]": 422,
    b'"text"': 422,
    b"[" * 100_000: 422,
    b'{"x":' + b"[" * 100_000: 422,
    b'{"conversation":"a","text":' + b"[" * 100_000: 422,
    b'{"conversation":"a"}': 422,
    b'{"conversation":"a","text":" \\n "}': 422,
    b'{"conversation":"a","text":"\\u0000\\u001b"}': 422,
    b'{"conversation":"a","text":1}': 422,
    b'{"conversation":"","text":"x"}': 422,
    b'{"conversation":"../b","text":"x"}': 422,
    b'{"conversation":"a\\u0000","text":"x"}': 422,
    b'{"conversation":"a","text":"x","principal":"owner"}': 422,
    b'{"conversation":"a","text":"x","id":"a b"}': 422,
    b'{"conversation":"a","text":"x","kind":"command"}': 422,
    b'{"conversation":"a","text":"x","attachments":[{"digest":"../../etc/passwd"}]}': 422,
    b'{"conversation":"a","text":"x","attachments":[{"digest":"' + b"0" * 64 + b'"}]}': 422,
    b'{"conversation":"a","attachments":[{"digest":"' + b"0" * 64 + b'","duration":1e999}]}': 422,
    b'{"conversation":"a","text":"' + b"x" * 70_000 + b'"}': 422,
}


async def test_bad_bodies_are_told_apart_and_never_end_in_a_500() -> None:
    async with house() as home:
        headers = await home.token()

        found = {body: await post_raw(home, headers, body) for body in BAD_BODIES}

        assert {body[:60]: status for body, status in found.items()} == {
            body[:60]: status for body, status in BAD_BODIES.items()
        }
        assert home.road.taken == []


async def test_other_media_types_and_encodings_are_refused() -> None:
    async with house() as home:
        headers = await home.token()
        body = b'{"conversation":"a","text":"x"}'

        assert await post_raw(home, headers, body, "text/plain") == 415
        assert await post_raw(home, headers, body, "multipart/form-data") == 415
        assert await post_raw(home, {**headers, "Content-Encoding": "gzip"}, body) == 415
        assert await post_raw(home, headers, body, "application/json; charset=utf-16") == 202


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_is_too_large_is_not_read_to_its_end(declared: bool) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        for _ in range(1000):
            sent += 65536
            yield b"x" * 65536

    async with house(limits=Limits(json_body=100_000)) as home:
        headers = {**await home.token(), "Content-Type": "application/json"}
        if declared:
            headers["Content-Length"] = str(1000 * 65536)
        try:
            async with home.client.post(
                home.url + "/api/v1/messages", data=endless(), headers=headers
            ) as response:
                assert response.status == 413
        except ConnectionError:
            pass  # the server hung up while we were still talking
        assert sent < 1000 * 65536


async def test_naughty_strings_come_back_as_they_were() -> None:
    strings = [text for text in naughty_strings() if clean(text).strip()]
    async with house() as home:
        headers = await home.token()
        for number, text in enumerate(strings):
            status, _ = await send(home, headers, text=text, id=f"m{number}")
            assert status == 202
        await home.road.settled()

        shown: list[str] = []
        after = 0
        while True:
            _, found = await read(home, headers, f"conversations/a/messages?after={after}&limit=50")
            if not found["messages"]:
                break
            shown += [e["event"]["text"] for e in found["messages"] if e["event"]["role"] == "user"]
            after = found["next"]

    assert len(strings) > 400
    assert shown == [clean(text) for text in strings]
    assert all(unicodedata.is_normalized("NFC", text) for text in shown)


async def test_naughty_strings_in_addresses_and_headers_never_end_in_a_500() -> None:
    async with house() as home:
        headers = await home.token()
        for text in naughty_strings():
            name = quote(text, safe="")
            for path in (
                f"conversations/{name}/messages",
                f"conversations/a/messages?after={name}",
                f"files/{name}",
                f"files/{'0' * 64}?conversation={name}&seq={name}",
            ):
                async with home.client.get(
                    f"{home.url}/api/v1/{path}", headers=headers
                ) as response:
                    assert response.status in (200, 404, 422)


async def test_one_token_does_not_see_what_another_writes() -> None:
    async with house() as home:
        mine, theirs = await home.token(), await home.token()
        await send(home, mine, text="mine", id="1")

        assert (await read(home, theirs, "conversations/a/messages"))[1]["messages"] == []
        assert (await read(home, theirs, "conversations"))[1] == {"conversations": []}
        # the same id in a conversation of the same name is another message
        assert (await send(home, theirs, text="theirs", id="1"))[1]["outcome"] == "stored"


async def test_conversations_are_listed_newest_first_with_a_title() -> None:
    async with house() as home:
        headers = await home.token()
        await send(home, headers, conversation="one", text="first\nline " + "x" * 200)
        await send(home, headers, conversation="two", text="second")
        await home.road.settled()

        _, found = await read(home, headers, "conversations")

        names = [each["conversation"] for each in found["conversations"]]
        titles = [each["title"] for each in found["conversations"]]
        assert names == ["two", "one"]
        assert titles[0] == "second"
        assert titles[1].startswith("first line xxx")
        assert len(titles[1]) == 80


async def test_the_newest_entries_come_without_a_number_and_all_with_one() -> None:
    async with house() as home:
        headers = await home.token()
        for number in range(5):
            await send(home, headers, text=f"m{number}")
        await home.road.settled()

        async def seqs(query: str) -> list[int]:
            _, found = await read(home, headers, f"conversations/a/messages?{query}")
            return [each["seq"] for each in found["messages"]]

        assert await seqs("limit=3") == [8, 9, 10]
        assert await seqs("after=0&limit=3") == [1, 2, 3]
        assert await seqs("after=9") == [10]
        assert await seqs("after=10") == []
        assert (await read(home, headers, "conversations/a/messages?limit=0"))[0] == 422
        assert (await read(home, headers, "conversations/a/messages?after=-1"))[0] == 422


async def test_an_entry_is_one_line_of_json() -> None:
    async with house() as home:
        headers = await home.token()
        await send(home, headers, text="two\nlines", id="m1")
        async with home.client.get(
            f"{home.url}/api/v1/conversations/a/messages?limit=200&after=0", headers=headers
        ) as response:
            raw = await response.read()
        assert b"\n" not in raw
        assert json.loads(raw)["messages"][0]["event"]["type"] == "message"
