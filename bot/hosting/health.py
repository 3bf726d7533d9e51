"""Whether the bot does its work, for who watches over it: `/health`, and `/metrics` beside it.

"Alive but deaf" is the commonest failure of bots: the process runs and nobody is answered. So each
part is asked, and one that was not well for a while makes the whole ill.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import time
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from sqlalchemy.exc import SQLAlchemyError

from bot.config import is_loopback
from bot.database.tables import State
from bot.database.turns import LIVE
from bot.worker.completions import GeneratorError
from bot.worker.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.client import Kataribe
    from bot.config import Health as HealthSettings

LOOK_EVERY = 5.0
"""Seconds between two looks."""
GRACE = 60.0
"""Seconds that a part may be unwell: Discord lets a bot connect anew now and then."""
STUCK = 300.0
"""Seconds in which nobody's story begins or ends though some wait."""
_DATABASE_WITHIN = 5.0
"""Seconds."""


_log = logging.getLogger(__name__)


class HealthError(Exception):
    """The page cannot be served; the message is one sentence for the host."""


class Health:
    """What is unwell, and since when."""

    def __init__(self, client: Kataribe) -> None:
        self._client = client
        self._since: dict[str, float] = {}
        self._said: dict[str, str] = {}
        self._queue: dict[State, int] = {}
        self._asked: asyncio.Task[dict[State, int]] | None = None
        """The question to the database that has no answer yet."""
        self.ready = False
        """Everything was well once; before that the bot is starting."""

    async def watch(self) -> None:
        """Look at every part again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Look at every part once."""
        said = {"gateway": self._gateway(), "generator": self._generator()}
        said["database"] = await self._database()
        said["queue"] = self._stuck()
        moment = time.monotonic()
        self._said = said
        self._since = {
            part: self._since.get(part, moment) for part, trouble in said.items() if trouble
        }
        self.ready = self.ready or not self._since

    def report(self) -> tuple[bool, dict[str, object]]:
        """Give whether the bot is well, and what is said of each part."""
        moment = time.monotonic()
        ill = [part for part, since in self._since.items() if moment - since >= GRACE]
        well = self.ready and not ill
        status = "well" if well else "ill" if self.ready or ill else "starting"
        return well, {
            "status": status,
            "parts": {part: trouble or "well" for part, trouble in self._said.items()},
            "waiting": self._queue.get(State.QUEUED, 0),
            "telling": self._queue.get(State.TELLING, 0),
        }

    def shards(self) -> dict[int, tuple[bool, float]]:
        """Whether each shard hears Discord, and its latency in seconds."""
        latencies = dict(self._client.latencies)
        return {
            number: (not shard.is_closed(), latencies.get(number, math.nan))
            for number, shard in self._client.shards.items()
        }

    def _gateway(self) -> str:
        if not self._client.is_ready():
            return "not connected to Discord yet"
        deaf = [str(number) for number, (hears, _) in self.shards().items() if not hears]
        return f"shard {', '.join(deaf)} hears nothing from Discord" if deaf else ""

    def _generator(self) -> str:
        services = self._client.services
        services.catalogue.refresh()
        if services.completions.url is None:
            return "the generator is not running"
        return "the generator does not answer" if services.catalogue.down else ""

    async def _database(self) -> str:
        # Not cancelled when it takes long: a transaction ends before it heeds that. So one that
        # hangs is waited for again at the next look, and nothing is asked beside it.
        if self._asked is None:
            self._asked = asyncio.create_task(self._client.services.queue.live())
        answered, _ = await asyncio.wait([self._asked], timeout=_DATABASE_WITHIN)
        if not answered:
            return "the database does not answer"
        asked, self._asked = self._asked, None
        try:
            self._queue = await asked
        except (SQLAlchemyError, OSError) as error:
            cause = str(getattr(error, "orig", None) or error)
            return f"the database cannot be read: {' '.join(cause.split())}"
        return ""

    def _stuck(self) -> str:
        services = self._client.services
        still = time.monotonic() - services.metrics.moved_at
        waits = self._queue.get(State.QUEUED, 0)
        if waits and not services.bell.paused and still > STUCK:
            return f"{waits} stories wait, and for {still:.0f} s none began or ended"
        return ""

    async def metrics(self) -> bytes:
        """What Prometheus reads; our own generator's measures too, which only we can reach."""
        services = self._client.services
        queue = {state.value: self._queue.get(state, 0) for state in LIVE}
        page = services.metrics.page(queue, self.shards(), len(self._client.guilds))
        if not services.settings.generator.url:
            with suppress(GeneratorError):
                page += await services.completions.measures()
        return page


def _is_from_here(request: web.Request) -> bool:
    """Whether it names this machine: a page whose own name was made to mean it does not."""
    try:
        return is_loopback(urlsplit(f"//{request.host}").hostname or "")
    except ValueError:  # a bracket that nothing closes
        return False


@asynccontextmanager
async def health_page(settings: HealthSettings, client: Kataribe) -> AsyncIterator[Health | None]:
    """Serve `/health` and `/metrics` if the host named a port; gives what is to be watched.

    Raises:
        HealthError: Nothing can listen there.
    """
    if settings.port is None:
        yield None
        return
    health = Health(client)

    async def answer(_: web.Request) -> web.Response:
        well, report = health.report()
        status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
        return web.json_response(report, status=status)

    async def measures(request: web.Request) -> web.Response:
        if settings.api_key is not None:
            wanted = f"Bearer {settings.api_key.get_secret_value()}"
            given = request.headers.get(hdrs.AUTHORIZATION, "")
            # A header may hold bytes that are no text.
            if not hmac.compare_digest(given.encode(errors="surrogateescape"), wanted.encode()):
                raise web.HTTPUnauthorized(text="a bearer key is needed\n")
        elif not _is_from_here(request):
            raise web.HTTPForbidden(text="without a key, only programs of this machine may read\n")
        return web.Response(body=await health.metrics(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})

    app = web.Application()
    app.add_routes([web.get("/health", answer), web.get("/metrics", measures)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
            host, port = runner.addresses[0][:2]
            _log.info("How the bot is: http://%s:%d/health, and /metrics", host, port)
        except OSError as error:
            raise HealthError(
                f"Cannot listen on {settings.host} port {settings.port} for [health]: "
                f"{error.strerror}"
            ) from error
        yield health
    finally:
        await runner.cleanup()
