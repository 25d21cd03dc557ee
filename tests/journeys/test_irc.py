"""Somebody on IRC: from the stranger's first word to a fresh start. Files, voice and edits are not
on IRC."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from tests.fakes.irc import IrcPerson
from tests.journeys.stage import Model, Moltgate, script, until
from tests.servers.ngircd import Ngircd


async def test_a_conversation_from_first_contact_to_a_fresh_start(tmp_path: Path) -> None:
    async with Ngircd.running() as server, Model.started() as model:
        bot = {
            "server": "localhost",
            "port": server.tls_port,
            "ca_file": str(server.certificate.chain),
            "nick": "molt",
            "channels": ["#talk"],
            "burst": 100,
        }
        settings = {
            "engines": {"home": {"url": model.url}},
            "access": {"groups": ["#talk"]},
            "adapters": {"irc": bot | {"access": {"min_grade": "unverified"}}},
        }
        async with (
            Moltgate.running(tmp_path, settings) as moltgate,
            IrcPerson.connected("ada", server.port, "#talk") as ada,
        ):
            await ada.says("molt", "let me in")
            told = await ada.hears("pair approve")
            code = told.split("approve ")[1].split()[0].strip("\x11`")
            await moltgate.does("pair", "approve", code)

            await ada.says("molt", "hello")
            assert await ada.hears("echo: hello") == "echo: hello"

            await ada.says("#talk", "molt: and here?")
            assert (await ada.hears("and here?")).startswith("ada: echo: ")
            await ada.says("#talk", "nobody is meant")

            words = [f"word{number}" for number in range(300)]
            await answers(model, text="\n\n".join([" ".join(words), "- that was **all**"]))
            await ada.says("molt", "tell me everything")
            await ada.hears("all")
            said = " ".join(ada.texts()).split()
            assert [one for one in said if one.startswith("word")] == words
            assert "• that was \x02all\x02" in ada.texts()
            await answers(model)

            await ada.says("molt", script(latency=120, text="the endless answer"))

            async def waits() -> bool:
                return bool(await model.requests("endless"))

            await until(waits, "the model was asked")
            await ada.says("molt", "!stop")
            await ada.hears("Stopped.")
            await ada.says("molt", "!new")
            await ada.hears("A new conversation.")
            await ada.says("molt", "who am I?")
            await ada.hears("echo: who am I?")
            (last,) = await model.requests("who am I?")
            assert not any("hello" in str(one["content"]) for one in last["messages"])
            assert not await model.requests("nobody is meant")


async def answers(model: Model, **fault: str) -> None:
    """What the model says from now on, whatever it is asked."""
    url = f"{model.url.removesuffix('/v1')}/_fake/fault"
    async with aiohttp.ClientSession() as session, session.post(url, json=fault) as done:
        assert done.status < 300
