"""The built-in demo model as an engine: loaded when first asked, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from engine.config import EngineConfig
from engine.deadlines import Deadlines
from engine.pictures import NONE, Shown
from engine.sanitize import readable
from gateway.errors import BadConfig, Failed, Unavailable
from gateway.ports import (
    ChatMessage,
    Clock,
    EngineEvent,
    EngineStatus,
    Finished,
    Prompt,
    Text,
    Usage,
)

if TYPE_CHECKING:
    from engine.embedded.model import EmbeddedModel

MODEL = "moltgate-demo"
_MOST_TOKENS = 160
_FILES = ("model.bin", "tokenizer.json")
_ONE_TOKEN = Prompt(messages=(ChatMessage(role="user", content="Hi"),), max_tokens=1)


class EmbeddedEngine:
    """A few answers at a time are written, as many as it has threads; more wait their turn."""

    models = (MODEL,)
    sees = False

    def __init__(self, name: str, config: EngineConfig, clock: Clock) -> None:
        if config.folder is not None and not all((config.folder / f).is_file() for f in _FILES):
            raise BadConfig(
                f"engines.{name}.folder", f"no {' and '.join(_FILES)} in {config.folder}"
            )
        self.name = name
        self._config = config
        self._clock = clock
        self._slots = asyncio.Semaphore(config.max_concurrency)
        self._loading = asyncio.Lock()
        self._model: EmbeddedModel | None = None

    async def generate(self, prompt: Prompt, pictures: Shown = NONE) -> AsyncGenerator[EngineEvent]:
        """See `Engine.generate`. Whatever `prompt.model` says, there is one model, a blind one."""
        begun = self._clock.monotonic()
        first: float | None = None
        await Deadlines(self.name, self._config.timeouts).acquire(self._slots)
        try:
            model = await self._loaded()
            deadlines = Deadlines(self.name, self._config.timeouts)
            messages = [{"role": m.role, "content": readable(m.content)} for m in prompt.messages]
            most = prompt.max_tokens or self._config.max_tokens or _MOST_TOKENS
            async with aclosing(model.stream(messages, max_tokens=most)) as answer:
                while True:
                    async with deadlines.waiting():
                        piece = await anext(answer, None)
                    if piece is None:
                        break
                    if first is None:
                        first = self._clock.monotonic() - begun
                    yield Text(piece)
                    deadlines.progressed()
            if (end := answer.end) is None:
                raise Unavailable(f"engine {self.name} broke off")
            yield Finished(
                reason=end.finish_reason,
                engine=self.name,
                model=MODEL,
                usage=Usage(
                    prompt_tokens=end.prompt_tokens, completion_tokens=end.completion_tokens
                ),
                first_token=first or 0.0,
            )
        except RuntimeError as problem:
            raise Failed(f"engine {self.name}: the built-in model does not run") from problem
        finally:
            self._slots.release()

    async def probe(self) -> None:
        """Write one token."""
        async with aclosing(self.generate(_ONE_TOKEN)) as events:
            async for _ in events:
                pass

    async def status(self) -> EngineStatus:
        return EngineStatus(
            name=self.name, ok=True, detail="the built-in demo model", models=self.models
        )

    async def close(self) -> None:
        if self._model is not None:
            await asyncio.to_thread(self._model.close)

    async def _loaded(self) -> EmbeddedModel:
        async with self._loading:
            if self._model is None:
                self._model = await asyncio.to_thread(self._load)
        return self._model

    def _load(self) -> EmbeddedModel:
        # Imported here, because it brings CTranslate2 and numpy: tenths of a second and 40 MB
        # that a gateway with a real engine never needs.
        from engine.embedded.model import EmbeddedModel

        return EmbeddedModel(self._config.folder, self._config.threads)
