"""What is counted for /ranking and /stats."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any

from bot.database.clock import now
from bot.database.figures import DAYS, Ballot, Figures, Likes
from bot.database.tables import Duel, DuelVote, State
from tests.bot.database.test_browsing import told

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from bot.database import Database

_interactions = itertools.count(1)


async def duel(
    sessions: async_sessionmaker[AsyncSession],
    votes: dict[int, str],
    *,
    closed: bool = True,
    **changes: Any,
) -> int:
    """A duel with a choice of each member's."""
    moment = now()
    given: dict[str, Any] = {
        "interaction_id": next(_interactions),
        "guild_id": 10,
        "channel_id": 20,
        "member_id": 1,
        "model_a": "gpt2-starter",
        "model_b": "lstm-starter",
        "opened_at": moment,
        "closes_at": moment,
        "closed_at": moment if closed else None,
    }
    async with sessions.begin() as session:
        one = Duel(**given | changes)
        session.add(one)
        await session.flush()
        session.add_all(
            DuelVote(duel_id=one.id, member_id=member, choice=choice, press_id=1, voted_at=moment)
            for member, choice in votes.items()
        )
        return one.id


async def test_only_duels_that_are_closed_count_in_whatever_server(database: Database) -> None:
    figures = Figures(database.sessions)
    assert await figures.last_closed() is None
    assert await figures.ballots() == []
    first = await duel(
        database.sessions, {2: "a", 3: "tie"}, closed_at=now() - dt.timedelta(days=1)
    )
    await duel(database.sessions, {2: "b"}, closed=False)
    last = await duel(database.sessions, {2: "b"}, guild_id=11, model_a="llama")
    await duel(database.sessions, {}, closed_at=now() - dt.timedelta(days=2))
    assert await figures.last_closed() == last
    assert sorted(await figures.ballots(), key=lambda one: (one.duel_id, one.member_id)) == [
        Ballot(first, "gpt2-starter", "lstm-starter", 2, "a"),
        Ballot(first, "gpt2-starter", "lstm-starter", 3, "tie"),
        Ballot(last, "llama", "lstm-starter", 2, "b"),
    ]


async def test_stars_count_for_who_told_however_many_votes_a_story_has(database: Database) -> None:
    for model, votes, stars in (("lstm", 1, 5), ("lstm", 3, 7), ("gpt2", 2, 8), ("none", 0, 0)):
        await told(database, model=model, votes=votes, stars=stars)
    figures = Figures(database.sessions)
    assert await figures.likes() == [Likes("gpt2", 2, 4.0), Likes("lstm", 4, 3.0)]


async def test_a_servers_month_is_counted_by_day_hour_model_and_stars(database: Database) -> None:
    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    days_ago = {days: today - dt.timedelta(days=days) for days in (0, 1, DAYS - 1, DAYS)}
    await told(database, told_at=days_ago[0], votes=2, stars=9)
    for _ in range(2):
        await told(database, told_at=days_ago[1] + dt.timedelta(hours=23, minutes=59), model="lstm")
    await told(database, told_at=days_ago[DAYS - 1], votes=1, stars=1)
    uncounted: list[dict[str, Any]] = [
        {"told_at": days_ago[DAYS]},
        {"private": True},
        {"removed_at": now()},
        {"guild_id": 11},
        {"state": State.CANCELLED},
    ]
    for changes in uncounted:
        await told(database, **{"told_at": days_ago[0], **changes})
    month = await Figures(database.sessions).month(10)
    assert (month.stories, len(month.days)) == (4, DAYS)
    assert (month.days[0], month.days[-2], month.days[-1]) == (1, 2, 1)
    assert {hour: count for hour, count in enumerate(month.hours) if count} == {0: 2, 23: 2}
    assert list(month.models) == [("gpt2-starter", 2), ("lstm", 2)]
    assert month.stars == [1, 0, 0, 0, 1]  # 4.5 is about five
