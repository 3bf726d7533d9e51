"""What closes duels says of a database that is away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy.exc import OperationalError

from bot.database.duels import Duels
from bot.messages.closing import Closing
from tests.bot.village import PATIENCE
from tests.bot.world import world

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_a_database_that_stays_away_is_said_once_and_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    often = asyncio.Event()

    class Away(Duels):
        tries = 0

        async def close_due(self) -> list[int]:
            self.tries += 1
            if self.tries == 3:
                often.set()
            raise OperationalError("SELECT", {}, Exception("the database is away"))

    monkeypatch.setattr("bot.messages.closing.LOOKED_AT_EVERY", 0.0)
    async with world(tmp_path) as w:
        away = Away(w.sessions, votes=0)
        running = asyncio.create_task(Closing(away, w.services.stories, w.services.messages).run())
        await asyncio.wait_for(often.wait(), PATIENCE)
        running.cancel()
    (said,) = [line for line in caplog.records if line.name == "bot.messages.closing"]
    assert said.getMessage() == "Duels are not closed now; trying again: the database is away"
    assert not said.exc_info
