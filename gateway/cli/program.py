"""The command line's tree: global options, and which module has which command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.inspect import register as looking
from gateway.cli.keep import register as looking_after
from gateway.cli.place import Place
from gateway.cli.roles import register as processes
from gateway.cli.setup import register as setup
from gateway.cli.talk import register as talking

program = typer.Typer(
    name="moltgate",
    help="Your own models behind Telegram, web chat and any other chat. No message is lost.",
    epilog="Start with: moltgate run",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)


@program.callback()
def options(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            envvar="MOLTGATE_HOME",
            help="Data folder: configuration, Redis, files, logs.",
            show_default="~/.moltgate",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            envvar="MOLTGATE_CONFIG",
            help="Configuration file.",
            show_default="moltgate.yaml in the data folder, if there is one",
        ),
    ] = None,
) -> None:
    context.obj = Place.of(home, config)


for register in (processes, setup, looking, talking, looking_after):
    register(program)
