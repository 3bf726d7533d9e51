"""The doctor's look at what runs in several processes: bots on one database, and replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.database.processes import processes
from bot.hosting.findings import ill, well

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.hosting.findings import Finding


async def bots(connection: AsyncConnection) -> list[Finding]:
    """Which shards are served; nothing where no bot runs, or one that has all of them."""
    return [
        well("bot", f"shards {process.shards} are served by {process.place}")
        if process.owner
        else ill(
            "bot",
            f"nobody serves shards {process.shards}: their servers are not heard",
            f'start a bot with [discord] shards = "{process.shards}", or see why its log ended',
        )
        for process in await processes(connection)
    ]


def replicas(answering: Mapping[str, bool]) -> Iterator[Finding]:
    """Which of a generator's replicas answer."""
    for name, answers in answering.items():
        if answers:
            yield well("generator", f"replica {name} answers")
        else:
            yield ill(
                "generator",
                f"replica {name} does not answer",
                "Serve starts another for one that is dead for half a minute; if this stays so, "
                "look at its machine's load and at the cluster's log",
            )
