"""`init`: asks, tries the answers out, and writes the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from gateway.cli.place import Place, place, run
from gateway.cli.show import complain, hint, say
from gateway.errors import BadConfig, Failed, GatewayError

if TYPE_CHECKING:
    from adapters import AdapterSpec
    from config.fields import Section


def register(program: typer.Typer) -> None:
    program.command(rich_help_panel="Processes")(init)


@dataclass(slots=True)
class Answers:
    """What goes into the file. Secrets by the name of the file they are kept in."""

    adapters: dict[str, dict[str, str]] = field(default_factory=dict)
    engine: str = ""
    engine_key: bool = False
    port: int = 8080
    secrets: dict[str, str] = field(default_factory=dict)


def init(
    context: typer.Context,
    telegram_token: Annotated[
        str, typer.Option(envvar="TELEGRAM_TOKEN", help="Token from BotFather.")
    ] = "",
    engine_url: Annotated[
        str, typer.Option(help="OpenAI-compatible server, e.g. http://localhost:8000/v1.")
    ] = "",
    engine_key: Annotated[
        str, typer.Option(envvar="ENGINE_API_KEY", help="Its key, if it wants one.")
    ] = "",
    port: Annotated[int, typer.Option(min=1, max=65535, help="HTTP port.")] = 8080,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: options and defaults only.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    probe: Annotated[bool, typer.Option(help="Try tokens and engine out first.")] = True,
) -> None:
    """Write the configuration file by asking. Tokens and engine are tried out before.

    Example: moltgate init --yes --engine-url http://localhost:8000/v1
    """
    here = place(context)
    file = here.file
    if file.exists() and not force:
        raise Failed(f"{file} is there already; look at it with moltgate check, or use --force")
    _insist_on_writable(file.parent)
    answers = Answers(port=port)
    try:
        if telegram_token:
            _keep_secret(answers, "telegram", "token", telegram_token)
        elif not yes:
            _ask_adapters(answers, probe=probe)
        if telegram_token and probe:
            _insist(_try_adapter("telegram", answers, here))
        answers.engine = engine_url or ("" if yes else _ask_engine())
        if answers.engine:
            key = engine_key or ("" if yes else _ask_secret("Its API key (empty for none)"))
            if key:
                answers.secrets["engine.key"], answers.engine_key = key, True
            if probe:
                _try_engine(answers, insist=yes)
    except typer.Abort:
        say()
        raise Failed("nothing was written: a question was not answered; --yes asks none") from None
    write(file, answers)
    say(f"written: {file}")
    hint(f"{here.command('check')} explains it, {here.command('run')} starts it")


def _insist_on_writable(folder: Path) -> None:
    """Before anything is asked. In a container the folder may be mounted read-only."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir():
        raise BadConfig(str(there), "is a file, not a folder", "name another with --config")
    if not os.access(there, os.W_OK):
        remedy = "write it elsewhere with --config FILE, then put it there"
        raise BadConfig(str(folder), "cannot be written from here", remedy)


def _ask_adapters(answers: Answers, *, probe: bool) -> None:
    import adapters

    for kind in adapters.known():
        spec = adapters.find(kind)
        if kind == "web" or not typer.confirm(f"Connect {spec.title}?", default=False):
            continue
        while True:
            for name, secret in _wanted(spec):
                title = f"{spec.title} {name.replace('_', ' ')}"
                value = _ask_secret(title) if secret else typer.prompt(title)
                if secret:
                    _keep_secret(answers, kind, name, value)
                else:
                    answers.adapters.setdefault(kind, {})[name] = value
            answers.adapters.setdefault(kind, {})
            problem = _try_adapter(kind, answers, None) if probe else ""
            if not problem:
                break
            complain(problem)
            if not typer.confirm("Try again?", default=True):
                answers.adapters.pop(kind)
                break


def _wanted(spec: AdapterSpec) -> list[tuple[str, bool]]:
    """Settings without which the adapter cannot be, and whether they are secret."""
    from pydantic import SecretStr

    return [
        (name, info.annotation is SecretStr or SecretStr in get_args(info.annotation))
        for name, info in spec.config.model_fields.items()
        if info.is_required()
    ]


def _ask_engine() -> str:
    hint("Without a model server the built-in demo model answers.")
    answer: str = typer.prompt("Address of your model server (empty for none)", default="")
    return answer.strip()


def _ask_secret(title: str) -> str:
    answer: str = typer.prompt(title, default="", hide_input=True, show_default=False)
    return answer.strip()


def _keep_secret(answers: Answers, kind: str, name: str, value: str) -> None:
    file = f"{kind}.{name}"
    answers.secrets[file] = value
    answers.adapters.setdefault(kind, {})[name] = f"${{file:secrets/{file}}}"


def _try_adapter(kind: str, answers: Answers, here: Place | None) -> str:
    """Why it does not work; empty when it does, or nobody can be asked."""
    import adapters
    from gateway.cli.probes import probe_adapter
    from gateway.message import Account

    spec = adapters.find(kind)
    try:
        config = _config(spec, answers)
        found = run(probe_adapter(spec, Account(kind=kind), config))
    except GatewayError as problem:
        return str(problem)
    if found is None or found.ok:
        hint(f"{spec.title}: {found.summary if found else 'accepted'}")
        return ""
    return f"{spec.title}: {found.summary}"


def _config(spec: AdapterSpec, answers: Answers) -> Section:
    from pydantic import ValidationError

    values: Mapping[str, Any] = {
        name: answers.secrets.get(f"{spec.kind}.{name}", value)
        for name, value in answers.adapters[spec.kind].items()
    }
    try:
        return spec.config.model_validate(values)
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, ("adapters", spec.kind, *first["loc"])))
        raise BadConfig(where, first["msg"].removeprefix("Value error, ")) from None


def _try_engine(answers: Answers, *, insist: bool) -> None:
    from pydantic import SecretStr, ValidationError

    from engine.config import EngineConfig
    from gateway.cli.probes import probe_engines

    key = answers.secrets.get("engine.key")
    try:
        config = EngineConfig(url=answers.engine, api_key=SecretStr(key) if key else None)
    except ValidationError as problem:
        reason = problem.errors(include_input=False, include_url=False)[0]["msg"]
        raise BadConfig("engines.home.url", reason.removeprefix("Value error, ")) from None
    (status,) = run(probe_engines({"home": config}))
    if status.ok:
        hint(f"engine: {status.detail}; it serves {', '.join(status.models) or 'nothing it names'}")
        return
    complain(f"engine: {status.detail}")
    if insist or not typer.confirm("Write it all the same?", default=False):
        raise Failed("nothing was written; --no-probe writes without trying")


def _insist(problem: str) -> None:
    if problem:
        raise Failed(f"{problem}; nothing was written; --no-probe writes without trying")


def text_of(answers: Answers) -> str:
    """Pure: the configuration file."""
    lines = ["# Every setting: docs/configuration.md. What it means: moltgate check"]
    if answers.port != 8080:
        lines += ["http:", f"  port: {answers.port}"]
    if answers.adapters:
        lines += ["adapters:"]
    for kind, settings in answers.adapters.items():
        lines.append(f"  {kind}:" if settings else f"  {kind}: true")
        lines += [f"    {name}: {_quoted(value)}" for name, value in settings.items()]
    if answers.engine:
        lines += ["engines:", "  home:", f"    url: {_quoted(answers.engine)}"]
        if answers.engine_key:
            lines.append('    api_key: "${file:secrets/engine.key}"')
    return "\n".join(lines) + "\n"


def write(file: Path, answers: Answers) -> None:
    """The file and, beside it, one file per secret; all readable by their owner only."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if answers.secrets:
            (file.parent / "secrets").mkdir(mode=0o700, exist_ok=True)
        for name, value in answers.secrets.items():
            _private(file.parent / "secrets" / name, value + "\n")
        _private(file, text_of(answers))
    except OSError as problem:
        from gateway.queues.owner import unusable

        raise unusable(file.parent, problem) from problem


def _private(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    new.replace(path)


def _quoted(value: str) -> str:
    """As a double-quoted YAML scalar; JSON's strings are those."""
    import json

    return json.dumps(value, ensure_ascii=False)
