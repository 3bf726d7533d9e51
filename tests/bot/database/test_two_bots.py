"""Two bots with everything of their own but the database: each story is told and shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.database import open_database
from bot.database.tables import State
from tests.bot.village import village

if TYPE_CHECKING:
    from bot.database import Database
    from tests.bot.teller import Teller


async def test_two_bots_on_one_database_tell_and_show_each_story_once(
    database: Database, database_url: str, tells: Teller
) -> None:
    async with (
        open_database(database_url) as another,
        village(database, tells.url) as first,
        village(another, tells.url) as second,
    ):
        second.wall.changed = first.wall.changed
        asked = []
        for member in range(20):
            asked.append(await first.ask(member % 3))
            second.bell.ring()
        await first.wall.until(
            lambda: {s.id for wall in (first.wall, second.wall) for s in wall.ended_} >= set(asked)
        )
        endings = [*first.wall.endings(), *second.wall.endings()]
    assert sorted(endings) == [(story_id, State.TOLD) for story_id in sorted(asked)]
    assert len(tells.asked) == 20
