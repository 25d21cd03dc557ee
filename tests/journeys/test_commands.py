"""The operator at the terminal: every command about a Moltgate that is running."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from tests.fakes.telegram import TOKEN, RemoteTelegram
from tests.journeys.stage import Model, Moltgate, Person, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRIEND = 101


@dataclass
class Desk:
    moltgate: Moltgate
    telegram: RemoteTelegram
    model: Model
    settings: Mapping[str, Any]

    def person(self, user: int) -> Person:
        return Person(self.telegram, user)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with contextlib.AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(RemoteTelegram.start())
        model = await stack.enter_async_context(Model.started())
        settings = {
            "engines": {"home": {"url": model.url}},
            "access": {"allow_from": [str(FRIEND)]},
            "adapters": {
                "telegram": {"token": "${env:TELEGRAM_TOKEN}", "base_url": telegram.base_url}
            },
        }
        home = tmp_path_factory.mktemp("desk")
        home.chmod(0o700)
        running = await stack.enter_async_context(Moltgate.running(home, settings))
        yield Desk(running, telegram, model, settings)


async def test_init_asks_nothing_when_told_everything(desk: Desk, tmp_path: Path) -> None:
    fresh = Moltgate(tmp_path / "new", 0)
    asked = ("init", "--yes", "--no-probe", "--engine-url", desk.model.url, "--port", "8099")

    await fresh.does(*asked, "--telegram-token", TOKEN)

    written = yaml.safe_load(fresh.file.read_text())
    assert written["http"] == {"port": 8099}
    assert TOKEN not in fresh.file.read_text()
    assert fresh.file.stat().st_mode & 0o077 == 0
    assert "home" in await fresh.does("check")
    assert "is there already" in await fresh.refuses(*asked)


async def test_init_with_a_wrong_token_says_so_and_writes_nothing(tmp_path: Path) -> None:
    fresh = Moltgate(tmp_path, 0)

    said = await fresh.refuses("init", "--yes", "--telegram-token", "nonsense")

    assert "adapters.telegram.token" in said
    assert "BotFather" in said
    assert not fresh.file.exists()


async def test_check_names_line_and_nearest_key(desk: Desk, tmp_path: Path) -> None:
    fresh = Moltgate(tmp_path, 0)
    fresh.file.write_text("engines:\n  home:\n    urll: http://localhost:8000/v1\n")

    said = await fresh.refuses("check", status=78)

    assert "line 3" in said
    assert "url" in said.replace("urll", "")
    told = json.loads((await fresh.said("check", "--json")).out)
    assert told["ok"] is False
    assert any("urll" in problem for problem in told["problems"])
    assert "Telegram" in await desk.moltgate.does("check")
    assert (await desk.moltgate.tells("check"))["ok"] is True


async def test_doctor_finds_everything_well(desk: Desk) -> None:
    found = {one["name"]: one for one in await desk.moltgate.tells("doctor")}

    assert {one["state"] for one in found.values()} <= {"ok", "advice"}
    assert "@fake_bot" in found["telegram:default"]["detail"]
    assert found["engine home"]["state"] == "ok"


async def test_chat_answers_and_status_counts_it(desk: Desk) -> None:
    before = (await desk.moltgate.tells("status"))["store"]

    assert "echo: hello" in await desk.moltgate.does("chat", "hello")

    after = await desk.moltgate.tells("status")
    assert after["store"]["answered"] == before["answered"] + 1
    assert after["store"]["difference"] == 0
    assert after["owner"]["http"] == desk.moltgate.url


async def test_ctrl_c_ends_a_chat_that_waits_for_a_line(desk: Desk) -> None:
    chat = await desk.moltgate.begins("chat")
    assert chat.stdin is not None
    assert chat.stdout is not None
    chat.stdin.write(b"are you there?\n")
    await chat.stdin.drain()
    while b"echo: are you there?" not in await chat.stdout.readline():
        pass

    chat.send_signal(signal.SIGINT)

    async with asyncio.timeout(30):
        assert await chat.wait() == 0
    assert chat.stderr is not None
    assert b"Traceback" not in await chat.stderr.read()


async def test_send_reaches_a_chat_once(desk: Desk) -> None:
    friend = desk.person(FRIEND)
    await friend.asks("hi there")

    for _ in range(2):
        await desk.moltgate.does(
            "send", "telegram", str(FRIEND), "The backup is done.", "--id", "1"
        )
    await friend.reads("The backup is done.")
    await friend.asks("thank you")

    assert sum("backup" in one["text"] for one in await friend.sees()) == 1


async def test_tokens_open_the_api_until_they_are_revoked(desk: Desk) -> None:
    made = await desk.moltgate.tells("token", "create", "journey")
    metrics = await desk.moltgate.tells("token", "create", "graphs", "--scope", "metrics")
    path = "/api/v1/conversations/nightly/messages"

    assert await desk.moltgate.http(path) == 401
    assert await desk.moltgate.http(path, made["token"]) == 200
    assert await desk.moltgate.http("/metrics", made["token"]) == 403
    assert await desk.moltgate.http("/metrics", metrics["token"]) == 200
    listed = await desk.moltgate.tells("token", "list")
    assert {one["id"] for one in listed} == {made["id"], metrics["id"]}

    await desk.moltgate.does("token", "revoke", made["id"])

    async def refused() -> bool:
        return await desk.moltgate.http(path, made["token"]) == 401

    await until(refused, "the token is useless")
    assert await desk.moltgate.http("/metrics", metrics["token"]) == 200


async def test_login_gives_a_link_to_where_it_runs(desk: Desk) -> None:
    said = await desk.moltgate.does("login")

    assert said.startswith(f"{desk.moltgate.url}/login#")


async def test_dead_parts_are_listed_shown_resubmitted_and_dropped(desk: Desk) -> None:
    friend = desk.person(FRIEND)
    await desk.telegram.fault("sendMessage", "status", status=403, description="blocked", times=2)
    await friend.says("first lost one")
    await until(lambda: _letters(desk, 1), "one dead letter")
    await friend.says("second lost one")
    first, second = await until(lambda: _letters(desk, 2), "two dead letters")

    assert (first["kind"], first["account"]) == ("part", "telegram:default")
    assert "blocked" in first["reason"]
    assert "first lost one" in await desk.moltgate.does("dead", "show", first["id"])

    await desk.moltgate.does("dead", "resubmit", first["id"])
    await friend.reads("echo: first lost one")
    await desk.moltgate.does("dead", "drop", second["id"])

    assert await desk.moltgate.tells("dead", "list") == []
    assert "no dead letter" in await desk.moltgate.refuses("dead", "drop", second["id"])
    assert not any("second lost" in one["text"] for one in await friend.sees())


async def test_a_send_that_was_cut_is_listed_as_uncertain_and_not_repeated(desk: Desk) -> None:
    friend = desk.person(FRIEND)
    await desk.telegram.fault("sendMessage", "cut_after")
    await friend.says("did you get this?")

    (letter,) = await until(lambda: _letters(desk, 1), "an uncertain part")
    assert letter["kind"] == "uncertain"
    assert sum("did you get this?" in one["text"] for one in await friend.sees()) == 1
    await desk.moltgate.does("dead", "drop", letter["id"])


async def test_a_person_let_in_can_be_shut_out_again(desk: Desk) -> None:
    guest = desk.person(202)
    await guest.says("hello?")
    await guest.reads("pair approve")
    (asking,) = await desk.moltgate.tells("pair", "list")
    assert "no request waits" in await desk.moltgate.refuses("pair", "approve", "AAAAAAAA")
    await desk.moltgate.does("pair", "approve", asking["code"])
    await guest.reads("let in")
    (known,) = await desk.moltgate.tells("pair", "list", "--approved")
    assert known["id"] == "202"

    await desk.moltgate.does("pair", "revoke", "telegram:default", "202")

    assert await desk.moltgate.tells("pair", "list", "--approved") == []
    assert "was not let in" in await desk.moltgate.refuses(
        "pair", "revoke", "telegram:default", "202"
    )


async def test_schema_and_version_are_for_programs(desk: Desk) -> None:
    schema = json.loads(await desk.moltgate.does("schema"))
    assert {"engines", "adapters", "access"} <= set(schema["properties"])
    assert (await desk.moltgate.tells("version"))["moltgate"]


async def test_a_second_run_says_who_holds_the_folder(desk: Desk) -> None:
    owner = (await desk.moltgate.tells("status"))["owner"]

    said = await desk.moltgate.refuses("run", "--port", "0")

    assert f"process {owner['pid']}" in said
    assert desk.moltgate.url in said


async def test_a_port_in_use_is_told_at_once(desk: Desk, tmp_path: Path) -> None:
    other = Moltgate(tmp_path, desk.moltgate.port)

    said = await other.said("run", "--port", str(desk.moltgate.port))

    assert said.status == 78
    assert "choose another: moltgate run --port" in said.err
    assert said.err.count('"role_started", "role": "gateway"') == 1


async def test_a_change_is_followed_and_a_wrong_one_changes_nothing(desk: Desk) -> None:
    friend, moltgate = desk.person(FRIEND), desk.moltgate
    second = {"engines": {**desk.settings["engines"], "second": {"url": desk.model.url}}}
    moltgate.configure({**desk.settings, **second})
    await moltgate.happened("configuration_changed")

    async def known() -> bool:
        return "second" in await moltgate.does("chat", "/model")

    await until(known, "the new engine can be chosen")
    starts = len(moltgate.events("role_started"))

    moltgate.configure({**desk.settings, "engines": {"home": {"urll": "x"}}})
    await moltgate.happened("last_good_configuration_stays")
    reasons = [each["reason"] for each in moltgate.events("configuration_is_wrong")]
    await friend.asks("are you still there?")
    await friend.asks("/model", "second")

    status = await moltgate.said("status")

    assert any("line" in reason and "urll" in reason for reason in reasons)
    assert status.status == 0, status
    assert "this goes by the last good configuration" in status.err
    assert len(moltgate.events("role_started")) == starts
    moltgate.configure({**desk.settings, **second})


async def test_after_a_stop_commands_say_how_to_start_again(desk: Desk) -> None:
    assert await desk.moltgate.stop() == 0

    for words in (("status",), ("chat", "hello"), ("pair", "list"), ("login",)):
        assert "moltgate run" in await desk.moltgate.refuses(*words)
    assert "Traceback" not in desk.moltgate.log.read_text()


async def _letters(desk: Desk, count: int) -> Sequence[Mapping[str, Any]]:
    found: list[dict[str, Any]] = await desk.moltgate.tells("dead", "list")
    return found if len(found) >= count else ()
