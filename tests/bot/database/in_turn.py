"""Who stands where, found by looking at all that wait: what the rows keep is compared with it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import select

from bot.database.clock import now
from bot.database.tables import State, Story
from bot.database.turns import LIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from bot.database import Database
    from bot.database.queue import Queue


def numbered(stories: Iterable[Story], key: Callable[[Story], Hashable]) -> dict[Hashable, int]:
    """Number what stories have in common from 1, in the order in which it comes."""
    numbers: dict[Hashable, int] = {}
    for story in stories:
        numbers.setdefault(key(story), len(numbers) + 1)
    return numbers


def in_turn(stories: Sequence[Story]) -> list[int]:
    """Put those who wait in order, from nothing but who asked where, and what is told."""
    live = [story for story in stories if story.state in LIVE and story.shown_at is None]
    together, members, servers = (defaultdict[int, list[Story]](list) for _ in range(3))
    for story in live:
        together[story.interaction_id].append(story)
        members[story.member_id].append(story)
        server = -story.member_id if story.guild_id is None else story.guild_id
        servers[server].append(story)

    def begun_first(story: Story) -> tuple[bool, int]:
        others = together[story.interaction_id]
        begun = any(other.state is State.TELLING for other in others)
        return not begun, min(other.id for other in others)

    own: dict[int, int] = {}
    for theirs in members.values():
        numbers = numbered(sorted(theirs, key=begun_first), lambda s: s.interaction_id)
        own |= {story.id: numbers[story.interaction_id] for story in theirs}

    def in_server(story: Story) -> tuple[bool, int, int]:
        waits, first = begun_first(story)
        return waits, own[story.id], first

    turn: dict[int, int] = {}
    for its in servers.values():
        numbers = numbered(sorted(its, key=in_server), lambda s: s.interaction_id)
        turn |= {story.id: numbers[story.interaction_id] for story in its}
    moment = now()
    waiting = (
        story
        for story in live
        if story.state is State.QUEUED or story.lease_until is None or story.lease_until < moment
    )
    order = sorted(waiting, key=lambda story: (turn[story.id], own[story.id], story.id))
    return [story.id for story in order]


async def expected(database: Database) -> list[int]:
    """Who waits, in the order in which they should be told."""
    async with database.sessions() as session:
        unshown = select(Story).where(Story.shown_at.is_(None))
        return in_turn(list(await session.scalars(unshown)))


async def kept(queue: Queue) -> list[int]:
    """Who waits, in the order of their places."""
    places = await queue.positions()
    assert sorted(places.values()) == list(range(1, len(places) + 1))
    return sorted(places, key=places.__getitem__)
