"""Alembic's entry: the bot gives its open connection; a developer's command opens its own."""

from typing import Literal

from alembic import context
from sqlalchemy import create_engine, make_url
from sqlalchemy.engine import Connection

from bot.config import Settings
from bot.database.tables import Base, Moment


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


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    url = make_url(Settings.load().database.url)
    with create_engine(url.set(drivername=url.get_backend_name())).connect() as opened:
        migrate(opened)
