"""`check`, `doctor`, `status`, `schema`, `docs`, `version`: looking, never changing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.place import Place, place, run
from gateway.cli.show import as_json, complain, hint, say, table
from gateway.errors import BadConfig, Failed

if TYPE_CHECKING:
    from gateway.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="For programs: one JSON document.")]
_BAD_CONFIG = 78


def register(program: typer.Typer) -> None:
    panel = "Looking"
    program.command(rich_help_panel=panel)(check)
    program.command(rich_help_panel=panel)(doctor)
    program.command(rich_help_panel=panel)(status)
    program.command(rich_help_panel=panel)(schema)
    program.command(rich_help_panel=panel, hidden=True)(docs)
    program.command(rich_help_panel=panel)(version)


def check(
    context: typer.Context,
    json: Json = False,
    port: Annotated[int | None, typer.Option(min=0, max=65535, hidden=True)] = None,
) -> None:
    """Read the configuration and say what it means, or everything that is wrong with it.

    Connects to nothing. Example: moltgate check --config new.yaml && mv new.yaml moltgate.yaml
    """
    here = place(context)
    try:
        settings = here.settings().with_port(port)
    except BadConfig as wrong:
        if json:
            as_json({"ok": False, "problems": _problems(wrong), "warnings": []})
            raise typer.Exit(_BAD_CONFIG) from wrong
        raise
    warnings = [str(warning) for warning in settings.warnings]
    if json:
        as_json({"ok": True, "problems": [], "warnings": warnings, "facts": _facts(settings)})
        return
    for name, meaning in _explain(here, settings):
        say(f"{name:<10} {meaning}")
    for warning in warnings:
        hint(f"advice: {warning}")


def _problems(wrong: BadConfig) -> list[str]:
    from config.problems import BadFile

    return [str(each) for each in wrong.problems] if isinstance(wrong, BadFile) else [str(wrong)]


def _facts(settings: Settings) -> dict[str, Any]:
    """What the supervisor has to know (`lastgood.Facts`)."""
    from multimodal.checkup import missing
    from multimodal.config import MediaConfig

    return {
        "private_redis": not settings.redis.url,
        "fsync": settings.redis.fsync,
        "memory": settings.redis.memory,
        "workers": settings.run.workers,
        "port": settings.http.port,
        "http": settings.http_url,
        "log": settings.log.format,
        "media_idle": settings.section(MediaConfig).idle,
        "media_missing": missing(),
        "fingerprints": settings.fingerprints,
    }


def _explain(here: Place, settings: Settings) -> list[tuple[str, str]]:
    redis = settings.redis
    where = f"private server under {settings.home}/redis, appendfsync {redis.fsync}"
    lines = [
        ("file", str(settings.file or f"none; {here.file} would be read")),
        ("data", str(settings.home)),
        ("http", settings.http_url),
        ("redis", "as configured in redis.url" if redis.url else where),
    ]
    for entry in settings.adapters:
        access = f"direct messages: {entry.access.dm_policy}"
        if entry.account.kind == "web":
            access = "for whoever is signed in"
        lines.append(("adapter", f"{entry.spec.title} ({entry.account.key}), {access}"))
    for name, engine in settings.engines.items():
        lines.append(("engine", f"{name}: {engine.url or 'built-in demo model'}"))
    if not settings.engines:
        lines.append(("engine", "built-in demo model; connect a real one under 'engines:'"))
    return lines


def doctor(context: typer.Context, json: Json = False) -> None:
    """Probe everything the configuration names, and say what to do where something fails.

    Example: moltgate doctor
    """
    from gateway.cli.probes import probe_all
    from gateway.cli.show import console

    findings = run(probe_all(place(context)))
    if json:
        as_json([{"name": f.name, "state": f.state, "detail": f.detail} for f in findings])
    else:
        from rich.text import Text

        marks = {"ok": ("ok  ", "green"), "advice": ("look", "yellow"), "bad": ("BAD ", "bold red")}
        for finding in findings:
            mark, style = marks[finding.state]
            line = Text(mark, style=style)
            line.append(f" {finding.name:<18} {finding.detail}", style="not bold default")
            console().print(line)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def status(context: typer.Context, json: Json = False) -> None:
    """What runs here, what waits, what became of everything so far.

    Example: moltgate status --json
    """
    here = place(context)
    found = run(_status(here))
    if json:
        as_json(found)
        return
    owner = found["owner"]
    if owner:
        say(f"running    process {owner['pid']} on {owner['host']} since {owner['since']}")
        say(f"web chat   {owner['http']}   (a login link: moltgate login)")
    else:
        say("running    elsewhere: this data folder has no moltgate run")
    counters = found["store"]
    outbox = counters.pop("outbox")
    table(["what", "count"], list(counters.items()), "nothing yet")
    table(["account", "to send"], list(outbox.items()), "no accounts")
    if counters.get("difference"):
        complain("the ledger does not add up; see docs/operations.md")
        raise typer.Exit(1)


async def _status(here: Place) -> dict[str, Any]:
    from dataclasses import asdict

    from gateway.queues import owner

    async with here.store() as (settings, store):
        accounts = [entry.account for entry in settings.adapters]
        found = owner.running(settings.home)
        return {"owner": asdict(found) if found else None, "store": await _stats(store, accounts)}


async def _stats(store: Any, accounts: Any) -> dict[str, Any]:
    return dict(await store.stats(accounts))


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it there.", show_default="print")
    ] = None,
) -> None:
    """JSON schema of the configuration file, for completion in editors.

    Example: moltgate schema -o moltgate.schema.json, then begin the file with
    # yaml-language-server: $schema=moltgate.schema.json
    """
    import json as codec

    from config.docs import json_schema
    from gateway.settings import described

    text = codec.dumps(json_schema(described()), indent=2, ensure_ascii=False)
    _print_or_write(text + "\n", output)


def docs(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it there.")] = None,
) -> None:
    """The page of settings. Example: moltgate docs -o docs/configuration.md"""
    from config.docs import page
    from gateway.settings import described

    _print_or_write(page(described()), output)


def _print_or_write(text: str, output: Path | None) -> None:
    if output is None:
        say(text.rstrip("\n"))
        return
    try:
        output.write_text(text)
    except OSError as problem:
        raise Failed(f"{output} cannot be written: {problem.strerror}") from problem


def version(json: Json = False) -> None:
    """Versions of Moltgate and of what it stands on. Example: moltgate version --json"""
    import platform
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    found = {"moltgate": of("moltgate"), "python": platform.python_version()}
    for name in ("redis", "aiohttp", "pydantic", "python-telegram-bot", "ctranslate2"):
        try:
            found[name] = of(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    if json:
        as_json(found)
    else:
        for name, number in found.items():
            say(f"{name:<20} {number}")
