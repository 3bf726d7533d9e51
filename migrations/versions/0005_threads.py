"""Which channel a thread belongs to, and who waits, by member."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BROWSED = "told_at IS NOT NULL AND removed_at IS NULL AND NOT private"
BROWSED_BY = {
    "ix_stories_told": (["guild_id", "told_at", "channel_id"], BROWSED),
    "ix_stories_best": (
        ["guild_id", "score", "told_at", "channel_id"],
        f"{BROWSED} AND score IS NOT NULL",
    ),
}


def upgrade() -> None:
    op.add_column("stories", sa.Column("thread_of", sa.BigInteger()))
    _browsed(["thread_of"])
    _index("ix_stories_unshown_of", ["member_id", "id"], "shown_at IS NULL")


def downgrade() -> None:
    op.drop_index("ix_stories_unshown_of", "stories")
    _browsed([])
    op.drop_column("stories", "thread_of")


def _browsed(more: list[str]) -> None:
    for name, (columns, where) in BROWSED_BY.items():
        op.drop_index(name, "stories")
        _index(name, [*columns, *more], where)


def _index(name: str, columns: list[str], where: str) -> None:
    rows = sa.text(where)
    op.create_index(name, "stories", columns, sqlite_where=rows, postgresql_where=rows)
