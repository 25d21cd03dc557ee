"""One OpenAI-compatible server as an engine: requests, clocks, and the door for its errors.

aiohttp and typed decoding, because the CPU a chunk costs decides how many chats a core can carry.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import aiohttp
import msgspec
import structlog

from engine.completion import Answer, Malformed, Reported, reported
from engine.config import EngineConfig
from engine.deadlines import Deadlines
from engine.pictures import NONE, Shown
from engine.reply import Reply, start_of
from engine.sanitize import harmless, readable
from engine.translation import (
    DOOR,
    TimedOut,
    from_status,
    refuses_pictures,
    retry_after,
    translate,
)
from gateway.errors import BadConfig, Failed, GatewayError, Refused, Unavailable
from gateway.ports import ChatMessage, Clock, EngineEvent, EngineStatus, Finished, Prompt, Text

log = structlog.get_logger(__name__)

_IDLE = 4.0
"""Seconds an unused connection is kept: below the 5 s after which uvicorn, and so vLLM, closes
it, or else a request now and then runs into the closing."""
_ERROR_LIMIT = 64 * 2**10
_LIST_LIMIT = 2**20

_ONE_TOKEN = Prompt(messages=(ChatMessage(role="user", content="Hi"),), max_tokens=1, stream=False)
_ONE_LOOK = Prompt(
    messages=(ChatMessage(role="user", content="Hi", pictures=("white",)),),
    max_tokens=1,
    stream=False,
)
_WHITE: Shown = {
    "white": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQAAAACCEkxz"
    "AAAAEklEQVR42mP4DwUMo4xRBukMAOPT/hAC2mzjAAAAAElFTkSuQmCC"
}
"""Large enough for models that refuse tiny pictures."""
_encode = msgspec.json.Encoder().encode


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model] = []


_models = msgspec.json.Decoder(_Models)


class OpenAIEngine:
    """A client of one server. Connects at the first request."""

    def __init__(self, name: str, config: EngineConfig, clock: Clock) -> None:
        self.name = name
        self._config = config
        self._clock = clock
        self._tls = _tls(name, config)
        self._slots = asyncio.Semaphore(config.max_concurrency)
        self._session: aiohttp.ClientSession | None = None
        self._discovered = ""
        self._looking: asyncio.Task[bool] | None = None

        self._refused_pictures = False

    def __repr__(self) -> str:
        return f"<OpenAIEngine {self.name}>"

    @property
    def models(self) -> tuple[str, ...]:
        """Names of models it is known to serve, without asking."""
        return tuple(filter(None, (self._config.model, self._discovered)))

    @property
    def sees(self) -> bool:
        return bool(self._config.vision)

    async def generate(self, prompt: Prompt, pictures: Shown = NONE) -> AsyncGenerator[EngineEvent]:
        """See `Engine.generate`. A `prompt.model` is the name of a model over there."""
        begun = self._clock.monotonic()
        first: float | None = None
        reply: Reply | None = None
        patient = not prompt.stream
        await Deadlines(self.name, self._config.timeouts, patient=patient).acquire(self._slots)
        # From here on the engine is at work: what others took does not count against it.
        deadlines = Deadlines(self.name, self._config.timeouts, patient=patient)
        try:
            reply = await self._open(prompt, pictures, deadlines)
            while text := await reply.next():
                if first is None:
                    first = self._clock.monotonic() - begun
                yield Text(text)
            yield self._finished(reply.answer, first or 0.0)
        except DOOR as problem:
            failure = translate(self.name, problem)
        else:
            return
        finally:
            if reply is not None:
                reply.close()
            self._slots.release()
        raise failure  # outside, so that no exception with our headers in it is chained

    async def probe(self) -> None:
        """Ask for one token. Raises what `generate` would, `TimedOut` when there is none."""
        try:
            async with asyncio.timeout(self._config.timeouts.probe) as limit:
                deadlines = Deadlines(self.name, self._config.timeouts, patient=True)
                reply = await self._ask(_ONE_TOKEN, deadlines)
                try:
                    await reply.load()
                    reply.answer.finish()
                    return
                finally:
                    reply.close()
        except DOOR as problem:
            if limit.expired():
                failure: GatewayError = TimedOut(f"engine {self.name} gives no token", hung=True)
            else:
                failure = translate(self.name, problem)
        raise failure

    async def status(self) -> EngineStatus:
        """What the server lists; a failure is a status too."""
        try:
            models = await self._list()
        except GatewayError as problem:
            return EngineStatus(name=self.name, ok=False, detail=str(problem))
        serves = self._config.model or (models[0] if models else "")
        ok = serves in models
        if not serves:
            detail = "lists no model"
        elif not ok:
            detail = f"does not list the model {serves}"
        elif self.sees and not await self._takes_pictures():
            ok, detail = False, f"{serves} takes no pictures: set engines.{self.name}.vision: false"
        else:
            detail = f"serves {serves}"
        return EngineStatus(name=self.name, ok=ok, detail=detail, models=models)

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        if self._session is not None:
            await self._session.close()

    # --- one request ---

    async def _open(self, prompt: Prompt, pictures: Shown, deadlines: Deadlines) -> Reply:
        if prompt.stream:
            async with deadlines.waiting():
                return await self._ask(prompt, deadlines, pictures)
        async with deadlines.watched(self._alive):
            reply = await self._ask(prompt, deadlines, pictures)
            with ExitStack() as undo:
                undo.callback(reply.close)
                await reply.load()
                undo.pop_all()
            return reply

    async def _post(self, prompt: Prompt, pictures: Shown) -> aiohttp.ClientResponse:
        config = self._config
        fields = {**config.extra, **_fields(prompt, config, pictures)}
        fields["model"] = prompt.model or config.model or await self._discover()
        headers = (
            {"X-Session-ID": _session_id(prompt.conversation)} if prompt.conversation else None
        )
        return await self._connected().post(
            f"{config.url}/chat/completions",
            data=io.BytesIO(_encode(fields)),  # written in pieces, pictures make it large
            headers=headers,
            allow_redirects=False,
        )

    async def _ask(self, prompt: Prompt, deadlines: Deadlines, pictures: Shown = NONE) -> Reply:
        config = self._config
        response = await self._post(prompt, pictures)
        with ExitStack() as undo:
            undo.callback(response.close)
            if response.status != 200:
                said = await _said(response)
                if pictures and refuses_pictures(said):
                    response.close()
                    reply = await self._ask(prompt, deadlines)
                    self._tell_of_refused_pictures(said)
                    return reply
                raise self._failure(said, response.headers, pinned=bool(prompt.model))
            if pictures:
                self._refused_pictures = False
            answer = Answer(max_text=config.max_text)
            reply = Reply(response, answer, deadlines, config.max_response)
            undo.pop_all()
        return reply

    def _failure(self, said: Reported, headers: Mapping[str, str], *, pinned: bool) -> GatewayError:
        if said.status == 404 and self._discovered and not pinned:
            self._discovered = ""  # it has changed its model: look again at the next request
            return Unavailable(f"engine {self.name} no longer serves what it listed")
        after = retry_after(headers, self._clock.now())
        failure = from_status(self.name, said, after=after, pinned=pinned)
        if isinstance(failure, Refused):
            log.warning(
                "engine_refused_request", engine=self.name, status=said.status, kind=said.kind
            )
            log.debug("engine_explained_refusal", engine=self.name, message=said.message)
        return failure

    def _tell_of_refused_pictures(self, said: Reported) -> None:
        """Once, until it takes some."""
        if self._refused_pictures:
            return
        self._refused_pictures = True
        log.warning(
            "engine_refused_pictures",
            engine=self.name,
            status=said.status,
            remedy="it took the same question without them: if its model sees no pictures, "
            f"set engines.{self.name}.vision to false",
        )
        log.debug("engine_explained_refusal", engine=self.name, message=said.message)

    def _finished(self, answer: Answer, first_token: float) -> Finished:
        reason = answer.finish()
        if answer.empty and reason == "content_filter":
            raise Refused("The model declined to answer this.", reason="content_filter")
        if answer.empty and reason != "tool_calls":
            raise Malformed("it is empty")
        return Finished(
            reason=reason,
            engine=self.name,
            model=answer.model,
            usage=answer.usage(),
            first_token=first_token,
        )

    # --- beside the requests ---

    async def _discover(self) -> str:
        if not self._discovered:
            models = await self._list()
            if not models:
                raise Failed(f"engine {self.name} lists no model: set its model")
            self._discovered = models[0]
        return self._discovered

    async def _list(self) -> tuple[str, ...]:
        try:
            async with (
                asyncio.timeout(self._config.timeouts.probe),
                self._connected().get(
                    f"{self._config.url}/models", allow_redirects=False
                ) as response,
            ):
                if response.status != 200:
                    said = await _said(response)
                    raise self._failure(said, response.headers, pinned=False)
                body = await start_of(response, _LIST_LIMIT)
            return tuple(model.id for model in _models.decode(body).data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            failure: GatewayError = Unavailable(f"engine {self.name} lists its models wrongly")
        except DOOR as problem:
            failure = translate(self.name, problem)
        raise failure

    async def _takes_pictures(self) -> bool:
        """False when it takes a question alone, but not with a picture."""
        try:
            async with asyncio.timeout(self._config.timeouts.probe):
                return await self._takes(_WHITE) or not await self._takes(NONE)
        except (GatewayError, *DOOR):
            return True  # nobody can say

    async def _takes(self, pictures: Shown) -> bool:
        async with await self._post(_ONE_LOOK, pictures) as response:
            return response.status == 200

    async def _alive(self) -> bool:
        """Whether it gives a token to anybody. Shared by all who ask at the same time."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._gives_a_token())
        return await asyncio.shield(self._looking)

    async def _gives_a_token(self) -> bool:
        try:
            await self.probe()
        except TimedOut:
            return False
        except GatewayError:
            return True
        return True

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            config = self._config
            headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
            if config.api_key is not None:
                headers["Authorization"] = f"Bearer {config.api_key.get_secret_value()}"
            headers.update({k: v.get_secret_value() for k, v in config.headers.items()})
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,
                    keepalive_timeout=_IDLE,
                    ssl=self._tls,
                    # As the system resolves names, mDNS included, whatever library is installed.
                    resolver=aiohttp.ThreadedResolver(),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=headers,
                auto_decompress=False,  # nothing was asked to be compressed
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=config.timeouts.connect),
            )
        return self._session


async def _said(response: aiohttp.ClientResponse) -> Reported:
    """What a response with another status than 200 says about itself."""
    said = reported(await start_of(response, _ERROR_LIMIT))
    return Reported(response.status, said.kind, said.message)


def _fields(prompt: Prompt, config: EngineConfig, pictures: Shown) -> dict[str, Any]:
    fields: dict[str, Any] = {
        **prompt.extra,
        "messages": [
            {"role": message.role, "content": _content(message, pictures)}
            for message in prompt.messages
        ],
        "stream": prompt.stream,
    }
    if prompt.stream:
        fields["stream_options"] = {"include_usage": True}
    if (most := prompt.max_tokens or config.max_tokens) is not None:
        fields["max_tokens"] = most
    warmth = config.temperature if prompt.temperature is None else prompt.temperature
    if warmth is not None:
        fields["temperature"] = warmth
    return fields


def _content(message: ChatMessage, pictures: Shown) -> str | Sequence[Mapping[str, Any]]:
    """Plain text where nothing goes along: servers without vision know no parts."""
    text = (readable if message.role == "system" else harmless)(message.content)
    shown = [pictures[digest] for digest in message.pictures if digest in pictures]
    if not shown:
        return text
    return [
        *([{"type": "text", "text": text}] if text else ()),
        *({"type": "image_url", "image_url": {"url": url}} for url in shown),
    ]


def _session_id(conversation: str) -> str:
    """Lets a server keep a conversation together without learning who is in it."""
    return hashlib.blake2b(conversation.encode(), digest_size=12).hexdigest()


def _tls(name: str, config: EngineConfig) -> ssl.SSLContext | bool:
    if not config.tls_verify:
        return False
    if config.tls_ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(config.tls_ca))
    except OSError as problem:
        raise BadConfig(f"engines.{name}.tls_ca", f"cannot be read: {problem.strerror}") from None
