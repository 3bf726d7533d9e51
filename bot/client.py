"""The Discord client: what it may see, its commands, and what members hear when something fails."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import discord
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket

from bot import command_sync, commands
from bot.apologies import apologise
from bot.components.buttons import BUTTONS
from bot.messages.pacing import Pace
from bot.messages.telling import DiscordStage
from bot.worker.catalogue import Catalogue, UnknownModelError
from bot.worker.completions import GeneratorDownError

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.services import Services

_log = logging.getLogger(__name__)


def point_at(api_url: str, gateway_url: str) -> None:
    """Let discord.py talk to another Discord; an empty gateway address keeps Discord's own."""
    discord.http.Route.BASE = api_url.rstrip("/")
    if gateway_url:
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url)


class Tree(app_commands.CommandTree["Kataribe"]):
    """The commands, and the one place where their failures become a sentence."""

    async def on_error(
        self, interaction: discord.Interaction[Kataribe], error: app_commands.AppCommandError, /
    ) -> None:
        """Answer the member, whatever went wrong."""
        await apologise(interaction, error)


class Kataribe(discord.AutoShardedClient):
    """The bot as Discord knows it: no privileged intent, no mention that pings, slash commands."""

    def __init__(self, settings: Settings, services: Services, *, pace: Pace | None = None) -> None:
        """Build the client and its stage; nothing connects before `start`."""
        pace = pace or Pace()
        super().__init__(
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            # One presence and no chunking: a storyteller needs no member list.
            chunk_guilds_at_startup=False,
            # Nor does it wait two seconds at each start in case one more server is named.
            guild_ready_timeout=0.2,
            max_messages=None,
            http_trace=pace.trace(),
            # A gateway of the host's choice is one shard; otherwise Discord says how many.
            shard_count=1 if settings.discord.gateway_url else None,
        )
        self.settings = settings
        self.services = services
        self.catalogue = Catalogue(services.completions)
        self.stage = DiscordStage(self, pace)
        self.tree = Tree(
            self,
            allowed_contexts=app_commands.AppCommandContext(
                guild=True, dm_channel=True, private_channel=True
            ),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
        )
        for command in commands.EVERY:
            self.tree.add_command(command)
        self.add_dynamic_items(*BUTTONS)

    async def setup_hook(self) -> None:
        """Tell Discord about the commands."""
        await command_sync.sync(self.tree)

    async def teller(self, guild_id: int | None) -> str:
        """The model that tells in a server, or anywhere else, when a member chooses none."""
        chosen = guild_id and await self.services.guilds.model(guild_id)
        if not chosen:
            return await self.catalogue.default()
        try:
            return await self.catalogue.find(chosen)
        except UnknownModelError:
            # The host took it away; members who named nobody cannot know that it was ever there.
            return await self.catalogue.default()
        except GeneratorDownError:
            return chosen  # nobody knows yet, and the wish waits in any case

    async def on_ready(self) -> None:
        """Say where the bot is; may happen more than once."""
        _log.info("Connected as %s, in %d servers", self.user, len(self.guilds))

    async def close(self) -> None:
        """Stop writing, then leave Discord."""
        await self.stage.close()
        await super().close()
