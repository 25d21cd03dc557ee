"""The live check of a bot: token, intents, servers, permissions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from adapters.discord.api import Api
from adapters.discord.capabilities import ADMINISTRATOR, INVITE, PERMISSIONS
from adapters.discord.native import Application, Guild, Unreadable, read
from gateway.errors import GatewayError, Unavailable
from gateway.ports import Probe

_MESSAGE_CONTENT = 1 << 18 | 1 << 19
"""Application flags: the intent is granted, or switched on for a bot in few servers."""
_SERVERS = 200
_NAMED = 5
_PORTAL = "https://discord.com/developers/applications"


async def check(api: Api, *, message_content: bool) -> Probe:
    try:
        me = await api.me()
        application = read(await api.call("GET", "/applications/@me", repeatable=True), Application)
        guilds = await _guilds(api)
    except Unavailable as problem:
        words = f"{problem}; is there a network, is api_base right?"
        return Probe(ok=False, summary=words)
    except (GatewayError, Unreadable) as problem:
        return Probe(ok=False, summary=str(problem))
    advice = [*_about(application, message_content), *_missing(guilds, application.id)]
    if message_content and not application.flags & _MESSAGE_CONTENT:
        words = (
            f"the message content intent is off: {_PORTAL}, the application, Bot, switch on "
            "Message Content Intent; or set message_content: false"
        )
        return Probe(ok=False, summary=words, advice=advice)
    several = "server" if len(guilds) == 1 else "servers"
    return Probe(
        ok=True, summary=f"signed in as {me.username}, in {len(guilds)} {several}", advice=advice
    )


async def _guilds(api: Api) -> list[Guild]:
    answer: Any = await api.call(
        "GET", "/users/@me/guilds", repeatable=True, query={"limit": str(_SERVERS)}
    )
    return [read(each, Guild) for each in answer] if isinstance(answer, list) else []


def _about(application: Application, message_content: bool) -> Iterator[str]:
    if application.interactions_endpoint_url:
        yield (
            "slash commands and buttons go elsewhere: empty Interactions Endpoint URL on the page "
            f"General Information of {_PORTAL}"
        )
    if not message_content:
        yield "message_content is off: in servers only mentions of the bot and replies are read"


def _missing(guilds: list[Guild], application: str) -> Iterator[str]:
    if not guilds:
        yield f"it is in no server yet: invite it by {INVITE.format(id=application)}"
    named = 0
    for guild in guilds:
        held = int(guild.permissions) if guild.permissions.isdecimal() else 0
        lacking = [name for name, bit in PERMISSIONS.items() if not held & bit]
        if lacking and not held & ADMINISTRATOR:
            named += 1
            if named > _NAMED:
                yield "and more servers lack permissions"
                return
            yield f"in {guild.name or guild.id} it lacks: {', '.join(lacking)}"
