"""The playground's server: Discord's REST and gateway, and the page, on one loopback port."""

from __future__ import annotations

import errno
import ipaddress
import logging
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from aiohttp import web

from bot.playground.actions import Actions
from bot.playground.api import Api
from bot.playground.attachments import LARGEST_FILE, Attachments
from bot.playground.callbacks import Callbacks
from bot.playground.commands import Commands
from bot.playground.errors import PlaygroundError
from bot.playground.gateway import Gateway
from bot.playground.interactions import Interactions
from bot.playground.journal import Journal
from bot.playground.messages import KEPT_IN_A_CHANNEL, Messages
from bot.playground.page import Page
from bot.playground.rate_limits import RateLimits
from bot.playground.rest import ROOT, Rest
from bot.playground.snowflakes import Snowflakes
from bot.playground.world import APPLICATION_ID, World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from types import TracebackType

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)

# It opens nothing but this playground, and a bot started by hand must find it unchanged.
TOKEN = urlsafe_b64encode(str(APPLICATION_ID).encode()).decode().rstrip("=") + ".play.ground"


class Playground:
    """A stand-in for Discord, from entering to leaving its `async with`."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8888,
        *,
        state: Path | None = None,
        bot_name: str = "Kataribe",
        deadline: float = 3.0,
        token_lifetime: float = 900.0,
        rate_limits: RateLimits | None = None,
        heartbeat_interval: float = 41.25,
        kept: int = KEPT_IN_A_CHANNEL,
    ) -> None:
        """Prepare a playground.

        Args:
            host: a loopback address; nobody else is let in.
            port: 0 takes any free one.
            state: where the channel is kept over a restart; None keeps it in memory.
            bot_name: how the bot is called.
            deadline: seconds that the bot has to acknowledge an interaction.
            token_lifetime: seconds for which an interaction's token works.
            rate_limits: how much the bot may do at once; None is what Discord allows.
            heartbeat_interval: seconds between a gateway client's heartbeats.
            kept: messages of a channel that stay; the oldest leave first.
        """
        self._host = host
        self._port = port
        self.token = TOKEN
        self.world = World(bot_name)
        snowflakes = Snowflakes()
        self.messages = Messages(self.world, snowflakes, kept=kept)
        self.commands = Commands(snowflakes)
        journal = state and Journal(state, self.world, self.messages, self.commands)
        self._journal = journal or None
        self.gateway = Gateway(
            self.world,
            token=self.token,
            heartbeat_interval=heartbeat_interval,
        )
        self.messages.listeners.append(self.gateway.message_changed)
        self.interactions = Interactions(
            self.world,
            snowflakes,
            self.gateway.dispatch,
            deadline=deadline,
            lifetime=token_lifetime,
        )
        self._attachments = Attachments(snowflakes)
        callbacks = Callbacks(self.world, self.messages, self.interactions)
        limits = rate_limits or RateLimits()
        api = Api(self.world, self.messages, self.commands, callbacks, self.gateway, limits)
        self.rest = Rest(api.routes(), self._attachments, limits, token=self.token)
        actions = Actions(self.world, self.messages, self.commands, self.interactions, self.gateway)
        self._page = Page(self.world, self.messages, self.commands, self.gateway, actions)
        api.typing.append(self._page.typing)
        self._runner: web.AppRunner | None = None
        self._closing = False

    @property
    def url(self) -> str:
        """The page's address."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def api_url(self) -> str:
        """Where discord.py's `Route.BASE` must point."""
        return self.url + ROOT

    @property
    def gateway_url(self) -> str:
        """Where discord.py's `DiscordWebSocket.DEFAULT_GATEWAY` must point."""
        return f"ws{self.url.removeprefix('http')}/gw/"

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            PlaygroundError: the address is not ours to take, or the state cannot be kept.
        """
        if not _is_loopback(self._host):
            raise PlaygroundError(
                f"The playground opens on this machine only: {self._host} is not a loopback "
                "address. Use 127.0.0.1 or ::1."
            )
        app = web.Application(
            middlewares=[_only_from_here, self._while_open],
            client_max_size=LARGEST_FILE + 1_048_576,
        )
        app.add_routes(self.rest.routes())
        app.add_routes(self._page.routes())
        app.add_routes(
            [
                web.get("/gw/", self.gateway.connect),
                web.get("/attachments/{file_id}/{name}", self._attachments.serve),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, self._host, self._port)
            await site.start()
            self._port = self._runner.addresses[0][1]
            self.gateway.url = self.gateway_url
            self._attachments.base_url = self.url
            if self._journal is not None:
                self._journal.open()
        except OSError as error:
            await self._runner.cleanup()
            raise PlaygroundError(_why(error, self._host, self._port)) from error
        except PlaygroundError:
            await self._runner.cleanup()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let everyone go, and write the channel down."""
        self.interactions.close()
        if self._runner is not None:
            self._closing = True  # first, or those who are sent away come straight back
            for site in tuple(self._runner.sites):
                await site.stop()
            await self.gateway.close()
            await self._page.close()
            await self._runner.cleanup()
        if self._journal is not None:
            self._journal.close()

    @web.middleware
    async def _while_open(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Take nothing new on a connection that is kept alive while the server closes."""
        if self._closing:
            raise web.HTTPServiceUnavailable(text="The playground closes.")
        return await handler(request)


@web.middleware
async def _only_from_here(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what another site's page could send: a foreign Host (DNS rebinding) or Origin."""
    origin = request.headers.get("Origin")
    for address in (f"//{request.host}", origin):
        if address is not None and not _is_loopback(_name_in(address)):
            raise web.HTTPForbidden(text="The playground is for this machine only.")
    if origin is not None and origin != f"http://{request.host}":
        raise web.HTTPForbidden(text="The playground is for its own page only.")
    return await handler(request)


def _name_in(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # a bracket that nothing closes
        return ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"The playground cannot open on {host}:{port}: something else listens there. "
            "Choose another port, or 0 for any free one."
        )
    return f"The playground cannot open on {host}:{port}: {error.strerror or error}."
