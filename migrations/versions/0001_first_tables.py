"""Stories (the queue is their own rows), ratings, servers and the audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "stories",
        sa.Column("id", Id, primary_key=True),
        sa.Column("interaction_id", sa.BigInteger(), nullable=False),
        sa.Column("guild_id", sa.BigInteger()),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger()),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", Id),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("house_opening", sa.Boolean(), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("lease_until", Moment),
        sa.Column("error", sa.Text()),
        sa.Column("asked_at", Moment, nullable=False),
        sa.Column("told_at", Moment),
        sa.Column("shown_at", Moment),
        sa.PrimaryKeyConstraint("id", name="pk_stories"),
        sa.UniqueConstraint("interaction_id", name="uq_stories_interaction_id"),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["stories.id"],
            name="fk_stories_parent_id_stories",
            ondelete="SET NULL",
        ),
        sqlite_autoincrement=True,
    )
    for column in ("guild_id", "member_id", "parent_id"):
        op.create_index(f"ix_stories_{column}", "stories", [column])
    unshown = sa.text("shown_at IS NULL")
    op.create_index(
        "ix_stories_unshown",
        "stories",
        ["state", "id"],
        sqlite_where=unshown,
        postgresql_where=unshown,
    )
    op.create_table(
        "ratings",
        sa.Column("story_id", Id, nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("stars", sa.Integer(), nullable=False),
        sa.Column("rated_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("story_id", "member_id", name="pk_ratings"),
        sa.ForeignKeyConstraint(
            ["story_id"], ["stories.id"], name="fk_ratings_story_id_stories", ondelete="CASCADE"
        ),
        sa.CheckConstraint("stars BETWEEN 1 AND 5", name=op.f("ck_ratings_stars")),
    )
    op.create_table(
        "guilds",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model", sa.String(100)),
        sa.PrimaryKeyConstraint("guild_id", name="pk_guilds"),
    )
    op.create_table(
        "audit",
        sa.Column("id", Id, primary_key=True),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("moderator_id", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.String(50), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_guild_id", "audit", ["guild_id"])


def downgrade() -> None:
    for table in ("audit", "guilds", "ratings", "stories"):
        op.drop_table(table)
