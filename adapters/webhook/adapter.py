"""One program: its signed posts come in, answers are posted to its address."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
import structlog

from adapters.webhook import mapping  # noqa: F401 - without its library nothing works
from adapters.webhook.capabilities import CAPABILITIES, FILE_LIMIT
from adapters.webhook.config import WebhookConfig
from adapters.webhook.errors import of_exception, of_status
from adapters.webhook.reception import Reception
from adapters.webhook.render import body
from adapters.webhook.signing import Lock, signed
from gateway.errors import BadConfig, Failed, GatewayError
from gateway.message import Account, Attachment, Outbound
from gateway.ports import Capabilities, Inbox, Probe, Receipt, Services, WebhookAnswer

log = structlog.get_logger(__name__)

_USER_AGENT = "Moltgate-Webhook/1"


class WebhookAdapter:
    """`Adapter` with a webhook and a live check."""

    everywhere = True

    def __init__(self, account: Account, config: WebhookConfig, services: Services) -> None:
        if not all((config.secrets, *config.secrets, config.url_secrets, *config.url_secrets)):
            raise BadConfig(
                "adapters.webhook.secret",
                "a webhook does not start without it",
                "anybody could post; make one with: openssl rand -hex 32",
            )
        self.account = account
        self.capabilities: Capabilities = CAPABILITIES
        self.max_body = config.max_body
        self._config = config
        self._services = services
        self._lock = Lock(
            scheme=config.real_scheme,
            secrets=config.secrets,
            header=config.real_header,
            prefix=config.real_prefix,
            timestamp_header=config.timestamp_header.lower(),
        )
        self._reception: Reception | None = None
        self._session: aiohttp.ClientSession | None = None

    async def run(self, inbox: Inbox) -> None:
        """Until cancelled. Nothing is taken in before: until then a post is to come again."""
        self._reception = Reception(self.account, self._config, inbox, self._services)
        log.info("webhook_open", account=self.account.key, preset=self._config.preset)
        try:
            await asyncio.Event().wait()
        finally:
            self._reception = None

    def admits(self, headers: Mapping[str, str]) -> bool:
        return self._lock.admits(headers, self._services.clock.now())

    async def receive(self, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        if not self._lock.opens(headers, body, self._services.clock.now()):
            self._services.count("bad_signature")
            return WebhookAnswer(status=401, body=b'{"error":"the signature is wrong"}')
        if self._reception is None:
            return WebhookAnswer(status=503)
        return await self._reception.take(headers, body)

    async def send(self, outbound: Outbound) -> Receipt:
        files = [await self._content(file) for file in outbound.files]
        data = body(outbound, files)
        now = self._services.clock.now()
        headers = {
            **{name: value.get_secret_value() for name, value in self._config.url_headers.items()},
            "Content-Type": "application/json",
            "User-Agent": _USER_AGENT,
            "Idempotency-Key": outbound.key,
            **signed(outbound.key, now, data, self._config.url_secrets),
        }
        problem = await self._posted(data, headers)
        if problem is not None:
            raise problem
        return Receipt(native_id=outbound.key)

    async def probe(self) -> Probe:
        """Nothing is posted: whether the receiver accepts our signature shows with the first
        answer."""
        parts = urlsplit(self._config.url)
        try:
            async with self._http.head(self._config.url, allow_redirects=False) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            words = f"{of_exception(problem)}; is url right, does the receiver run?"
            return Probe(ok=False, summary=words)
        advice = []
        if 300 <= status <= 399:
            advice.append("url redirects, which is not followed: set it to where it leads")
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            advice.append("url is http: answers travel readable; use https")
        if not self._services.public_url:
            advice.append(
                "http.public_url is not set: post to "
                f"/webhooks/webhook/{self.account.id} at wherever this server is reached"
            )
        return Probe(ok=True, summary=f"{parts.hostname} answers", advice=tuple(advice))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _posted(self, data: bytes, headers: Mapping[str, str]) -> GatewayError | None:
        try:
            async with self._http.post(
                self._config.url, data=io.BytesIO(data), headers=headers, allow_redirects=False
            ) as answer:
                return of_status(answer.status, answer.headers)
        except (aiohttp.ClientError, TimeoutError, OSError, RuntimeError) as problem:
            return of_exception(problem)

    async def _content(self, file: Attachment) -> str:
        size = await self._services.blobs.size(file.digest) if file.digest else None
        if size is None:
            raise Failed(f"there are no bytes to send ({file.problem or 'no such file'})")
        if size > FILE_LIMIT:
            raise Failed(f"a file of {size} bytes is too large to be posted")
        content = b"".join([chunk async for chunk in self._services.blobs.read(file.digest)])
        return base64.b64encode(content).decode()

    @property
    def _http(self) -> aiohttp.ClientSession:
        """Made when it is first needed, inside the loop. No cookies, no proxy from outside."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # As the system resolves names, whatever library is installed.
                connector=aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver()),
                timeout=aiohttp.ClientTimeout(total=self._config.timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session
