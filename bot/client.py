"""The Discord client: what it may see, its commands, and what members hear when something fails."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import discord
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.webhook.async_ import async_context

from bot import command_sync
from bot.answering import Drafts, understand
from bot.apologies import NoSuchChoiceError, apologise
from bot.command_texts import CommandTexts
from bot.silence import WRITTEN_WITHIN, connector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.config import Discord as Settings
    from bot.config import Shards
    from bot.messages.pacing import Pace
    from bot.services import Services

_log = logging.getLogger(__name__)

REMEMBERED = 10_000
"""The latest interactions, by their ids: more than Discord repeats after a break."""
APPLICATION = discord.WebhookType.application.value


def point_at(api_url: str, gateway_url: str) -> None:
    """Let discord.py talk to another Discord; an empty gateway address keeps Discord's own."""
    discord.http.Route.BASE = api_url.rstrip("/")
    if gateway_url:
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url)


_KINDS = {
    discord.AppCommandOptionType.string: str,
    discord.AppCommandOptionType.integer: int,
    discord.AppCommandOptionType.boolean: bool,
}


def _check_options(interaction: discord.Interaction[Kataribe]) -> None:
    """Hold what was given to what the command offers: discord.py only tells Discord about it."""
    command = interaction.command
    if not isinstance(command, app_commands.Command):
        return
    given = vars(interaction.namespace)
    for parameter in command.parameters:
        value = given.get(parameter.display_name)
        if value is None:
            continue
        kind = _KINDS.get(parameter.type)
        # Of what there is not, discord.py knows the number alone.
        if (kind is not None and type(value) is not kind) or isinstance(value, discord.Object):
            raise NoSuchChoiceError(f"/{command.qualified_name} {parameter.name}: {value!r}")
        offered = [choice.value for choice in parameter.choices]
        size = len(value) if isinstance(value, str) else value
        low, high = parameter.min_value, parameter.max_value
        if (
            (offered and value not in offered)
            or (low is not None and size < low)
            or (high is not None and size > high)
        ):
            raise NoSuchChoiceError(f"/{command.qualified_name} {parameter.name}: {value!r}")


def _shards(settings: Settings) -> dict[str, Any]:
    """What discord.py is told of shards; nothing: it asks Discord how many there are."""
    if (some := settings.shards) is not None:
        return {"shard_ids": list(some.numbers), "shard_count": some.total}
    # A gateway of the host's choice is one shard.
    return {"shard_count": 1} if settings.gateway_url else {}


class Tree(app_commands.CommandTree["Kataribe"]):
    """The commands, and the one place where their failures become a sentence."""

    async def interaction_check(self, interaction: discord.Interaction[Kataribe], /) -> bool:
        """Speak the member's language: what follows, errors too, runs in the same task.

        Raises:
            NoSuchChoiceError: A client sent what an option does not offer.
        """
        if not understand(interaction):
            return False
        if interaction.type is discord.InteractionType.application_command:
            _check_options(interaction)
        return True

    async def on_error(
        self, interaction: discord.Interaction[Kataribe], error: app_commands.AppCommandError, /
    ) -> None:
        """Answer the member, whatever went wrong."""
        await apologise(interaction, error)


class Kataribe(discord.AutoShardedClient):
    """The bot as Discord knows it: no privileged intent, no mention that pings, slash commands."""

    services: Services
    """Set before the client is started: what writes messages needs the client, and is one."""
    announced_at = float("-inf")
    """When the host last said something to everybody, by the event loop's time."""
    drafts: Drafts
    """What was typed into forms that were refused."""
    exporting: set[int]
    """The members whose file is collected, or waits for `collecting`."""
    collecting: asyncio.Lock
    """One file at a time: all that is kept of a member stands in memory meanwhile."""
    only: Shards | None
    """The shards that this process serves; None: all."""
    command_ids: Mapping[str, int]
    """By the commands' names; what names a command with its id can be clicked."""

    def __init__(self, settings: Settings, pace: Pace) -> None:
        """Build the client, in an event loop; nothing connects before `start`.

        Args:
            settings: Which Discord to speak to.
            pace: Reads Discord's limits from the answers to our requests.
        """
        super().__init__(
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            # One presence and no chunking: a storyteller needs no member list.
            chunk_guilds_at_startup=False,
            # Nor does it wait two seconds at each start in case one more server is named.
            guild_ready_timeout=0.2,
            max_messages=None,
            http_trace=pace.trace,
            connector=connector(WRITTEN_WITHIN),
            **_shards(settings),
        )
        self.only = settings.shards
        self.drafts = Drafts()
        self.exporting = set()
        self.collecting = asyncio.Lock()
        self.command_ids = {}
        self._lately: dict[int, None] = {}
        self.tree = Tree(
            self,
            allowed_contexts=app_commands.AppCommandContext(
                guild=True, dm_channel=True, private_channel=True
            ),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
        )

    def webhook(self, token: str) -> discord.Webhook:
        """An interaction's own way to the message that answered it."""
        # One of an application, as discord.py makes it: others send nothing to a member alone.
        of = {"id": self.application_id, "token": token, "type": APPLICATION}
        return discord.Webhook.from_state(of, state=self._connection)  # type: ignore[arg-type]

    async def answer_of(self, token: str) -> int:
        """The id of the message that answered an interaction; HTTPException: there is none."""
        # discord.py offers it to who still has the interaction, which does not outlive a restart.
        # Asked like this it keeps the token out of the log, also where there are too many requests.
        assert self.application_id is not None  # noqa: S101  # login has set it
        message = await async_context.get().get_original_interaction_response(
            self.application_id, token, session=self.webhook(token).session
        )
        return int(message["id"])

    def is_new(self, interaction_id: int) -> bool:
        """Whether an interaction comes for the first time, as far as is remembered."""
        if interaction_id in self._lately:
            return False
        self._lately[interaction_id] = None
        if len(self._lately) > REMEMBERED:
            del self._lately[next(iter(self._lately))]
        return True

    async def setup_hook(self) -> None:
        """Tell Discord about the commands, in every language that there is."""
        await self.tree.set_translator(CommandTexts())
        self.command_ids = await command_sync.sync(self.tree)

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """Count how long members wait for an answer; commands and buttons are heard elsewhere."""
        self.services.metrics.arrived(interaction.id, interaction.type.name)

    async def on_ready(self) -> None:
        """Say where the bot is, and note what changed meanwhile; may happen more than once."""
        _log.info("Connected as %s, in %d servers", self.user, len(self.guilds))
        # Discord names them all, those too whose servers have an outage.
        here = {guild.id for guild in self.guilds}
        departures = self.services.departures
        known = await departures.known()
        if self.only is not None:  # of all others other processes hear
            known = set(filter(self.only.hears_of, known))
        if gone := known - here:
            _log.info("%d servers sent the bot away while it was not connected", len(gone))
            await departures.left(gone)
        await departures.joined(here)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """A server that came back keeps everything."""
        await self.services.departures.joined([guild.id])

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Count the grace period from now; an outage of Discord's is another event."""
        await self.services.departures.left([guild.id])
