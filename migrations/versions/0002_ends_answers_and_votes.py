"""When a story ended, the token that answers its member, and votes that can be taken back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    for column in (
        sa.Column("ended_at", Moment),
        sa.Column("answer_token", sa.Text()),
        sa.Column("answer_until", Moment),
    ):
        op.add_column("stories", column)
    op.execute(
        "UPDATE stories SET ended_at = coalesce(told_at, asked_at) "
        "WHERE state IN ('told', 'failed', 'cancelled', 'expired')"
    )
    held = sa.text("answer_token IS NOT NULL")
    op.create_index(
        "ix_stories_answer_until",
        "stories",
        ["answer_until"],
        sqlite_where=held,
        postgresql_where=held,
    )
    with op.batch_alter_table("ratings") as ratings:
        ratings.add_column(
            sa.Column("press_id", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        )
        ratings.alter_column("stars", existing_type=sa.Integer(), nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM ratings WHERE stars IS NULL")
    with op.batch_alter_table("ratings") as ratings:
        ratings.alter_column("stars", existing_type=sa.Integer(), nullable=False)
        ratings.drop_column("press_id")
    op.drop_index("ix_stories_answer_until", "stories")
    for column in ("answer_until", "answer_token", "ended_at"):
        op.drop_column("stories", column)
