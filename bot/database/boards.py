"""Servers that want a beginning every day and the best story every week, and when each is due."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, true, update
from sqlalchemy import text as sql

from bot.database.browsing import BLIND
from bot.database.clock import now
from bot.database.guild_settings import GuildSettings
from bot.database.reach import within
from bot.database.tables import BROWSED, Asked, Guild, Story
from bot.database.unbroken import unbroken
from bot.database.wishes import PLAIN

if TYPE_CHECKING:
    from bot.database.sessions import Sessions

TOGETHER = 50
"""Boards that are written at one time; the others follow at once."""
CANDIDATES = 20
"""Stories of the week, best first, of which the first that all may see is shown."""
MONDAY = 0


class Notice(StrEnum):
    """What stands on a board: the column with the time when it is due."""

    DAILY = "daily_at"
    WEEKLY = "weekly_at"


@dataclass(frozen=True, slots=True)
class Board:
    """A channel with notices."""

    guild_id: int
    channel_id: int
    hour: int
    language: str | None
    """What the server's moderators chose; None: the server's own in Discord."""
    due_at: dt.datetime


def next_time(notice: Notice, hour: int, after: dt.datetime) -> dt.datetime:
    """When a notice is due the next time: every day, or every Monday, at an hour in UTC."""
    time = after.astimezone(dt.UTC).replace(hour=hour, minute=0, second=0, microsecond=0)
    while time <= after or (notice is Notice.WEEKLY and time.weekday() != MONDAY):
        time += dt.timedelta(days=1)
    return time


def times(channel_id: int | None, hour: int, after: dt.datetime) -> dict[str, dt.datetime | None]:
    """The columns of a server's row for a board in a channel; None: it has no board."""
    return {
        notice.value: next_time(notice, hour, after) if channel_id else None for notice in Notice
    }


@unbroken
class Boards:
    """What is due is in the servers' rows, so no restart forgets it."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def due(self, notice: Notice) -> list[Board]:
        """Give the boards on which it is time for a notice; the longest due first.

        Of several bots each writes on those of the servers that it hears of.
        """
        column, reach = getattr(Guild, notice), self._sessions.reach
        ours = within(Guild.guild_id, reach.own.total, reach.own.numbers) if reach else true()
        query = (
            select(Guild)
            .where(column <= now(), Guild.left_at.is_(None), ours)
            .order_by(column)
            .limit(TOGETHER)
        )
        async with self._sessions() as session:
            guilds = list(await session.scalars(query))
        return [_board(guild, getattr(guild, notice)) for guild in guilds]

    async def posted(self, board: Board, notice: Notice) -> None:
        """Note that a notice stands there, or comes too late: the next is due at its time."""
        await self._change(board, notice, next_time(notice, board.hour, now()))

    async def best_of_the_week(self, guild_id: int, channel_id: int) -> list[Story]:
        """Give the best stories of the last seven days, best first; none while nobody rated.

        Args:
            guild_id: The server.
            channel_id: The board's; of equally good ones a story told there comes first.
        """
        query = (
            select(Story)
            .where(
                Story.guild_id == guild_id,
                sql(BROWSED),
                Story.told_at > now() - dt.timedelta(days=7),
                Story.score.is_not(None),
                Story.message_id.is_not(None),
                ~BLIND,
            )
            .order_by(Story.score.desc(), (Story.channel_id == channel_id).desc(), Story.id)
            .limit(CANDIDATES)
        )
        async with self._sessions() as session:
            return list(await session.scalars(query))

    async def forget_asked(self) -> None:
        """Delete how often members asked before yesterday: no limit looks at it any more."""
        day = now().date() - dt.timedelta(days=1)
        async with self._sessions.begin() as session:
            await session.execute(delete(Asked).where(Asked.day < day), execution_options=PLAIN)

    async def _change(self, board: Board, notice: Notice, moment: dt.datetime) -> None:
        column = getattr(Guild, notice)
        async with self._sessions.begin() as session:
            # Unless moderators chose another hour meanwhile, or none.
            await session.execute(
                update(Guild)
                .where(Guild.guild_id == board.guild_id, column == board.due_at)
                .values({column: moment}),
                execution_options=PLAIN,
            )


def _board(guild: Guild, due_at: dt.datetime) -> Board:
    settings = GuildSettings.read(guild.settings, guild.guild_id)
    return Board(
        guild.guild_id,
        settings.daily_channel or 0,
        settings.daily_hour,
        settings.language,
        due_at,
    )
