"""Several bots on one PostgreSQL, as their host sees them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from bot.config import Settings
from bot.database.lock import sole_user
from bot.hosting.findings import State
from bot.hosting.machine import database
from tests.bot.database.test_fleet import joined, member
from tests.bot.test_host import METRICS, hosted
from tests.bot.world import page, reply

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parametrize("new_url", ["postgresql"], indirect=True)


async def test_the_host_sees_each_process_and_the_shards_that_nobody_serves(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KATARIBE_DATABASE__URL", database_url)

    async def findings() -> list[tuple[State, str]]:
        return [
            (one.state, one.said)
            async for one in database(Settings.load("missing.toml"))
            if one.part == "bot"
        ]

    async with AsyncExitStack() as runs:
        fleet = await runs.enter_async_context(joined(database_url, member("0-1/6", owner="a:1:x")))
        other = sole_user(database_url, member("2/6", owner="b_c:2:y"))
        await other.__aenter__()
        w = await runs.enter_async_context(hosted(tmp_path))
        w.services.bell.others = fleet
        w.teller.metrics = METRICS
        lines = page(reply(await w.mod.user.slash("host status"))).splitlines()
        shards = [line for line in lines if line.startswith("Shards ")]
        assert shards[:2] == ["Shards 0-1/6: alive, a:1", r"Shards 2/6: alive, b\_c:2"]
        assert shards[2].startswith("Shards 3-5/6: **nobody serves them**")
        well, also, ill = await findings()
        assert well == (State.WELL, "shards 0-1/6 are served by a:1")
        assert also == (State.WELL, "shards 2/6 are served by b_c:2")
        assert ill[0] is State.ILL
        assert "nobody serves shards 3-5/6" in ill[1]
        await other.__aexit__(None, None, None)
        assert [str(one.shards) for one in await fleet.processes()] == ["0-1/6", "2-5/6"]
    assert await findings() == []  # no bot runs
