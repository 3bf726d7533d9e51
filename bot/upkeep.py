"""What comes by itself: beginnings of the day, stories of the week, and data whose time is over.

When each is due is in the database, so a restart neither forgets nor repeats one.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import random
from typing import TYPE_CHECKING

import aiohttp
import discord
from sqlalchemy.exc import SQLAlchemyError

from bot.database.boards import Notice
from bot.database.clock import now
from bot.locales import language_of, speaking
from bot.messages import notices
from bot.messages.posting import UNKNOWN_CHANNEL, is_weather
from bot.openings import OPENINGS, number

if TYPE_CHECKING:
    from bot.database.boards import Board
    from bot.database.tables import Story
    from bot.messages.posting import Channels
    from bot.services import Services

_log = logging.getLogger(__name__)

ROUND = 60.0
"""Seconds between two rounds."""
LATE = dt.timedelta(hours=12)
"""After which a notice that could not be written is left out: it would stand beside the next."""


class Upkeep:
    """One round after the other, each looking at what the database says is due."""

    def __init__(self, services: Services, channels: Channels) -> None:
        self._services = services
        self._channels = channels

    async def run(self) -> None:
        """Go on until cancelled; a round that fails is tried again after the next pause."""
        while True:
            try:
                await self.once()
            except (SQLAlchemyError, OSError):
                _log.exception("A round of upkeep could not be made")
            await asyncio.sleep(ROUND)

    async def once(self) -> None:
        """Do all that is due now; what nobody foresaw of one server keeps no other waiting."""
        services = self._services
        for notice in Notice:
            for board in await services.boards.due(notice):
                try:
                    await self._write(board, notice)
                except Exception:  # noqa: BLE001  # whatever it is, others have their boards too
                    _log.exception("Server %d gets no %s notice", board.guild_id, notice.name)
                    await services.boards.posted(board, notice)
        await self._forget_servers()
        await services.boards.forget_asked()

    async def _forget_servers(self) -> None:
        """Delete what is kept of servers that sent the bot away long ago."""
        services = self._services
        days, failed = services.settings.privacy.days_after_leaving, set[int]()
        while (guild_id := await services.departures.due(days, but=failed)) is not None:
            # Asked each time: it may come back in the middle.
            try:
                await services.departures.forget_some(guild_id)
            except Exception:  # noqa: BLE001  # the next round tries again
                _log.exception("What is kept of server %d could not be deleted", guild_id)
                failed.add(guild_id)
            services.guilds.forget(guild_id)

    async def _write(self, board: Board, notice: Notice) -> None:
        boards = self._services.boards
        try:
            if now() - board.due_at < LATE:
                await self._post(board, notice)
        except discord.HTTPException as error:
            if error.code == UNKNOWN_CHANNEL:
                _log.warning(
                    "The board of server %d is gone (channel %d): it gets no more notices",
                    board.guild_id,
                    board.channel_id,
                )
                await self._services.guilds.drop_board(board.guild_id, board.channel_id)
                return
            if is_weather(error):
                return  # the next round tries again
            _log.warning("Server %d gets no %s notice: %s", board.guild_id, notice.name, error)
        except (aiohttp.ClientError, OSError, discord.DiscordException) as error:
            _log.warning("A notice for server %d waits: %s", board.guild_id, repr(error))
            return
        await boards.posted(board, notice)

    async def _post(self, board: Board, notice: Notice) -> None:
        guild = self._channels.get_guild(board.guild_id)
        language = board.language or language_of(str(guild.preferred_locale) if guild else None)
        channel = self._channels.get_partial_messageable(board.channel_id, guild_id=board.guild_id)
        # Discord posts the same nonce once, should we die before it is noted.
        nonce = f"{notice.name[0]}{board.due_at:%y%m%d}{board.guild_id % 10**18}"
        with speaking(language):
            if notice is Notice.DAILY:
                embed, view = notices.daily(*await self._opening(board.guild_id))
                await channel.send(embed=embed, view=view, nonce=nonce)
            elif (story := await self._best(board, guild)) is not None:
                await channel.send(embed=notices.weekly(story), nonce=nonce)

    async def _opening(self, guild_id: int) -> tuple[str, str]:
        """An opening by chance, of the house or the server's own, and its button's id."""
        own = await self._services.openings.accepted(guild_id)
        text = random.choice((*own, *OPENINGS))
        opening = await self._services.openings.find(guild_id, text) if text in own else None
        return text, notices.begin_id(opening or number(text))

    async def _best(self, board: Board, guild: discord.Guild | None) -> Story | None:
        """The best story of the week among those that everybody who reads the board may see."""
        stories = await self._services.boards.best_of_the_week(board.guild_id, board.channel_id)
        return next((story for story in stories if _open(story, board, guild)), None)


def _open(story: Story, board: Board, guild: discord.Guild | None) -> bool:
    if story.channel_id == board.channel_id:
        return True
    # Whoever may see a channel may see its public threads.
    channel = guild.get_channel(story.thread_of or story.channel_id) if guild else None
    if guild is None or channel is None:
        return False  # a private thread, or a channel that is gone
    return channel.permissions_for(guild.default_role).view_channel
