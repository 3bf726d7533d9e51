"""A hub of models on loopback: the routes of the real one that its client asks, and its CDN.

Large files lie with the CDN, as the real hub's do: another origin, which is told no token.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LARGE = 4096
"""Bytes from which a file is stored with Git LFS."""


@dataclass(kw_only=True)
class Repository:
    """A model, and what goes wrong with it."""

    files: dict[str, bytes]
    architecture: str | None = None
    """Of its GGUF files."""
    says: str | None = None
    """Instead of what the hub would say of it."""
    gated: bool = False
    claims: dict[str, int] = field(default_factory=dict)
    """Sizes that the listing says instead."""
    damaged: set[str] = field(default_factory=set)
    """Files of which a byte is another than the listing's digest says."""
    cuts: list[int] = field(default_factory=list)
    """After so many bytes of its next answers the CDN breaks the line, if they have more."""
    at_cut: Callable[[], object] | None = None
    """Done instead of breaking it; then nothing more comes."""

    @property
    def commit(self) -> str:
        """Of what is in it."""
        return hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()  # noqa: S324


@dataclass
class SmallHub:
    """Its models, and what it was asked."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Files, and from where on."""
    address: str = ""
    cdn: str = ""

    def routes(self) -> list[web.RouteDef]:
        """The hub's."""
        return [
            web.get("/api/models/{owner}/{name}", self._info),
            web.get("/api/models/{owner}/{name}/revision/{revision}", self._info),
            web.get("/{owner}/{name}/resolve/{revision}/{file}", self._resolve),
        ]

    async def large(self, request: web.Request) -> web.StreamResponse:
        """A file from the CDN, from the byte on that is asked for."""
        assert "Authorization" not in request.headers, "a token left the hub"
        kept, name = self._repository(request), request.match_info["file"]
        data = bytearray(kept.files[name])
        if name in kept.damaged:
            data[len(data) // 2] ^= 1
        since = request.http_range.start or 0
        self.asked.append((name, request.headers.get("Range")))
        answer = web.StreamResponse(status=206 if since else 200)
        answer.content_length = len(data) - since
        if since:
            answer.headers["Content-Range"] = f"bytes {since}-{len(data) - 1}/{len(data)}"
        await answer.prepare(request)
        until = since + kept.cuts.pop(0) if kept.cuts else len(data)
        await answer.write(bytes(data[since:until]))
        if until >= len(data):
            return answer
        if kept.at_cut is not None:
            await asyncio.to_thread(kept.at_cut)
            await asyncio.Event().wait()  # until whoever asks goes away
        assert request.transport is not None
        request.transport.close()
        return answer

    async def _info(self, request: web.Request) -> web.Response:
        kept = self._repository(request)
        if request.match_info.get("revision", "main") not in {"main", kept.commit}:
            raise _refusal(web.HTTPNotFound, "RevisionNotFound")
        if kept.says is not None:
            return web.Response(text=kept.says, content_type="application/json")
        name = "{owner}/{name}".format(**request.match_info)
        if "expand" in request.query:
            told = kept.architecture and {"architecture": kept.architecture}
            return web.json_response({"id": name, "gguf": told})
        siblings = []
        for file, data in kept.files.items():
            size = kept.claims.get(file, len(data))
            one: dict[str, Any] = {"rfilename": file, "size": size, "blobId": _git(data)}
            if len(data) >= _LARGE:
                digest = hashlib.sha256(data).hexdigest()
                one["lfs"] = {"sha256": digest, "size": size, "pointerSize": 134}
            siblings.append(one)
        return web.json_response({"id": name, "sha": kept.commit, "siblings": siblings})

    async def _resolve(self, request: web.Request) -> web.Response:
        kept, name = self._repository(request), request.match_info["file"]
        data = kept.files[name]
        headers = {"X-Repo-Commit": kept.commit}
        if len(data) >= _LARGE:
            place = "{owner}/{name}/{file}".format(**request.match_info)
            raise web.HTTPFound(f"{self.cdn}/{place}", headers=headers)
        self.asked.append((name, request.headers.get("Range")))
        return web.Response(body=data, headers=headers | {"ETag": f'"{_git(data)}"'})

    def _repository(self, request: web.Request) -> Repository:
        kept = self.repositories.get("{owner}/{name}".format(**request.match_info))
        if kept is None:
            raise _refusal(web.HTTPUnauthorized, "RepoNotFound")
        if kept.gated and request.path.startswith("/api") and not _token(request):
            raise _refusal(web.HTTPForbidden, "GatedRepo")
        return kept


def _token(request: web.Request) -> str | None:
    return request.headers.get("Authorization")


def _refusal(kind: type[web.HTTPClientError], code: str) -> web.HTTPException:
    return kind(headers={"X-Error-Code": code, "X-Error-Message": "no"})


def _git(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324  # as git has it


@contextmanager
def open_hub() -> Iterator[SmallHub]:
    """One hub, in a thread of its own: its client blocks."""
    hub, loop = SmallHub(), asyncio.new_event_loop()

    async def listen(routes: list[web.RouteDef]) -> tuple[web.AppRunner, str]:
        app = web.Application()
        app.add_routes(routes)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        return runner, f"http://{host}:{port}"

    thread = threading.Thread(target=loop.run_forever, name="hub")
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    theirs, hub.cdn = run(listen([web.get("/{owner}/{name}/{file}", hub.large)]))
    ours, hub.address = run(listen(hub.routes()))
    try:
        yield hub
    finally:
        run(ours.cleanup())
        run(theirs.cleanup())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
