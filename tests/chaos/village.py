"""The servers and members of a run: many, where the playground has one square and three."""

from __future__ import annotations

from bot.playground.world import APPLICATION_ID, EVERYONE, Channel, Member, User, World

_BORN = 1_326_000_000_000_000_000
"""Accounts that are old enough for their stars to count."""


class Village(World):
    """Servers with a few channels each, and members who live in one of them."""

    def __init__(self, servers: int, members: int, channels: int = 2) -> None:
        """Build `servers` with `channels` each, and spread `members` over them."""
        super().__init__()
        own = self.members[APPLICATION_ID]
        self.channels = {}
        for server in range(servers):
            guild_id = _BORN + 1_000_000 * (server + 1)
            for number in range(channels):
                id_ = guild_id + 1 + number
                name = f"stories-{number}"
                self.channels[id_] = Channel(id_, name, "", number, guild_id=guild_id)
        self.villagers = [
            Member(
                User(_BORN + number, f"member-{number}", f"Member {number}", "#888888"),
                (),
                EVERYONE,
            )
            for number in range(1, members + 1)
        ]
        self.members = {one.user.id: one for one in (own, *self.villagers)}

    def places_of(self, member: Member) -> list[Channel]:
        """The channels of the member's server that are still there."""
        ids = self.guild_ids
        home = ids[member.user.id % len(ids)]
        return [channel for channel in self.channels.values() if channel.guild_id == home]
