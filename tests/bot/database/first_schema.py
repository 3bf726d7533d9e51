"""A database of the first schema, full of rows, as a bot of that time left it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, select, table, text

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

STORIES = """
    INSERT INTO stories (id, interaction_id, guild_id, channel_id, message_id, member_id, parent_id,
        prompt, house_opening, model, seed, text, tokens, state, attempts, lease_owner, lease_until,
        error, asked_at, told_at, shown_at)
    VALUES (:id, 9007199254740993 + :id, :guild, 20, 30, :id % 3, :parent, 'In the year',
        true, 'gpt2-starter', 4611686018427387904, 'it''s told', 5, :state, 2, :owner,
        :moment, 'an error', :moment, :told, NULL)
"""
RATINGS = """
    INSERT INTO ratings (story_id, member_id, stars, rated_at) VALUES (:id, 7, :stars, :moment)
"""
GUILDS = "INSERT INTO guilds (guild_id, model) VALUES (10, 'lstm-starter'), (11, NULL)"
AUDIT = """
    INSERT INTO audit (guild_id, moderator_id, act, detail, at)
    VALUES (10, 5, 'model use', 'lstm-starter', '2026-01-02 03:04:05')
"""
STATES = ("queued", "telling", "told", "failed", "cancelled", "expired")


async def fill(connection: AsyncConnection) -> None:
    """Rows of the first schema: each state, continuations, votes, an audit, an id given away."""
    moment = "TIMESTAMP '2026-01-02 03:04:05'"
    if connection.dialect.name == "sqlite":
        moment = "'2026-01-02 03:04:05.000000'"
    for number in range(1, 31):
        story = {
            "id": number,
            "guild": 10 if number % 4 else None,
            "parent": number - 6 if number > 6 else None,
            "state": STATES[number % 6],
            "owner": "bot" if number % 2 else None,
        }
        told = moment if story["state"] == "told" else "NULL"
        statement = STORIES.replace(":moment", moment).replace(":told", told)
        await connection.execute(text(_typed(statement)), story)
        if story["state"] == "told":
            vote = RATINGS.replace(":moment", moment)
            await connection.execute(text(vote), {"id": number, "stars": number % 5 + 1})
    for statement in (GUILDS, AUDIT):
        await connection.execute(text(statement))
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT setval('stories_id_seq', 40)"))
    else:
        await connection.execute(
            text(_typed(STORIES).replace(":moment", moment).replace(":told", "NULL")),
            {"id": 40, "guild": 1, "parent": None, "state": "told", "owner": None},
        )
        await connection.execute(text("DELETE FROM stories WHERE id = 40"))


def _typed(statement: str) -> str:
    # asyncpg wants one type for a parameter that stands in several places.
    return (
        statement.replace(":id", "CAST(:id AS BIGINT)")
        .replace(":guild", "CAST(:guild AS BIGINT)")
        .replace(":parent", "CAST(:parent AS BIGINT)")
    )


async def rows(connection: AsyncConnection) -> dict[str, list[dict[str, Any]]]:
    """Everything in every table."""
    names = await connection.run_sync(lambda c: inspect(c).get_table_names())
    found = {}
    # An index of words has no rows that could be read; SQLite keeps it in tables of other names.
    for name in sorted(set(names) - {"alembic_version", "story_words"}):
        everything = select(text("*")).select_from(table(name)).order_by(text("1, 2"))
        result = await connection.execute(everything)
        found[name] = [dict(row) for row in result.mappings()]
    return found
