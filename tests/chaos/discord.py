"""Discord as the bot meets it in a run: the playground's parts, many servers, and troubles."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.playground.api import Api
from bot.playground.attachments import LARGEST_FILE, Attachments
from bot.playground.callbacks import Callbacks
from bot.playground.commands import Commands
from bot.playground.interactions import Interactions
from bot.playground.messages import Change, Message, Messages
from bot.playground.rate_limits import RateLimits
from bot.playground.rest import ROOT, Rest
from bot.playground.server import TOKEN
from bot.playground.snowflakes import Snowflakes
from tests.chaos.gateway import TroubledGateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.chaos.history import History
    from tests.chaos.village import Village
    from tests.chaos.weather import Weather

LOOPBACK = "127.0.0.1"
HEARTBEAT = 5.0
"""Seconds: shorter than Discord's, so that a run sees silence noticed."""


class Discord:
    """Everything that a member sees and does, and a note of each in the history."""

    def __init__(
        self, village: Village, history: History, *, deadline: float, lifetime: float
    ) -> None:
        """Build it.

        Args:
            village: Who and what there is.
            history: Where everything that is seen is noted.
            deadline: Seconds that the bot has to acknowledge.
            lifetime: Seconds for which an interaction's token works.
        """
        self.village = village
        self.history = history
        snowflakes = Snowflakes()
        self.messages = Messages(village, snowflakes)
        self.commands = Commands(snowflakes)
        self.gateway = TroubledGateway(village, token=TOKEN, heartbeat_interval=HEARTBEAT)
        self.messages.listeners += [self.gateway.message_changed, self._seen]
        self.interactions = Interactions(
            village, snowflakes, self.gateway.dispatch, deadline=deadline, lifetime=lifetime
        )
        self._attachments = Attachments(snowflakes)
        limits = RateLimits()
        callbacks = Callbacks(village, self.messages, self.interactions)
        api = Api(village, self.messages, self.commands, callbacks, self.gateway, limits)
        self.rest = Rest(api.routes(), self._attachments, limits, token=TOKEN)
        self.url = ""

    @property
    def api_url(self) -> str:
        """Where the bot's requests go."""
        return self.url + ROOT

    @property
    def gateway_url(self) -> str:
        """Where the bot listens."""
        return self.gateway.url

    @asynccontextmanager
    async def open(self, weather: Weather, host: str = LOOPBACK) -> AsyncIterator[None]:
        """Listen on a free port."""
        app = web.Application(middlewares=[weather.middleware()], client_max_size=LARGEST_FILE)
        app.add_routes([*self.rest.routes(), web.get("/gw/", self.gateway.connect)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, 0).start()
            port = runner.addresses[0][1]
            self.url = self._attachments.base_url = f"http://{host}:{port}"
            self.gateway.url = f"ws://{host}:{port}/gw/"
            yield
        finally:
            self.interactions.close()
            await self.gateway.close()
            await runner.cleanup()

    def _seen(self, change: Change, message: Message) -> None:
        self.history.add("message", change=change.value, **as_seen(message))


def as_seen(message: Message) -> dict[str, Any]:
    """A message as whoever may see it does."""
    answers = (message.interaction or {}).get("interaction_metadata", {}).get("id")
    return {
        "id": message.id,
        "channel": message.channel_id,
        "to": message.visible_to,
        "of": int(answers or message.nonce or 0),
        "content": message.content,
        "embeds": message.embeds,
        "components": message.components,
    }
