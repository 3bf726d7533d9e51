"""The servers and members of a run: many, where the playground has one square and three."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from discord.utils import time_snowflake, utcnow

from bot.playground.world import APPLICATION_ID, EVERYONE, Channel, Member, User, World

if TYPE_CHECKING:
    from bot.playground.errors import Json

_BORN = 1_326_000_000_000_000_000
"""Accounts that are old enough for their stars to count."""
YOUNG = 20
"""One member in so many has just made their account: their stars do not count."""
APART = 5_000_000
"""Between the numbers of two servers: of two shards each has every other one, about."""
AN_HOUR = dt.timedelta(hours=1)


class Village(World):
    """Servers with a few channels each, and members who live in one of them."""

    def __init__(self, servers: int, members: int, channels: int = 2) -> None:
        """Build `servers` with `channels` each, and spread `members` over them."""
        super().__init__()
        self.unavailable = set[int]()
        """Servers that have an outage."""
        self.left = set[int]()
        """Servers that the bot was sent away from."""
        own = self.members[APPLICATION_ID]
        self.channels = {}
        for server in range(servers):
            guild_id = _BORN + APART * (server + 1)
            for number in range(channels):
                id_ = guild_id + 1 + number
                name = f"stories-{number}"
                self.channels[id_] = Channel(id_, name, "", number, guild_id=guild_id)
        homes = super().guild_ids
        just_now = time_snowflake(utcnow() - AN_HOUR)
        self.young = {just_now + number for number in range(YOUNG, members + 1, YOUNG)}
        """Who has just made their account."""
        self.home = dict[int, int]()
        """The server in which each member lives, even where it is no more."""
        self.villagers = list[Member]()
        for number in range(1, members + 1):
            id_ = just_now + number if just_now + number in self.young else _BORN + number
            user = User(id_, f"member-{number}", f"Member {number}", "#888888")
            self.villagers.append(Member(user, (), EVERYONE))
            self.home[id_] = homes[number % servers]
        self.members = {one.user.id: one for one in (own, *self.villagers)}

    @property
    def guild_ids(self) -> list[int]:
        """The servers that the bot is in."""
        return [id_ for id_ in super().guild_ids if id_ not in self.left]

    def guild_create_payload(self, guild_id: int) -> Json:
        """A server as the gateway announces it; of one that has an outage only that it has one."""
        if guild_id in self.unavailable:
            return {"id": str(guild_id), "unavailable": True}
        return super().guild_create_payload(guild_id)

    def places_of(self, member: Member) -> list[Channel]:
        """The channels in which the member can ask the bot now."""
        home = self.home[member.user.id]
        if home in self.unavailable | self.left:
            return []
        return [channel for channel in self.channels.values() if channel.guild_id == home]
