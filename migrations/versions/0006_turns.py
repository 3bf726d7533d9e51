"""Whose turn it is, kept in the rows of those who wait."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TURNS = (
    ("server", sa.BigInteger()),
    ("waits", sa.Integer()),
    ("own", sa.Integer()),
    ("wish", sa.BigInteger()),
)
INDEX = "ix_stories_line"
FILLED = """
UPDATE stories SET server = turns.server, waits = turns.waits, wish = turns.wish, own = turns.own
FROM (
    SELECT id, server, waits, wish,
        dense_rank() OVER (PARTITION BY member_id ORDER BY waits, wish) AS own
    FROM (
        SELECT id, member_id, coalesce(guild_id, -member_id) AS server,
            min(CASE state WHEN 'telling' THEN 0 ELSE 1 END)
                OVER (PARTITION BY interaction_id) AS waits,
            min(id) OVER (PARTITION BY interaction_id) AS wish
        FROM stories
        WHERE shown_at IS NULL AND state IN ('queued', 'telling')
    ) AS in_line
) AS turns
WHERE turns.id = stories.id
"""


def upgrade() -> None:
    for name, kind in TURNS:
        op.add_column("stories", sa.Column(name, kind))
    op.execute(FILLED)
    in_line = sa.text("server IS NOT NULL")
    columns = [*(name for name, _ in TURNS), "id"]
    op.create_index(INDEX, "stories", columns, sqlite_where=in_line, postgresql_where=in_line)


def downgrade() -> None:
    op.drop_index(INDEX, "stories")
    for name, _ in reversed(TURNS):
        op.drop_column("stories", name)
