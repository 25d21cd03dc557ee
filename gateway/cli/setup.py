"""`init`: asks, tries the answers out, and writes the file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from gateway.cli.answers import Answers, write
from gateway.cli.place import place, run
from gateway.cli.show import complain, hint, say
from gateway.errors import BadConfig, Failed, GatewayError

if TYPE_CHECKING:
    from adapters import AdapterSpec, Ask
    from config.fields import Section


def register(program: typer.Typer) -> None:
    program.command(rich_help_panel="Processes")(init)


def init(
    context: typer.Context,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", help="Connect this platform, e.g. discord; may be repeated."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="An adapter's setting, e.g. email.imap.host=mail.example.org; may be repeated. "
            "Secrets had better come by their variable, e.g. DISCORD_TOKEN.",
        ),
    ] = None,
    telegram_token: Annotated[
        str, typer.Option(envvar="TELEGRAM_TOKEN", help="Token from BotFather; --with telegram.")
    ] = "",
    engine_url: Annotated[
        str, typer.Option(help="OpenAI-compatible server, e.g. http://localhost:8000/v1.")
    ] = "",
    engine_key: Annotated[
        str, typer.Option(envvar="ENGINE_API_KEY", help="Its key, if it wants one.")
    ] = "",
    port: Annotated[int, typer.Option(min=1, max=65535, help="HTTP port.")] = 8080,
    public_url: Annotated[
        str, typer.Option(help="Where platforms reach the HTTP port, e.g. https://bot.example.org.")
    ] = "",
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: options and defaults only.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    probe: Annotated[bool, typer.Option(help="Try tokens and engine out first.")] = True,
) -> None:
    """Write the configuration file by asking. Tokens and engine are tried out before.

    Example: moltgate init --yes --with discord --engine-url http://localhost:8000/v1
    """
    here = place(context)
    file = here.file
    if file.exists() and not force:
        raise Failed(f"{file} is there already; look at it with moltgate check, or use --force")
    _insist_on_writable(file.parent)
    answers = Answers(port=port, public_url=public_url.rstrip("/"))
    given = _given(set_ or ())
    wanted = list(dict.fromkeys(with_ or given))
    if telegram_token:
        given.setdefault("telegram", {})["token"] = telegram_token
        wanted = list(dict.fromkeys([*wanted, "telegram"]))
    try:
        if wanted or yes:
            for kind in wanted:
                _connect(kind, answers, given.get(kind, {}), ask=not yes, probe=probe)
        else:
            _ask_adapters(answers, probe=probe)
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


def _given(settings: Sequence[str]) -> dict[str, dict[str, str]]:
    """``--set KIND.SETTING=VALUE`` by kind."""
    found: dict[str, dict[str, str]] = {}
    for each in settings:
        path, equals, value = each.partition("=")
        kind, dot, setting = path.partition(".")
        if not (equals and dot and kind and setting):
            raise BadConfig("--set", f"{path!r} is not KIND.SETTING=VALUE", "e.g. irc.nick=molty")
        found.setdefault(kind, {})[setting] = value
    return found


# --- adapters -----------------------------------------------------------------------------------


def _ask_adapters(answers: Answers, *, probe: bool) -> None:
    import adapters

    for kind in adapters.known():
        title = adapters.find(kind).title
        if kind != "web" and typer.confirm(f"Connect {title}?", default=False):
            _connect(kind, answers, {}, ask=True, probe=probe)


def _connect(
    kind: str, answers: Answers, given: Mapping[str, str], *, ask: bool, probe: bool
) -> None:
    """Steps, questions, and a try. Raises `Failed` where nobody can be asked again."""
    import adapters

    spec = adapters.find(kind)
    if ask:
        _show_steps(spec, answers)
    while True:
        _answer(spec, answers, given, ask=ask)
        problem = _try_adapter(spec, answers, probe=probe)
        if not problem:
            return
        if not ask:
            remedy = "; --no-probe writes without trying" if probe else ""
            raise Failed(f"{problem}; nothing was written{remedy}")
        complain(problem)
        if not typer.confirm("Try again?", default=True):
            answers.adapters.pop(kind)
            return
        given = {}


def _show_steps(spec: AdapterSpec, answers: Answers) -> None:
    public = answers.public_url or "https://YOUR-ADDRESS"
    for number, step in enumerate(spec.setup.steps, 1):
        webhook = f"{public}/webhooks/{spec.kind}/default"
        hint(f"{number}. {step.replace('{webhook}', webhook)}")


def _answer(spec: AdapterSpec, answers: Answers, given: Mapping[str, str], *, ask: bool) -> None:
    kind = spec.kind
    answers.adapters[kind] = {}
    for setting, value in given.items():
        answers.keep(kind, setting, value, secret=is_secret(spec, setting))
    for question in _questions(spec):
        if question.setting in given:
            continue
        secret = is_secret(spec, question.setting)
        value = os.environ.get(question.env, "") if question.env else ""
        if not value and ask:
            value = _ask(question, secret=secret)
        value = value or question.default
        if value:
            answers.keep(kind, question.setting, value, secret=secret)


def _questions(spec: AdapterSpec) -> Sequence[Ask]:
    """The adapter's own, else one for each setting without which it cannot be."""
    from adapters import Ask

    if spec.setup.asks:
        return spec.setup.asks
    required = (name for name, info in spec.config.model_fields.items() if info.is_required())
    return [
        Ask(setting=name, question=f"{spec.title} {name.replace('_', ' ')}") for name in required
    ]


def is_secret(spec: AdapterSpec, setting: str) -> bool:
    """Whether the schema calls it so. False for what it does not know: the schema says that."""
    from pydantic import BaseModel, SecretStr

    model: Any = spec.config
    *sections, name = setting.split(".")
    for section in sections:
        info = model.model_fields.get(section)
        kinds = (info.annotation, *get_args(info.annotation)) if info else ()
        model = next(
            (each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)), None
        )
        if model is None:
            return False
    info = model.model_fields.get(name)
    return info is not None and SecretStr in (info.annotation, *get_args(info.annotation))


def _ask(question: Ask, *, secret: bool) -> str:
    if secret:
        return _ask_secret(question.question)
    answer: str = typer.prompt(question.question, default=question.default)
    return answer.strip()


def _ask_secret(title: str) -> str:
    answer: str = typer.prompt(title, default="", hide_input=True, show_default=False)
    return answer.strip()


def _try_adapter(spec: AdapterSpec, answers: Answers, *, probe: bool) -> str:
    """Why it does not work; empty when it does, or nobody is asked. What the schema does not take
    is never written."""
    from gateway.cli.probes import probe_adapter
    from gateway.message import Account

    try:
        config = _config(spec, answers)
        if not probe:
            return ""
        found = run(probe_adapter(spec, Account(kind=spec.kind), config, answers.public_url))
    except GatewayError as problem:
        return str(problem)
    if found is not None and not found.ok:
        return f"{spec.title}: {found.summary}"
    hint(f"{spec.title}: {found.summary if found else 'accepted'}")
    for advice in found.advice if found else ():
        hint(f"  {advice}")
    return ""


def _config(spec: AdapterSpec, answers: Answers) -> Section:
    from pydantic import ValidationError

    try:
        return spec.config.model_validate(answers.section(spec.kind))
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, ("adapters", spec.kind, *first["loc"])))
        asked = {each.setting: each.env for each in _questions(spec)}
        env = asked.get(".".join(map(str, first["loc"])), "")
        remedy = f"answer it by {env} or --set" if env else ""
        raise BadConfig(where, first["msg"].removeprefix("Value error, "), remedy) from None


# --- the engine ---------------------------------------------------------------------------------


def _ask_engine() -> str:
    hint("Without a model server the built-in demo model answers.")
    answer: str = typer.prompt("Address of your model server (empty for none)", default="")
    return answer.strip()


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
