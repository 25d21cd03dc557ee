"""The fake is Discord enough for the library as people use it, and as strict as Discord."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import discord as sdk
import pytest
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route
from yarl import URL

from tests.adapters.discord.ogg import opus
from tests.adapters.discord.scene import ADA, PNG
from tests.fakes.discord import GENERAL, GUILD, THREAD, TOKEN, FakeDiscord, RemoteDiscord
from tests.fakes.platforms import until


class Plain(sdk.Client):
    """A bot as the library's own documentation writes it."""

    def __init__(self) -> None:
        intents = sdk.Intents.default()
        intents.message_content = True
        super().__init__(intents=intents, guild_ready_timeout=0.0)
        self.heard: list[sdk.Message] = []
        self.other: list[tuple[str, Any]] = []
        self.tree = app_commands.CommandTree(self)

        @self.tree.command(name="hello", description="says hello")
        async def hello(interaction: sdk.Interaction, text: str = "") -> None:
            await interaction.response.defer()
            await interaction.followup.send(f"hello {text}")

    async def on_message(self, message: sdk.Message) -> None:
        self.heard.append(message)

    async def on_message_edit(self, before: sdk.Message, after: sdk.Message) -> None:
        self.other.append(("edit", after))

    async def on_raw_message_delete(self, payload: sdk.RawMessageDeleteEvent) -> None:
        self.other.append(("delete", payload))

    async def on_raw_reaction_add(self, payload: sdk.RawReactionActionEvent) -> None:
        self.other.append(("reaction", payload))

    async def on_interaction(self, interaction: sdk.Interaction) -> None:
        if interaction.type is sdk.InteractionType.component:
            await interaction.response.defer()
            self.other.append(("button", interaction))


@pytest.fixture
async def plain(discord: FakeDiscord, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Plain]:
    monkeypatch.setattr(Route, "BASE", f"{discord.server.url}/api/v10")
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", URL(discord.gateway.url))
    client = Plain()
    task = asyncio.create_task(client.start(TOKEN))
    await until(client.is_ready)
    yield client
    await client.close()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_the_library_talks_with_it(discord: FakeDiscord, plain: Plain) -> None:
    picture = {"name": "cat.png", "media_type": "image/png", "content": PNG}
    discord.say(GENERAL, ADA, "hello", files=[picture])
    discord.say(THREAD, ADA, "in the thread")
    discord.say(discord.direct(ADA), ADA, "in private")
    await until(lambda: len(plain.heard) == 3)

    said, threaded, private = plain.heard
    assert isinstance(said.channel, sdk.TextChannel)
    assert isinstance(threaded.channel, sdk.Thread)
    assert isinstance(private.channel, sdk.DMChannel)
    assert said.guild is not None
    assert said.guild.id == int(GUILD)
    assert said.author.id == int(ADA)
    assert said.attachments[0].size == len(PNG)

    answer = await said.reply("hi", mention_author=False)
    await answer.edit(content="hi!")
    await answer.add_reaction("👍")
    async with said.channel.typing():
        pass
    assert [one.content async for one in said.channel.history(limit=10)] == ["hi!", "hello"]
    discord.world.react(GENERAL, ADA, str(said.id), "👀")
    discord.world.change(GENERAL, str(said.id), "hello?")
    discord.world.remove(GENERAL, str(said.id))
    await until(lambda: {"edit", "delete", "reaction"} <= {name for name, _ in plain.other})
    await answer.delete()
    assert discord.seen(GENERAL) == []


async def test_the_librarys_commands_and_buttons_work_with_it(
    discord: FakeDiscord, plain: Plain
) -> None:
    await plain.tree.sync()
    discord.world.slash(GENERAL, ADA, "hello", "you")
    await until(lambda: discord.texts(GENERAL) == ["hello you"])

    view = sdk.ui.View(timeout=None)
    view.add_item(sdk.ui.Button(label="Yes", custom_id="yes"))
    channel = plain.get_channel(int(GENERAL))
    assert isinstance(channel, sdk.TextChannel)
    shown = await channel.send("well?", view=view)
    discord.world.press(GENERAL, ADA, str(shown.id), "yes")
    await until(lambda: any(name == "button" for name, _ in plain.other))
    view.stop()


async def test_the_library_resumes_on_it(discord: FakeDiscord, plain: Plain) -> None:
    await discord.gateway.drop()
    discord.say(GENERAL, ADA, "meanwhile")
    await until(lambda: plain.heard)
    assert (discord.gateway.identifies, discord.gateway.resumes) == (1, 1)


# --- strictness -----------------------------------------------------------------------------------


@pytest.fixture
async def http(discord: FakeDiscord) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bot {TOKEN}"}
    async with aiohttp.ClientSession(discord.server.url, headers=headers) as session:
        yield session


ROW = {"type": 1, "components": [{"type": 2, "style": 2, "label": "x", "custom_id": "x"}]}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"content": "x" * 2000}, 200, None),
        ({"content": "x" * 2001}, 400, 50035),
        ({"content": " "}, 400, 50006),
        ({"content": 7}, 400, 50035),
        ({"content": "x", "nonce": "n" * 26}, 400, 50035),
        ({"content": "x", "flags": 64}, 400, 50035),
        ({"content": "x", "flags": 8192}, 400, 50159),
        ({"flags": 8192}, 400, 50160),
        ({"content": "x", "surprise": 1}, 400, 50035),
        ({"content": "x", "allowed_mentions": {"parse": ["all"]}}, 400, 50035),
        ({"content": "x", "message_reference": {"message_id": "1"}}, 400, 50035),
        ({"content": "x", "message_reference": {"message_id": "x"}}, 400, 50035),
        ({"content": "x", "components": [ROW] * 6}, 400, 50035),
        ({"content": "x", "components": [ROW, ROW]}, 400, 50035),
        ({"content": "x", "attachments": [{"id": 0, "filename": "a"}]}, 400, 50035),
    ],
)
async def test_it_takes_what_discord_takes(
    discord: FakeDiscord,
    http: aiohttp.ClientSession,
    body: dict[str, Any],
    status: int,
    code: int | None,
) -> None:
    async with http.post(f"/api/v10/channels/{GENERAL}/messages", json=body) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert (answer.status, (await answer.json()).get("code")) == (status, code)
    assert len(discord.seen(GENERAL)) == (status == 200)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/channels/1", 404, 10003),
        ("POST", "/channels/1/messages", 404, 10003),
        ("PATCH", f"/channels/{GENERAL}/messages/1", 404, 10008),
        ("GET", f"/channels/{GENERAL}/messages?limit=101", 400, 50035),
        ("GET", "/nowhere", 404, 0),
        ("POST", "/interactions/1/2/callback", 404, 10062),
        ("PATCH", "/webhooks/1/2/messages/@original", 404, 10015),
    ],
)
async def test_what_is_not_there_is_named(
    http: aiohttp.ClientSession, method: str, path: str, status: int, code: int
) -> None:
    body = {"content": "x"} if method != "GET" else None
    async with http.request(method, f"/api/v10{path}", json=body) as answer:
        assert (answer.status, (await answer.json())["code"]) == (status, code)


async def test_other_peoples_messages_cannot_be_edited_nor_recordings(
    discord: FakeDiscord, http: aiohttp.ClientSession
) -> None:
    said = discord.say(GENERAL, ADA, "mine")
    path = f"/api/v10/channels/{GENERAL}/messages/{said['id']}"
    async with http.patch(path, json={"content": "x"}) as answer:
        assert (await answer.json())["code"] == 50005
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("payload_json", '{"flags": 8192, "attachments": [{"id": 0, "filename": "v",'
                   ' "duration_secs": 1.0, "waveform": "AA=="}]}')  # fmt: skip
    form.add_field("files[0]", opus(1.0), filename="v.ogg")
    async with http.post(f"/api/v10/channels/{GENERAL}/messages", data=form) as answer:
        number = (await answer.json())["id"]
    path = f"/api/v10/channels/{GENERAL}/messages/{number}"
    async with http.patch(path, json={"content": "x"}) as answer:
        assert (await answer.json())["code"] == 50173


async def test_a_nonce_is_known_for_a_while(
    discord: FakeDiscord, http: aiohttp.ClientSession
) -> None:
    async def sent() -> str:
        body = {"content": "x", "nonce": "n", "enforce_nonce": True}
        async with http.post(f"/api/v10/channels/{GENERAL}/messages", json=body) as answer:
            return str((await answer.json())["id"])

    assert await sent() == await sent()
    discord.world.nonce_seconds = 0.0
    first = await sent()
    assert first != await sent()
    async with http.get(f"/api/v10/channels/{GENERAL}/messages") as answer:
        assert all("nonce" not in one for one in await answer.json())


async def test_it_notes_who_is_called_and_shows_previews(
    discord: FakeDiscord, http: aiohttp.ClientSession
) -> None:
    body = {"content": f"@everyone <@{ADA}> https://example.org <https://example.com>"}
    async with http.post(f"/api/v10/channels/{GENERAL}/messages", json=body):
        pass
    assert {who for _, who in discord.world.pings} == {"everyone", ADA}
    assert discord.seen(GENERAL)[0]["embeds"] == 1


async def test_only_its_token_and_only_json_get_in(
    discord: FakeDiscord, http: aiohttp.ClientSession
) -> None:
    async with http.get("/api/v10/users/@me", headers={"Authorization": "Bot x"}) as answer:
        assert answer.status == 401
    path = f"/api/v10/channels/{GENERAL}/messages"
    async with http.post(path, data=b"{}", headers={"Content-Type": "text/plain"}) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"op": 2, "d": {"token": "x", "intents": 0, "properties": {}}}, 4004),
        ({"op": 2, "d": {"token": TOKEN, "properties": {}}}, 4013),
        ({"op": 2, "d": {"token": TOKEN, "intents": 1 << 15, "properties": {}}}, 4014),
        ({"op": 77}, 4001),
    ],
)
async def test_the_gateway_says_why_it_closes(
    discord: FakeDiscord, http: aiohttp.ClientSession, payload: dict[str, Any], code: int
) -> None:
    discord.world.content_allowed = False
    async with http.ws_connect("/gateway/?v=10&encoding=json") as socket:
        assert (await socket.receive_json())["op"] == 10
        await socket.send_json(payload)
        await socket.receive()
        assert socket.close_code == code


async def test_faults_strike_as_ordered(discord: FakeDiscord, http: aiohttp.ClientSession) -> None:
    path = f"/api/v10/channels/{GENERAL}/messages"
    for kind in ("cut", "cut_after"):
        discord.fault("POST /channels/*/messages", kind)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await http.post(path, json={"content": kind})
    assert discord.texts(GENERAL) == ["cut_after"]
    discord.fault("POST /channels/*/messages", "limited", seconds=60.0, channel=GENERAL)
    for outcome in ("limited", "early"):
        async with http.post(path, json={"content": "x"}) as answer:
            assert answer.status == 429
            assert "Via" in answer.headers
            assert 0 < (await answer.json())["retry_after"] <= 60
        assert discord.world.calls[-1].outcome == outcome
    async with http.post(f"/api/v10/channels/{THREAD}/messages", json={"content": "x"}) as answer:
        assert answer.status == 200


async def test_it_runs_beside_as_a_process(tmp_path: Any) -> None:
    journal = tmp_path / "discord.jsonl"
    async with RemoteDiscord.start(journal=journal) as remote:
        channel = await remote.ask("direct", user=ADA)
        said = await remote.say(channel, ADA, "hello", file=("a.png", "image/png", PNG))
        assert said["attachments"][0]["size"] == len(PNG)
        seen = await remote.ask("seen", channel=channel)
        assert [one["text"] for one in seen] == ["hello"]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{remote.settings['api_base']}/users/@me") as answer,
        ):
            assert answer.status == 401
    assert "401" in journal.read_text()
