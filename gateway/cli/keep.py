"""`dead`, `pair`, `token`, `login`: what the operator looks after while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.place import Place, place, run
from gateway.cli.show import as_json, hint, moment, safe, say, table
from gateway.errors import Failed

if TYPE_CHECKING:
    from gateway.access.pairing import Pairing
    from gateway.queues.dead import DeadLetter

Json = Annotated[bool, typer.Option("--json", help="For programs: one JSON document.")]
Ids = Annotated[list[str], typer.Argument(help="Ids from dead list.", show_default=False)]

_PANEL = "Looking after it"


def register(program: typer.Typer) -> None:
    for name, help_text, commands in (
        ("dead", "Messages and parts that need a decision.", _DEAD),
        ("pair", "People who ask to be let in.", _PAIR),
        ("token", "Access for programs.", _TOKEN),
    ):
        group = typer.Typer(help=help_text, no_args_is_help=True)
        for word, command in commands.items():
            group.command(word)(command)
        program.add_typer(group, name=name, rich_help_panel=_PANEL)
    program.command(rich_help_panel=_PANEL)(login)


# --- dead letters -----------------------------------------------------------------------------


def dead_list(context: typer.Context, json: Json = False) -> None:
    """What could not be answered or sent, oldest first. Example: moltgate dead list --json"""
    letters = run(_letters(place(context)))
    if json:
        as_json([_letter(each) for each in letters])
        return
    rows = [(one.id, moment(one.at), one.kind, one.account, one.reason) for one in letters]
    table(["id", "since", "kind", "account", "why"], rows, "Nothing needs a decision.")


def dead_show(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="An id from dead list.")],
    json: Json = False,
) -> None:
    """All of one letter, its text included. Example: moltgate dead show 0-1763700000000-0"""
    letter = run(_show(place(context), id))
    if json:
        as_json(_letter(letter, body=True))
        return
    for name, value in _letter(letter, body=True).items():
        say(f"{name:<14} {safe(str(value))}")


def dead_resubmit(context: typer.Context, ids: Ids) -> None:
    """Try again with fresh attempts. Example: moltgate dead resubmit 0-1763700000000-0"""
    run(_each(place(context), "resubmit", ids))
    say(f"resubmitted: {len(ids)}")


def dead_drop(context: typer.Context, ids: Ids) -> None:
    """Remove for good. Example: moltgate dead drop 0-1763700000000-0"""
    run(_each(place(context), "drop", ids))
    say(f"dropped: {len(ids)}")


async def _letters(here: Place) -> Sequence[DeadLetter]:
    async with here.store() as (_, store):
        return await store.dead.list()


async def _show(here: Place, name: str) -> DeadLetter:
    async with here.store() as (_, store):
        return await store.dead.show(name)


async def _each(here: Place, what: str, names: Sequence[str]) -> None:
    async with here.store() as (_, store):
        act = store.dead.resubmit if what == "resubmit" else store.dead.drop
        for name in names:
            await act(name)


def _letter(letter: DeadLetter, *, body: bool = False) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": letter.id,
        "kind": letter.kind,
        "account": letter.account,
        "conversation": letter.conversation,
        "reason": letter.reason,
        "at": letter.at,
    }
    if body:
        shown["body"] = letter.body.decode(errors="backslashreplace")
    return shown


# --- pairing ----------------------------------------------------------------------------------


def pair_list(
    context: typer.Context,
    approved: Annotated[bool, typer.Option("--approved", help="Those already let in.")] = False,
    json: Json = False,
) -> None:
    """Who waits to be let in. Example: moltgate pair list"""
    people = run(_people(place(context), approved=approved))
    if json:
        as_json([_person(each) for each in people])
        return
    rows = [
        (
            one.code or ("owner" if one.owner else ""),
            one.account.key,
            one.sender.id,
            safe(one.sender.name, longest=40),
            moment(one.at),
        )
        for one in people
    ]
    empty = "Nobody was let in yet." if approved else "Nobody waits."
    table(["code" if not approved else "", "account", "id", "name", "since"], rows, empty)


def pair_approve(
    context: typer.Context, code: Annotated[str, typer.Argument(help="The code they were given.")]
) -> None:
    """Let somebody in; they are told. Example: moltgate pair approve 7K3M9QXW"""
    person = run(_approve(place(context), code))
    say(f"let in: {safe(person.sender.name or person.sender.id)} on {person.account.key}")
    if person.owner:
        hint("the first one on this account, so its owner")


def pair_deny(
    context: typer.Context, code: Annotated[str, typer.Argument(help="The code they were given.")]
) -> None:
    """Forget a request; its sender is not told. Example: moltgate pair deny 7K3M9QXW"""
    person = run(_deny(place(context), code))
    say(f"denied: {safe(person.sender.name or person.sender.id)} on {person.account.key}")


def pair_revoke(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="As in pair list, e.g. telegram:default.")],
    sender: Annotated[str, typer.Argument(help="Their id.")],
) -> None:
    """Shut somebody out again. Example: moltgate pair revoke telegram:default 12345678"""
    if not run(_revoke(place(context), account, sender)):
        raise Failed(f"{sender} was not let in on {account}; see moltgate pair list --approved")
    say("shut out")


async def _people(here: Place, *, approved: bool) -> Sequence[Pairing]:
    from gateway.access import pairing

    async with here.store() as (_, store):
        found = pairing.list_approved if approved else pairing.list_pending
        return await found(store.records)


async def _approve(here: Place, code: str) -> Pairing:
    from gateway.access import pairing

    async with here.store() as (settings, store):
        waiting = await pairing.list_pending(store.records)
        wanted = next((one for one in waiting if one.code == pairing.fold(code)), None)
        owned = wanted is not None and any(
            entry.access.owners for entry in settings.adapters if entry.account == wanted.account
        )
        person = await pairing.approve(store.records, code, time.time(), owned=owned)
        await store.lanes.tell([pairing.welcome(person)])
        return person


async def _deny(here: Place, code: str) -> Pairing:
    from gateway.access import pairing

    async with here.store() as (_, store):
        return await pairing.deny(store.records, code)


async def _revoke(here: Place, account: str, sender: str) -> bool:
    from gateway.access import pairing
    from gateway.message import Account

    kind, _, name = account.partition(":")
    async with here.store() as (_, store):
        return await pairing.revoke(store.records, Account(kind=kind, id=name or "default"), sender)


def _person(person: Pairing) -> dict[str, Any]:
    return {
        "code": person.code,
        "account": person.account.key,
        "id": person.sender.id,
        "name": person.sender.name,
        "at": person.at,
        "owner": person.owner,
    }


# --- tokens and logins ------------------------------------------------------------------------


def token_create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="chat, metrics or admin; several times for several.", show_default="chat"
        ),
    ] = None,
    days: Annotated[
        float | None, typer.Option(min=0.01, max=36500, help="Days it is valid.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a token for the HTTP API, shown this once. Example: moltgate token create backup"""
    if not name.strip():
        raise typer.BadParameter("a token needs a name, to be told from others")
    identity, secret = run(_create(place(context), name, scope or ["chat"], days))
    if json:
        as_json({"id": identity, "token": secret})
        return
    say(secret)
    hint("Send it as 'Authorization: Bearer …'. It is not shown again; revoke it with "
         f"moltgate token revoke {identity}")  # fmt: skip


def token_list(context: typer.Context, json: Json = False) -> None:
    """Tokens and what they may do. Example: moltgate token list"""
    import msgspec

    found = run(_tokens(place(context)))
    if json:
        as_json(msgspec.to_builtins(found))
        return
    rows = [
        (one.id, one.name, ", ".join(one.scopes), moment(one.created_at), moment(one.expires_at))
        for one in found
    ]
    table(["id", "name", "may", "made", "until"], rows, "There are no tokens.")


def token_revoke(
    context: typer.Context, id: Annotated[str, typer.Argument(help="An id from token list.")]
) -> None:
    """Make a token useless, within seconds. Example: moltgate token revoke 0123456789ab"""
    if not run(_revoke_token(place(context), id)):
        raise Failed(f"there is no token {id}; see moltgate token list")
    say("revoked")


def login(
    context: typer.Context,
    end_others: Annotated[
        bool, typer.Option("--end-others", help="Sign every browser out first.")
    ] = False,
) -> None:
    """A fresh one-time link that signs one browser in to web chat. Example: moltgate login"""
    say(run(_login(place(context), end_others=end_others)))
    hint("It works once, within 15 minutes.")


async def _create(
    here: Place, name: str, scopes: Sequence[str], days: float | None
) -> tuple[str, str]:
    from gateway.web import auth

    wrong = [each for each in scopes if each not in auth.SCOPES]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]} is no scope; there are {', '.join(auth.SCOPES)}")
    known = [each for each in auth.SCOPES if each in scopes]
    async with here.store() as (_, store):
        ttl = days * 86400 if days else None
        return await auth.create_token(store.records, name, known, ttl=ttl)


async def _tokens(here: Place) -> Sequence[Any]:
    from gateway.web import auth

    async with here.store() as (_, store):
        return await auth.list_tokens(store.records)


async def _revoke_token(here: Place, identity: str) -> bool:
    from gateway.web import auth

    async with here.store() as (_, store):
        return await auth.revoke_token(store.records, identity)


async def _login(here: Place, *, end_others: bool) -> str:
    from gateway.app.gateway import login_link
    from gateway.queues import owner
    from gateway.web import auth

    async with here.store() as (settings, store):
        if end_others:
            await auth.end_sessions(store.records)
        link = await login_link(settings, store)
        running = owner.running(settings.home)
        if running and running.http and not settings.http.public_url:
            # it may have been started with another --port
            link = link.replace(settings.http_url, running.http, 1)
        return link


_Commands = dict[str, Callable[..., None]]
_DEAD: _Commands = {
    "list": dead_list,
    "show": dead_show,
    "resubmit": dead_resubmit,
    "drop": dead_drop,
}
_PAIR: _Commands = {
    "list": pair_list,
    "approve": pair_approve,
    "deny": pair_deny,
    "revoke": pair_revoke,
}
_TOKEN: _Commands = {"create": token_create, "list": token_list, "revoke": token_revoke}
