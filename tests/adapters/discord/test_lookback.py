"""After a cut send: what stands there is found again, also when no nonce is known any more."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from adapters.discord.adapter import DiscordAdapter
from adapters.discord.parse import AFTER
from adapters.discord.render import split
from gateway.errors import Unavailable, Uncertain
from gateway.message import Attachment, Outbound
from tests.adapters.discord.scene import ADA, Bench, Build, part
from tests.fakes.discord import GENERAL, FakeDiscord

Later = Callable[[], DiscordAdapter]
CREATE = "POST /channels/*/messages"


async def cut(adapter: DiscordAdapter, discord: FakeDiscord, outbound: Outbound) -> str:
    """Sent, and never answered; the id under which it stands."""
    discord.fault(CREATE, "cut_after")
    with pytest.raises(Uncertain):
        await adapter.send(outbound)
    return str(discord.world.messages[outbound.place.chat][-1]["id"])


@pytest.fixture
def later(build: Build, bench: Bench) -> Callable[[], DiscordAdapter]:
    """Another process, when the nonces are forgotten."""

    def made() -> DiscordAdapter:
        bench.clock.ahead = 600.0
        return build()

    return made


def answer(text: str, question: str, **more: object) -> Outbound:
    return part(text, channel=GENERAL, reply_to=question, headers={AFTER: question}, **more)


async def test_an_answer_is_found_by_what_it_says_and_answers(
    discord: FakeDiscord, adapter: DiscordAdapter, later: Later
) -> None:
    first, second = (discord.say(GENERAL, ADA, text)["id"] for text in ("one", "two"))
    await adapter.send(answer("Yes.", second, reply="other"))
    number = await cut(adapter, discord, answer("Yes.", first))
    discord.say(GENERAL, ADA, "Yes.")

    found = await later().find(answer("Yes.", first))

    assert found is not None
    assert found.native_id == number


async def test_a_message_in_which_there_is_nothing_to_see_is_found(
    discord: FakeDiscord, adapter: DiscordAdapter, later: Later
) -> None:
    question = discord.say(GENERAL, ADA, "one")["id"]
    number = await cut(adapter, discord, answer("\u200b", question))

    found = await later().find(answer("\u200b", question))

    assert found is not None
    assert found.native_id == number


async def test_what_never_arrived_is_not_there(discord: FakeDiscord, later: Later) -> None:
    question = discord.say(GENERAL, ADA, "one")["id"]
    await later().send(answer("Something else.", question, reply="notice"))

    assert await later().find(answer("Yes.", question)) is None


async def test_a_preview_is_found_for_its_answer(
    discord: FakeDiscord, adapter: DiscordAdapter, later: Later
) -> None:
    question = discord.say(GENERAL, ADA, "one")["id"]
    number = await cut(adapter, discord, answer("It is **import", question))

    found = await later().find(answer("It is **important** to know.", question))

    assert found is not None
    assert found.native_id == number


async def test_parts_that_say_the_same_are_told_apart(
    discord: FakeDiscord, adapter: DiscordAdapter, later: Later
) -> None:
    question = discord.say(GENERAL, ADA, "one")["id"]
    parts = split(answer("```\n" + ("a" * 1985 + "\n") * 3 + "```", question))
    assert len({one.text for one in parts}) == 1
    await adapter.send(parts[0])
    assert await later().find(parts[1]) is None
    number = await cut(adapter, discord, parts[1])
    found = await later().find(parts[1])
    assert found is not None
    assert found.native_id == number
    assert await later().find(parts[2]) is None


async def test_it_is_looked_for_behind_many_messages(
    discord: FakeDiscord, adapter: DiscordAdapter, later: Later
) -> None:
    question = discord.say(GENERAL, ADA, "one")["id"]
    for number in range(250):
        discord.world.stand(GENERAL, ADA, str(number))
    number = await cut(adapter, discord, answer("Yes.", question))

    found = await later().find(answer("Yes.", question))

    assert found is not None
    assert found.native_id == number


async def test_beyond_what_is_looked_at_nobody_can_tell(
    discord: FakeDiscord, adapter: DiscordAdapter
) -> None:
    question = discord.say(GENERAL, ADA, "one")["id"]
    for number in range(600):
        discord.world.stand(GENERAL, ADA, str(number))
    with pytest.raises(Uncertain):
        await adapter.find(answer("Yes.", question))


async def test_without_a_history_only_the_nonce_helps_and_only_for_a_while(
    discord: FakeDiscord, adapter: DiscordAdapter, later: Later, bench: Bench
) -> None:
    question = discord.say(GENERAL, ADA, "one")["id"]
    outbound = answer("Yes.", question)
    discord.fault(CREATE, "cut_after")
    with pytest.raises(Uncertain):
        await adapter.send(outbound)
    discord.world.unreadable.add(GENERAL)

    assert await adapter.find(outbound) is None  # sent again with its nonce, it stands once
    bench.clock.ahead += 600
    with pytest.raises(Uncertain):
        await adapter.find(outbound)
    with pytest.raises(Uncertain):
        await later().find(outbound)


async def test_when_nobody_can_say_now_it_is_asked_again(
    discord: FakeDiscord, adapter: DiscordAdapter
) -> None:
    question = discord.say(GENERAL, ADA, "one")["id"]
    discord.fault("GET /channels/*/messages", "status", status=503)
    with pytest.raises(Unavailable):
        await adapter.find(answer("Yes.", question))


async def test_a_file_is_found_by_its_size(discord: FakeDiscord, later: Later) -> None:
    question = discord.say(GENERAL, ADA, "one")["id"]
    made = discord.world.attach(GENERAL, "x.png", b"12345")
    number = discord.world.stand(GENERAL, "100001", "", attachments=[made])["id"]
    file = Attachment(kind="image", digest="0" * 64, size=5, media_type="image/png")
    outbound = msgspec.structs.replace(answer("", question, part=1), files=(file,))

    found = await later().find(outbound)

    assert found is not None
    assert found.native_id == number


async def test_two_answers_that_say_the_same_are_not_taken_for_one(
    discord: FakeDiscord, adapter: DiscordAdapter, build: Build, bench: Bench, ada: str
) -> None:
    """In a direct chat nothing points at its question: only the nonce tells."""
    first, second = (discord.say(ada, ADA, text)["id"] for text in ("one?", "two?"))
    await adapter.send(part("Yes.", channel=ada, headers={AFTER: first}))
    other = part("Yes.", channel=ada, reply="r2", headers={AFTER: second})
    discord.fault(CREATE, "cut")
    with pytest.raises(Uncertain):
        await adapter.send(other)

    for one in (build(), adapter):  # a new process at once, the same one later, too
        assert await one.find(other) is None
        bench.clock.ahead = 600.0
    await adapter.send(other)
    assert discord.texts(ada) == ["Yes.", "Yes."]
