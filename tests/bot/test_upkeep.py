"""What comes due by itself goes on, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from bot.database.boards import Board, Boards, Notice, next_time
from bot.database.clock import now
from bot.database.departures import Departures
from bot.database.tables import Guild, Opening
from bot.upkeep import Upkeep
from tests.bot.test_openings_command import OWN, accept, board, newest
from tests.bot.world import world

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_a_server_is_forgotten_by_upkeep_when_its_time_is_over(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await accept(w)
        upkeep = await board(w, left_at=now() - dt.timedelta(days=29))
        await upkeep.once()
        assert await w.services.openings.accepted(w.aki.guild.id) == [OWN]
        await (await board(w, left_at=now() - dt.timedelta(days=31))).once()
        async with w.sessions() as session:
            assert list(await session.scalars(select(Opening))) == []
            assert list(await session.scalars(select(Guild))) == []


async def test_what_nobody_foresaw_of_one_server_keeps_no_other_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Departures):
        async def forget_some(self, guild_id: int) -> int:
            if guild_id == 1:
                raise ValueError("nobody foresaw this")
            return await super().forget_some(guild_id)

    opening = Upkeep._opening

    async def opened(self: Upkeep, guild_id: int) -> tuple[str, str]:
        if guild_id == 3:
            raise ValueError("nor this")
        return await opening(self, guild_id)

    monkeypatch.setattr(Upkeep, "_opening", opened)
    async with world(tmp_path) as w:
        await board(w, daily_at=now() - dt.timedelta(minutes=5))
        await w.services.guilds.change(3, None, daily_channel=33)
        await w.services.departures.joined([1, 2])
        async with w.sessions.begin() as session:
            long_ago = {"left_at": now() - dt.timedelta(days=99)}
            await session.execute(update(Guild).where(Guild.guild_id < 3).values(**long_ago))
            soon = {"daily_at": now() - dt.timedelta(minutes=9)}
            await session.execute(update(Guild).where(Guild.guild_id == 3).values(**soon))
        await Upkeep(replace(w.services, departures=Broken(w.sessions)), w.client).once()
        assert newest(w).embeds
        assert await w.services.departures.known() == {3, w.aki.guild.id}
        assert await w.services.departures.due(30) == 1
        errors = [record for record in caplog.records if record.name == "bot.upkeep"]
        assert [(record.levelname, record.args) for record in errors] == [
            ("ERROR", (3, "DAILY")),
            ("ERROR", (1,)),
        ]
        # It is not tried each minute: there is another day.
        await Upkeep(w.services, w.client).once()
        assert await w.services.boards.due(Notice.DAILY) == []


async def test_a_database_that_is_away_ends_no_upkeep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(Boards):
        """A server that takes no connection at first, which no library's error says."""

        asked = 0

        async def due(self, notice: Notice) -> list[Board]:
            self.asked += 1
            if self.asked == 1:
                raise ConnectionRefusedError(111, "Connection refused")
            return await super().due(notice)

        async def posted(self, board: Board, notice: Notice) -> None:
            await super().posted(board, notice)
            noted.set()

    monkeypatch.setattr("bot.upkeep.ROUND", 0.01)
    noted = asyncio.Event()
    async with world(tmp_path) as w:
        await board(w, daily_at=now() - dt.timedelta(minutes=5))
        upkeep = Upkeep(replace(w.services, boards=Away(w.services.boards._sessions)), w.client)
        running = asyncio.create_task(upkeep.run())
        waiting = asyncio.create_task(noted.wait())
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        assert not running.done()
        assert newest(w).embeds
        running.cancel()
        waiting.cancel()
        await asyncio.wait([running, waiting])


def test_the_next_time_is_the_next_hour_or_the_next_monday() -> None:
    friday = dt.datetime(2026, 11, 27, 18, 0, tzinfo=dt.UTC)
    assert next_time(Notice.DAILY, 18, friday) == friday + dt.timedelta(days=1)
    assert next_time(Notice.DAILY, 19, friday) == friday + dt.timedelta(hours=1)
    monday = dt.datetime(2026, 11, 30, 18, 0, tzinfo=dt.UTC)
    assert next_time(Notice.WEEKLY, 18, friday) == monday
    assert next_time(Notice.WEEKLY, 18, monday) == monday + dt.timedelta(days=7)
