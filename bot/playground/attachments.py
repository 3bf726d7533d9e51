"""Files that come with a message: kept in memory, and fetched from the page."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiohttp import BodyPartReader, web

from bot.playground.errors import ApiError, Fault, Json
from bot.playground.messages import snowflake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.playground.snowflakes import Snowflakes

LARGEST_FILE = 10_485_760
"""Bytes: what Discord takes from a bot without boosts."""

_KEPT = 64
_PNG = b"\x89PNG\r\n\x1a\n"


class Attachments:
    """The last files that were sent."""

    def __init__(self, snowflakes: Snowflakes) -> None:
        self._snowflakes = snowflakes
        self._files: dict[int, tuple[str, bytes]] = {}
        self.base_url = ""
        """The page's address; known once the server listens."""

    async def receive(self, request: web.Request) -> tuple[Any, list[Json]]:
        """Read a multipart request: its JSON, and its files as Discord's attachment objects.

        Raises:
            ApiError: a file is too large.
            ValueError: the JSON is broken.
        """
        body: Any = None
        files: dict[str, Json] = {}
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                continue
            if part.name == "payload_json":
                body = json.loads(await part.text())
            elif numbered := re.fullmatch(r"files\[(\d+)\]", part.name or ""):
                content = bytes(await part.read())
                files[numbered[1]] = self._keep(part.filename or "file", content)
        for number, description in _descriptions(body):
            if number in files:
                files[number]["description"] = description
        return body, list(files.values())

    def _keep(self, filename: str, content: bytes) -> Json:
        if len(content) > LARGEST_FILE:
            raise ApiError.of(Fault.TOO_LARGE)
        file_id = self._snowflakes.next()
        self._files[file_id] = (filename, content)
        while len(self._files) > _KEPT:
            del self._files[next(iter(self._files))]
        url = f"{self.base_url}/attachments/{file_id}/{quote(filename, safe='')}"
        kind = {"content_type": "image/png"} if content.startswith(_PNG) else {}
        return kind | {
            "id": str(file_id),
            "filename": filename,
            "size": len(content),
            "url": url,
            "proxy_url": url,
        }

    async def serve(self, request: web.Request) -> web.Response:
        """Give a file back: a picture as such, all else as a download."""
        found = self._files.get(snowflake(request.match_info["file_id"]))
        if found is None:
            raise web.HTTPNotFound(text="This file is not kept any more.")
        filename, content = found
        if content.startswith(_PNG):
            return web.Response(body=content, content_type="image/png")
        disposition = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
        return web.Response(
            body=content,
            content_type="application/octet-stream",
            headers={"Content-Disposition": disposition},
        )


def _descriptions(body: Any) -> Iterator[tuple[str, str]]:
    """What files are said to show, by their number; a callback has its message within `data`."""
    message = body.get("data", body) if isinstance(body, dict) else None
    listed = message.get("attachments") if isinstance(message, dict) else None
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and isinstance(one.get("description"), str):
            yield str(one.get("id")), one["description"]
