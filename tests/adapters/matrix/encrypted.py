"""A person whose client does end-to-end encryption, on a store of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from nio import AsyncClient, AsyncClientConfig, Event, MegolmEvent, RoomSendResponse
from nio.crypto import decrypt_attachment, encrypt_attachment
from nio.store import SqliteStore

from tests.servers.synapse import User, stands


class SecretPerson:
    """The user on an encrypting client of matrix-nio, which syncs in the background."""

    def __init__(self, user: User, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.user = user
        self.id = user.id
        config = AsyncClientConfig(store=SqliteStore, max_limit_exceeded=0, max_timeouts=5)
        self.client = AsyncClient(user.url, user.id, user.device, str(folder), config)
        self.client.restore_login(user.id, user.device, user.token)

    @classmethod
    @contextlib.asynccontextmanager
    async def signed_in(cls, user: User, folder: Path) -> AsyncIterator[SecretPerson]:
        person = cls(user, folder)
        await person.client.sync(timeout=0, full_state=True)
        await person.client.keys_upload()
        task = asyncio.create_task(person.client.sync_forever(timeout=3000))
        try:
            yield person
        finally:
            task.cancel()
            await asyncio.wait([task])
            await person.client.close()
            person.client.store.database.close()

    async def send(self, room: str, content: dict[str, Any]) -> str:
        answer = await self.client.room_send(
            room, "m.room.message", content, ignore_unverified_devices=True
        )
        assert isinstance(answer, RoomSendResponse), answer
        return str(answer.event_id)

    async def say(self, room: str, text: str) -> str:
        return await self.send(room, {"msgtype": "m.text", "body": text})

    async def edit(self, room: str, event: str, text: str) -> str:
        new = {"msgtype": "m.text", "body": text}
        relation = {"rel_type": "m.replace", "event_id": event}
        content = {**new, "body": f"* {text}", "m.new_content": new, "m.relates_to": relation}
        return await self.send(room, content)

    async def send_file(self, room: str, content: bytes, **said: Any) -> str:
        hidden, how = encrypt_attachment(content)
        mxc = await self.user.upload(hidden)
        return await self.send(room, {"body": "a file", **said, "file": {**how, "url": mxc}})

    async def fetch(self, file: dict[str, Any]) -> bytes:
        hidden = await self.user.download(file["url"])
        opened: bytes = decrypt_attachment(
            hidden, file["key"]["k"], file["hashes"]["sha256"], file["iv"]
        )
        return opened

    async def sees(self, room: str, author: str) -> list[dict[str, Any]]:
        """Messages of one author as this client shows them; what it cannot read is left out."""
        opened = []
        for event in await self.user.events(room):
            if event["type"] != "m.room.encrypted" or not event["content"]:
                opened.append(event)
                continue
            parsed = Event.parse_event(event)
            assert isinstance(parsed, MegolmEvent)
            parsed.room_id = room
            with contextlib.suppress(Exception):  # no key (yet)
                opened.append(self.client.decrypt_event(parsed).source)
        return stands(opened, author)
