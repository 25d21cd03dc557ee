"""`run`, `gateway`, `worker`, `media`: the processes."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.place import Place, place
from gateway.cli.show import say
from gateway.errors import BadConfig, Failed, GatewayError

if TYPE_CHECKING:
    from gateway.settings import Settings
    from multimodal.jobs import JobKind

INTERNAL = 70


class PortTaken(BadConfig):
    """Nothing will change by trying again."""


Port = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="HTTP port, over the file's http.port."),
]


def register(program: typer.Typer) -> None:
    program.command(rich_help_panel="Processes")(run)
    program.command(rich_help_panel="Processes")(gateway)
    program.command(rich_help_panel="Processes")(worker)
    program.command(rich_help_panel="Processes")(media)


def run(context: typer.Context, port: Port = None) -> None:
    """Run everything here: private Redis, gateway and worker.

    Restarts what dies, and follows changes of the configuration file.

    Example: moltgate run --home ./data --port 8081
    """
    here = place(context)
    command = [sys.executable, "-P", "-m", "gateway.supervisor", "--home", str(here.home)]
    if here.config is not None:
        command += ["--config", str(here.config)]
    if port is not None:
        command += ["--port", str(port)]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # the supervisor keeps none of what this process has loaded


def gateway(context: typer.Context, port: Port = None) -> None:
    """Run the gateway role: platforms, HTTP, delivery. Needs redis.url, or a running moltgate run.

    Example: moltgate gateway --config /etc/moltgate.yaml
    """
    from gateway.app.gateway import run_gateway
    from gateway.process import say_ready

    here = place(context)
    settings = _runnable(here).with_port(port)
    quiet = os.environ.pop("MOLTGATE_STARTED_AGAIN", "")

    def announce(link: str) -> None:
        if not quiet:
            say(f"\n  Web chat: {link}")
            say(f"  The link works once, within 15 minutes. Another one: {here.command('login')}\n")
        say_ready()

    try:
        _live("gateway", settings, lambda: run_gateway(settings, announce=announce))
    except PortTaken as taken:
        # Once it has worked, who holds the port may be our predecessor on its way out.
        raise (Failed(str(taken)) if quiet else taken) from None


def worker(context: typer.Context) -> None:
    """Run one worker role: it answers conversations. Start as many as you like.

    Example: moltgate worker --config /etc/moltgate.yaml
    """
    from gateway.app.worker import run_worker
    from gateway.process import say_ready

    settings = _runnable(place(context))
    _live("worker", settings, lambda: run_worker(settings, announce=say_ready))


def media(
    context: typer.Context,
    queues: Annotated[
        str, typer.Option("--queues", help="What to read here: ocr, asr, doc, tts, by commas.")
    ] = "ocr,asr,doc,tts",
    processes: Annotated[
        int | None,
        typer.Option("--processes", min=1, max=64, help="Readers at once, over media.processes."),
    ] = None,
    idle: Annotated[
        float | None,
        typer.Option("--idle", min=0.1, help="End after so many seconds without work."),
    ] = None,
) -> None:
    """Run a media role: it reads pictures, voice and documents. moltgate run starts one by itself.

    Example: moltgate media --queues asr --config /etc/moltgate.yaml
    """
    from gateway.app.media import run_media
    from gateway.logs import configure
    from gateway.process import say_ready

    wanted = _queues(queues)
    settings = _runnable(place(context))
    configure(
        level=settings.log.level, form=settings.log.format, secrets=settings.secrets, role="media"
    )
    try:
        status = run_media(
            settings, queues=wanted, processes=processes, idle=idle, announce=say_ready
        )
    except GatewayError:
        raise
    except Exception as problem:
        logging.getLogger("moltgate").exception("internal_error")
        raise typer.Exit(INTERNAL) from problem
    raise typer.Exit(status)


def _queues(text: str) -> Sequence[JobKind]:
    from multimodal.jobs import QUEUES

    wanted = {word.strip() for word in text.split(",")}
    if unknown := wanted - set(QUEUES):
        raise typer.BadParameter(
            f"{', '.join(sorted(unknown)) or 'nothing'} is no queue; there are {', '.join(QUEUES)}",
            param_hint="--queues",
        )
    return [queue for queue in QUEUES if queue in wanted]


def _runnable(here: Place) -> Settings:
    """Raises `Failed` when there is no store a role could work on, and nobody to start one."""
    from gateway.queues import owner

    settings = here.settings()
    if not settings.redis.url and owner.running(here.home) is None:
        raise here.nothing_runs("and no redis.url is configured, so a role alone has no store")
    return settings


def _live(role: str, settings: Settings, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Until SIGTERM or SIGINT; then what runs is drained."""
    from gateway.logs import configure

    configure(
        level=settings.log.level, form=settings.log.format, secrets=settings.secrets, role=role
    )
    try:
        _run_until_asked(settings, work)
    except GatewayError:
        raise
    except Exception as problem:
        logging.getLogger("moltgate").exception("internal_error")  # the log is where roles speak
        raise typer.Exit(INTERNAL) from problem


def _run_until_asked(settings: Settings, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(_until_asked(work))
        except (BaseExceptionGroup, OSError) as problem:
            # Not by `except*`: Python 3.11.2, which is Debian 12's, wraps what is raised there.
            if refused := _first(problem, lambda each: isinstance(each, BadConfig)):
                raise refused from None
            if _first(problem, _port_is_taken):
                raise PortTaken(
                    "http.port",
                    f"{settings.http.port} is in use by another program",
                    "choose another: moltgate run --port 8081",
                ) from None
            raise


def _port_is_taken(problem: BaseException) -> bool:
    return isinstance(problem, OSError) and problem.errno == errno.EADDRINUSE


def _first(problem: BaseException, wanted: Callable[[BaseException], bool]) -> BaseException | None:
    """The first such error in a group of groups, or the error itself."""
    if isinstance(problem, BaseExceptionGroup):
        found = (_first(each, wanted) for each in problem.exceptions)
        return next((each for each in found if each is not None), None)
    return problem if wanted(problem) else None


async def _until_asked(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    task = asyncio.ensure_future(work())
    loop = asyncio.get_running_loop()
    asked = False

    def stop() -> None:
        nonlocal asked
        asked = True
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not asked:
            raise


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not there on every system
        return None
    return uvloop.new_event_loop
