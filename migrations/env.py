"""Alembic's entry: the bot gives its open connection; a developer's command opens its own."""

import asyncio
from typing import Literal

from alembic import context
from sqlalchemy.engine import Connection

import bot.database.rewriting  # Alembic knows it by its being there
import bot.database.tables  # noqa: F401  # they declare themselves to `Base`
from bot.config import Settings
from bot.database.columns import Moment
from bot.database.connection import make_engine
from bot.database.migrating import check_foreign_keys, schema_change
from bot.database.tables import Base


def render_item(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write our own types as SQLAlchemy's: a migration must not change when the code does."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Moment) else False


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite alters a table by writing it anew
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()
        check_foreign_keys(connection)


async def migrate_by_hand() -> None:
    engine = make_engine(Settings.load().database.url)
    async with schema_change(engine) as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    asyncio.run(migrate_by_hand())
