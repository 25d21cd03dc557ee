"""Files, in and out: fetched from our own homeserver only, opened and sealed where encrypted."""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import AsyncIterator
from typing import Any

from Crypto.Cipher import AES
from Crypto.Hash import SHA256
from Crypto.Util import Counter
from nio.crypto.attachments import encrypt_attachment
from unpaddedbase64 import decode_base64

from adapters.matrix.capabilities import FILE_LIMIT
from adapters.matrix.client import Door
from adapters.matrix.outgoing import Uploaded, filename
from adapters.matrix.parse import Media
from gateway.errors import Failed
from gateway.files import Files as Fetching
from gateway.files import not_available
from gateway.message import Attachment
from gateway.ports import Blobs


class Files:
    def __init__(self, door: Door, blobs: Blobs, *, limit: int, timeout: float) -> None:
        self._door = door
        self._blobs = blobs
        self._files = Fetching(blobs, "Matrix", limit=limit, timeout=timeout)
        self._taken = 0

    async def fetch(self, attachment: Attachment, media: Media | None) -> Attachment:
        """The attachment with its bytes stored, or with the problem in words for the user."""
        if media is None:
            return not_available(attachment, "it names no file on a homeserver")
        chunks = self._door.chunks(media.server, media.media_id)
        opened = _opened(chunks, media) if media.key else chunks
        return await self._files.fetch(attachment, opened, size=attachment.size)

    async def upload(self, file: Attachment, *, sealed: bool) -> Uploaded:
        """Put a file of ours where the homeserver's people can fetch it."""
        if not file.digest:
            raise Failed(f"there are no bytes to send ({file.problem or 'no digest'})")
        size = await self._blobs.size(file.digest)
        if size is not None and size > min(FILE_LIMIT, await self._most()):
            raise Failed(f"a file of {size} bytes is too large for the homeserver")
        content = b"".join([chunk async for chunk in self._blobs.read(file.digest)])
        if not content:
            raise Failed("an empty file cannot be sent on Matrix")
        if not sealed:
            return Uploaded(mxc=await self._door.upload(content, file.media_type, filename(file)))
        hidden, how = await asyncio.to_thread(encrypt_attachment, content)
        mxc = await self._door.upload(hidden, "application/octet-stream", "")
        return Uploaded(mxc=mxc, sealed={**how, "v": "v2"})

    async def _most(self) -> int:
        """Bytes that the homeserver takes. It says so beforehand; when a file comes that is too
        large, it may cut the connection instead."""
        if not self._taken:
            try:
                config = await self._door.ask("GET", "/media/config", api="/_matrix/client/v1")
            except Failed:
                config = {}  # an older homeserver
            told = config.get("m.upload.size")
            self._taken = told if isinstance(told, int) and told > 0 else FILE_LIMIT
        return self._taken


async def _opened(chunks: AsyncIterator[bytes], media: Media) -> AsyncIterator[bytes]:
    """The content of an encrypted file. `Failed` at its end when it is not what was sent: what was
    read until then is not kept."""
    cipher, expected = _cipher(media)
    digest = SHA256.new()
    async for chunk in chunks:
        digest.update(chunk)
        yield cipher.decrypt(chunk)
    if digest.digest() != expected:
        raise Failed("an encrypted file was changed on its way")


def _cipher(media: Media) -> tuple[Any, bytes]:
    try:
        key, iv, expected = (
            decode_base64(each) for each in (_plain(media.key), media.iv, media.sha256)
        )
        start = int.from_bytes(iv[8:16], "big")
        counter = Counter.new(64, prefix=iv[:8], initial_value=start)
        return AES.new(key, AES.MODE_CTR, counter=counter), expected
    except (binascii.Error, ValueError) as problem:
        raise Failed("the key of an encrypted file cannot be used") from problem


def _plain(key: str) -> str:
    """A JWK's base64 is that of URLs."""
    return key.replace("-", "+").replace("_", "/")
