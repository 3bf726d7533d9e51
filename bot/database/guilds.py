"""What a server's moderators chose: settings, and which model tells where."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from bot.database.boards import times
from bot.database.clock import now
from bot.database.guild_settings import GuildSettings
from bot.database.tables import Channel, Guild
from bot.database.trail import Act, entry
from bot.database.unbroken import unbroken
from bot.database.upsert import insert_or_update

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from bot.database.sessions import Sessions

KEPT = 10_000
"""Servers whose choices stay in memory: the latest that were asked for."""
FRESH = dt.timedelta(seconds=1)
"""How long they hold where other processes may change them."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Everything that a server chose."""

    settings: GuildSettings = field(default_factory=GuildSettings)
    model: str | None = None
    """Who tells in the whole server; None: the host's choice."""
    channels: dict[int, str] = field(default_factory=dict)
    """Who tells in single channels and threads, by their id."""

    def model_of(self, places: Sequence[int | None]) -> str | None:
        """Who tells in a place: the first of `places` that has a model, else the server's."""
        own = (self.channels.get(place) for place in places if place is not None)
        return next(filter(None, own), self.model)


@unbroken
class Guilds:
    """Servers' choices; each change and its line of the trail are one transaction.

    They are looked at with every story, so they are kept in memory: for good where one process has
    the database to itself, and for a moment where others may write them.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._read_at: dict[int, dt.datetime] = {}
        """When those that are kept were read, where others may write them."""
        self._kept: OrderedDict[int, Choices] = OrderedDict()
        self._changing = asyncio.Lock()

    async def choices(self, guild_id: int) -> Choices:
        """Give everything that a server chose."""
        if (known := self._kept.get(guild_id)) is not None and self._holds(guild_id):
            self._kept.move_to_end(guild_id)
            return known
        async with self._changing:  # or what is read might be older than what is kept meanwhile
            async with self._sessions() as session:
                guild = await session.get(Guild, guild_id)
                models = select(Channel.channel_id, Channel.model).where(
                    Channel.guild_id == guild_id
                )
                channels = dict((await session.execute(models)).all())
            if guild is None:
                return self._keep(guild_id, Choices(channels=channels))
            settings = GuildSettings.read(guild.settings, guild_id)
            return self._keep(guild_id, Choices(settings, guild.model, channels))

    async def settings(self, guild_id: int | None) -> GuildSettings:
        """Give a server's settings; outside of every server the defaults hold."""
        return (await self.choices(guild_id)).settings if guild_id else GuildSettings()

    async def model(self, guild_id: int) -> str | None:
        """Give the model that tells in the whole server; None when nobody chose one."""
        return (await self.choices(guild_id)).model

    async def filter_words(self, guild_id: int | None) -> tuple[str, ...]:
        """Give the words that neither a beginning nor a story may have in a server."""
        return (await self.settings(guild_id)).filter_words

    async def story_channels(self) -> dict[int, tuple[int, ...]]:
        """Give the story channels of every server that has chosen some."""
        chosen = select(Guild.guild_id, Guild.settings).where(
            Guild.left_at.is_(None), Guild.settings.contains('"story_channels"')
        )
        async with self._sessions() as session:
            rows = (await session.execute(chosen)).all()
        read = {guild_id: GuildSettings.read(saved, guild_id) for guild_id, saved in rows}
        return {guild_id: of.story_channels for guild_id, of in read.items() if of.story_channels}

    async def change(
        self, guild_id: int, moderator_id: int | None, **changes: object
    ) -> GuildSettings:
        """Change some settings; see `change_by`."""
        return await self.change_by(guild_id, moderator_id, lambda _: changes)

    async def change_by(
        self,
        guild_id: int,
        moderator_id: int | None,
        change: Callable[[GuildSettings], Mapping[str, object]],
    ) -> GuildSettings:
        """Change some settings, as those of the moment want it; gives all as they are then.

        Another board is due at its own times. What the bot itself changes, without a moderator,
        leaves no line in the trail.

        Args:
            guild_id: The server.
            moderator_id: Who changes them.
            change: Gives what to change, from settings that nobody changes meanwhile. What it
                raises is raised, and nothing is changed.

        Raises:
            ValidationError: One of them may not be so; nothing is changed.
        """
        before = await self.choices(guild_id)
        async with self._changing:
            # Another change may have come first: what it chose stays chosen.
            before = self._kept.get(guild_id, before)
            changes = change(before.settings)
            settings = before.settings.with_changes(**changes)
            if settings == before.settings:
                return settings
            values: dict[str, object] = {"settings": settings.saved()}
            if not changes.keys().isdisjoint(("daily_channel", "daily_hour")):
                values |= times(settings.daily_channel, settings.daily_hour, now())
            async with self._sessions.begin() as session:
                await self._write(session, guild_id, **values)
                if moderator_id is not None:
                    act = _difference(before, settings)
                    session.add(entry(guild_id, moderator_id, Act.SETTINGS, act))
            self._keep(guild_id, replace(before, settings=settings))
            return settings

    async def use_model(
        self,
        guild_id: int,
        model: str | None,
        moderator_id: int,
        *,
        channel_id: int | None = None,
        reason: str = "",
    ) -> None:
        """Let a model tell from now on; None: what would tell without this choice.

        Args:
            guild_id: The server.
            model: Its name.
            moderator_id: Who chose it.
            channel_id: The channel or thread where it tells; None: the whole server.
            reason: Why, in the moderator's words.
        """
        before = await self.choices(guild_id)
        async with self._changing:
            before = self._kept.get(guild_id, before)
            channels = dict(before.channels)
            async with self._sessions.begin() as session:
                if channel_id is None:
                    await self._write(session, guild_id, model=model)
                elif model is None:
                    channels.pop(channel_id, None)
                    await session.execute(
                        delete(Channel).where(
                            Channel.channel_id == channel_id, Channel.guild_id == guild_id
                        )
                    )
                else:
                    channels[channel_id] = model
                    await session.execute(
                        insert_or_update(session, Channel)
                        .values(channel_id=channel_id, guild_id=guild_id, model=model)
                        .on_conflict_do_update(
                            index_elements=[Channel.channel_id], set_={"model": model}
                        )
                    )
                session.add(
                    entry(
                        guild_id,
                        moderator_id,
                        Act.MODEL,
                        model or "default",
                        reason=reason,
                        channel_id=channel_id,
                    )
                )
            own = before.model if channel_id is not None else model
            self._keep(guild_id, Choices(before.settings, own, channels))

    async def drop_board(self, guild_id: int, channel_id: int) -> None:
        """Let a server have no board in a channel that is gone, unless it has another by now."""
        if (await self.settings(guild_id)).daily_channel == channel_id:
            await self.change(guild_id, None, daily_channel=None)

    def forget(self, guild_id: int) -> None:
        """Read a server's choices anew when they are asked for: its rows were deleted."""
        self._kept.pop(guild_id, None)

    @staticmethod
    async def _write(session: AsyncSession, guild_id: int, **values: object) -> None:
        await session.execute(
            insert_or_update(session, Guild)
            .values(guild_id=guild_id, **values)
            .on_conflict_do_update(index_elements=[Guild.guild_id], set_=values)
        )

    def _keep(self, guild_id: int, choices: Choices) -> Choices:
        self._kept[guild_id] = choices
        self._kept.move_to_end(guild_id)
        if self._sessions.reach is not None:
            self._read_at[guild_id] = now()
        if len(self._kept) > KEPT:
            last, _ = self._kept.popitem(last=False)
            self._read_at.pop(last, None)
        return choices

    def _holds(self, guild_id: int) -> bool:
        """Whether what is kept is what the database has, or was a moment ago."""
        read_at = self._read_at.get(guild_id)
        return self._sessions.reach is None or (read_at is not None and now() - read_at < FRESH)


def _difference(before: Choices, after: GuildSettings) -> str:
    """What was changed, in few words: `cooldown = 60`."""
    old, new = before.settings.model_dump(mode="json"), after.model_dump(mode="json")
    changed = {name: value for name, value in new.items() if value != old[name]}
    if "filter_words" in changed:  # they are read in the settings, not in every look at the trail
        changed["filter_words"] = len(after.filter_words)
    return ", ".join(f"{name} = {value}" for name, value in changed.items())
