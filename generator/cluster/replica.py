"""One replica: a whole generator, which Serve starts, counts the stories of, and ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import ray
from ray import serve

from generator.cluster.shares import NO_KEYS
from generator.config import ConfigError, is_loopback
from generator.engine.errors import EngineError
from generator.server.app import Server
from generator.server.log import open_log

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from generator.config import EngineSettings


class Replica:
    """The server of `python -m generator serve`, at an address that only the door asks.

    Serve says who tells next and counts who tells; words go from here to the door by HTTP, since
    what Ray takes to carry one piece of a story is more than the piece takes to be told.
    """

    async def __init__(self, settings: EngineSettings) -> None:  # type: ignore[misc]  # Serve's way
        """Listen, and load every model for which there is room.

        Args:
            settings: with this replica's share of memory and threads.

        Raises:
            ConfigError: other machines could ask it, and it has no key that they would show.
        """
        open_log()
        host = ray.util.get_node_ip_address()
        if not (settings.bearer_keys() or is_loopback(host)):
            raise ConfigError(NO_KEYS)
        self._server = Server(settings.model_copy(update={"host": host, "port": 0}))
        self._slots = settings.slots
        self._address = await self._server.open()
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

    async def where(self) -> tuple[str, str]:
        """Who this is, and its address."""
        return serve.get_replica_context().replica_id.unique_id, self._address

    async def seat(self, model: str, *, if_free: bool = False) -> AsyncGenerator[str | None]:
        """The address for one request, which is counted until the caller lets go of this.

        Args:
            model: that it is about; empty: none.
            if_free: where all slots of the model are taken, only None: elsewhere some may be free.
        """
        if if_free and self._is_full(model):
            yield None
            return
        if model:
            await self._take_in(model)
        yield self._address
        await asyncio.Event().wait()

    def _is_full(self, model: str) -> bool:
        resident = self._server.registry.resident(model)
        return resident is not None and resident.engine.slots_in_use >= self._slots

    async def _take_in(self, name: str) -> None:
        """Have a model here, and Serve know it, so that who asks for it next comes here too.

        What cannot be had is refused by the server, in its own words.
        """
        registry = self._server.registry
        # To look at the folders takes longer than to begin a story.
        if registry.resident(name) is not None or name in registry.folders():
            with suppress(EngineError):
                await self._hold(name)
