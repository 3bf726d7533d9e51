"""One replica: a whole generator, spoken to through Ray instead of a socket."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from ray import serve

from generator.cluster.connection import Connection
from generator.cluster.wire import Answer, Head, Request, decoded
from generator.engine.errors import EngineError
from generator.server.app import Server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from generator.config import EngineSettings

log = logging.getLogger(__name__)
_REST = 2e-3
"""Seconds of rest for each story after a piece of one was handed out. What Ray takes to carry a
piece through the cluster is about that, so readers of a fast engine get several tokens at once."""


class Replica:
    """Answers as `python -m generator serve` does: it is the same server."""

    async def __init__(self, settings: EngineSettings) -> None:  # type: ignore[misc]  # Serve's way
        """Load every model for which there is room.

        Args:
            settings: with this replica's share of memory and threads.
        """
        logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
        self._server = Server(settings)
        self._slots = settings.slots
        self._told = 0
        await self._server.open_unheard()
        registry = self._server.registry
        held = [resident.name for resident in registry.residents]
        room = -1 if len(held) == len(registry.folders()) else max(1, len(held))

        async def hold(name: str) -> str:
            # Serve has just forgotten the longest unused one; it makes room by the registry's rule.
            await registry.load(name)
            return name

        self._hold = serve.multiplexed(max_num_models_per_replica=room)(hold)
        for name in held:
            await self._hold(name)

    async def models(self) -> list[str]:
        """Those that are loaded."""
        return [resident.name for resident in self._server.registry.residents]

    async def tell(
        self, request: Request, *, if_free: bool = False
    ) -> AsyncGenerator[Head | bytes | None]:
        """The answer's head, then its body as it grows.

        Args:
            request: to answer.
            if_free: where all slots of its model are taken, only None: elsewhere some may be free.
        """
        if if_free and self._is_full(request.model):
            yield None
            return
        if request.model:
            await self._take_in(request.model)
        self._told += 1
        connection = Connection(self._server.connect())
        try:
            connection.ask(request.encoded())
            async with aclosing(connection.pieces()) as pieces:
                head, body = decoded(await anext(pieces))
                yield head
                if body:
                    yield body
                async for piece in pieces:
                    yield piece
                    await asyncio.sleep(_REST * self._told)
        finally:
            self._told -= 1
            connection.close()

    async def answer(self, request: Request) -> Answer:
        """The whole answer."""
        async with aclosing(self.tell(request)) as parts:
            head = await anext(parts)
            body = b"".join([part async for part in parts if isinstance(part, bytes)])
        assert isinstance(head, Head)  # noqa: S101  # as `tell` says
        return Answer(serve.get_replica_context().replica_id.unique_id, head, body)

    def _is_full(self, model: str) -> bool:
        resident = self._server.registry.resident(model)
        return resident is not None and resident.engine.slots_in_use >= self._slots

    async def _take_in(self, name: str) -> None:
        """Have a model here, and Serve know it, so that who asks for it next comes here too.

        What cannot be had is refused by the server, in its own words.
        """
        if name in self._server.registry.folders():
            with suppress(EngineError):
                await self._hold(name)
