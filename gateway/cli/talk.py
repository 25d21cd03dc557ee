"""`chat` and `send`: talking from the terminal."""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer

from gateway.cli.place import Place, place, run
from gateway.cli.show import hint, say
from gateway.errors import Failed

_CONVERSATION = re.compile(r"[A-Za-z0-9_-]{1,64}")


def register(program: typer.Typer) -> None:
    program.command(rich_help_panel="Talking")(chat)
    program.command(rich_help_panel="Talking")(send)


def chat(
    context: typer.Context,
    message: Annotated[
        str, typer.Argument(help="One message; the answer is printed.", show_default="ask")
    ] = "",
    conversation: Annotated[str, typer.Option(help="Name of the conversation.")] = "terminal",
    url: Annotated[
        str, typer.Option(help="A gateway elsewhere.", show_default="the one on this folder")
    ] = "",
    token: Annotated[
        str, typer.Option(envvar="MOLTGATE_TOKEN", help="Token for it (token create).")
    ] = "",
) -> None:
    """Talk to the model from here, over the same HTTP API programs use.

    Example: moltgate chat "What is a lane?"
    """
    from gateway.cli.terminal import converse

    if url and not token:
        raise typer.BadParameter("a gateway elsewhere needs --token (moltgate token create there)")
    if url and not _is_address(url):
        raise typer.BadParameter("--url is an address such as http://192.168.1.5:8080, no path")
    if not token.isascii() or not token.isprintable():
        raise typer.BadParameter("--token holds characters that no token has; copy it once more")
    if not _CONVERSATION.fullmatch(conversation):
        raise typer.BadParameter("--conversation is 1 to 64 letters, digits, - and _")
    try:
        if not run(converse(place(context), message, conversation, url, token)):
            raise typer.Exit(1)
    except KeyboardInterrupt:
        say()


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    whole = parts.scheme in ("http", "https") and parts.hostname and port != 0
    return bool(whole) and parts.path in ("", "/") and not parts.query + parts.fragment


def send(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="Adapter or account, e.g. telegram:work.")],
    chat: Annotated[str, typer.Argument(help="Native id of the chat.")],
    text: Annotated[str, typer.Argument(help="What to say, in CommonMark; - reads it from input.")],
    thread: Annotated[str, typer.Option(help="Topic or thread in the chat.")] = "",
    kind: Annotated[
        str, typer.Option(help="direct or group.", show_default="group for ids that begin with -")
    ] = "",
    id: Annotated[str, typer.Option(help="Repeating the same id sends nothing twice.")] = "",
) -> None:
    """Put a message of our own into the outbox; it survives a restart like any other.

    Example: moltgate send telegram 12345678 "The backup is done."
    """
    import sys

    if not chat.strip():
        raise typer.BadParameter("the id of a chat cannot be empty")
    said = sys.stdin.read() if text == "-" else text
    if not said.strip():
        raise typer.BadParameter("there is nothing to say")
    if kind not in ("", "direct", "group"):
        raise typer.BadParameter("--kind is direct or group")
    where = "thread" if thread else kind or ("group" if chat.startswith("-") else "direct")
    parts = run(_send(place(context), account, chat, thread, where, said, id))  # type: ignore[arg-type]
    hint(f"in the outbox, {parts} part{'s' if parts > 1 else ''}; moltgate status shows what waits")


async def _send(
    here: Place,
    account: str,
    chat: str,
    thread: str,
    kind: Literal["direct", "group", "thread"],
    text: str,
    name: str,
) -> int:
    from gateway.message import Outbound, Sender, conversation_id, reply_id
    from gateway.message import Place as Where

    async with here.store() as (settings, store):
        wanted = account if ":" in account else f"{account}:default"
        entry = next((one for one in settings.adapters if one.account.key == wanted), None)
        if entry is None:
            known = ", ".join(one.account.key for one in settings.adapters)
            raise Failed(f"no account {wanted} in the configuration; there are: {known}")
        where = Where(kind=kind, chat=chat, thread=thread)
        # The peer of a direct chat is the chat itself; web chat's is what begins its name.
        peer = chat.partition(".")[0] if entry.account.kind == "web" else chat
        whole = Outbound(
            reply=reply_id(f"{wanted}/{chat}/{name or secrets.token_hex(8)}", "send"),
            conversation=conversation_id(entry.account, where, Sender(id=peer)),
            account=entry.account,
            place=where,
            kind="notice",
            text=text,
        )
        parts = entry.spec.splitter()(whole)
        await store.lanes.tell(parts)
        return len(parts)
