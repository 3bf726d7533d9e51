"""The village: duels, moods, lengths, servers' settings, mutes, reports, openings, the best."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Moment = sa.DateTime(timezone=True)

BROWSED = "told_at IS NOT NULL AND removed_at IS NULL AND NOT private"
FEW = 3
"""Votes that a story had to have in this version, and the stars that it was weighed with."""
PRIOR_VOTES, PRIOR_STARS = 5, 17.5


def partial(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def column(name: str, kind: sa.types.TypeEngine[Any], default: str) -> sa.Column[Any]:
    return sa.Column(name, kind, server_default=sa.text(default), nullable=False)


def upgrade() -> None:
    with op.batch_alter_table("stories") as stories:
        for new in (
            column("nth", sa.Integer(), "0"),
            column("form", sa.String(16), "'story'"),
            column("part", sa.Integer(), "1"),
            sa.Column("mood", sa.String(32)),
            column("length", sa.String(8), "'short'"),
            sa.Column("private", sa.Boolean(), server_default=sa.false(), nullable=False),
            sa.Column("plain", sa.Boolean(), server_default=sa.false(), nullable=False),
            column("language", sa.String(10), "'en'"),
            sa.Column("final", sa.Boolean(), server_default=sa.false(), nullable=False),
            column("redrawn", sa.Integer(), "0"),
            sa.Column("withheld", sa.String(32)),
            sa.Column("removed_at", Moment),
            column("votes", sa.Integer(), "0"),
            column("stars", sa.Integer(), "0"),
            sa.Column("score", sa.Float()),
        ):
            stories.add_column(new)
        stories.drop_constraint("uq_stories_interaction_id", type_="unique")
        stories.create_unique_constraint("uq_stories_interaction_id", ["interaction_id", "nth"])
    told = ["guild_id", "told_at", "channel_id"]
    op.create_index("ix_stories_told", "stories", told, **partial(BROWSED))
    best = ["guild_id", "score", "told_at", "channel_id"]
    scored = partial(f"{BROWSED} AND score IS NOT NULL")
    op.create_index("ix_stories_best", "stories", best, **scored)
    liked = ["told_at", "model", "votes", "stars"]
    op.create_index("ix_stories_liked", "stories", liked, **partial("votes > 0"))
    op.create_index("ix_ratings_member_id", "ratings", ["member_id"])
    for kind, value in (("votes", "count(stars)"), ("stars", "coalesce(sum(stars), 0)")):
        op.execute(
            f"UPDATE stories SET {kind} = "  # noqa: S608  # both are written above
            f"(SELECT {value} FROM ratings WHERE ratings.story_id = stories.id)"
        )
    op.execute(
        f"UPDATE stories SET score = (stars + {PRIOR_STARS}) / (votes + {PRIOR_VOTES}) "  # noqa: S608
        f"WHERE votes >= {FEW}"
    )
    _number_parts()
    guilds = (
        column("settings", sa.Text(), "'{}'"),
        sa.Column("daily_at", Moment),
        sa.Column("weekly_at", Moment),
        sa.Column("left_at", Moment),
    )
    for new in guilds:
        op.add_column("guilds", new)
    # Every server with stories has a row from now on, so that one which the bot left is noticed.
    op.execute(
        "INSERT INTO guilds (guild_id) SELECT DISTINCT guild_id FROM stories "
        "WHERE guild_id IS NOT NULL AND guild_id NOT IN (SELECT guild_id FROM guilds)"
    )
    for name in ("daily_at", "weekly_at", "left_at"):
        op.create_index(f"ix_guilds_{name}", "guilds", [name], **partial(f"{name} IS NOT NULL"))
    for new in (
        column("reason", sa.Text(), "''"),
        sa.Column("channel_id", sa.BigInteger()),
        sa.Column("member_id", sa.BigInteger()),
    ):
        op.add_column("audit", new)
    for name in ("moderator_id", "member_id"):
        op.create_index(f"ix_audit_{name}", "audit", [name])
    _create_tables()


def _number_parts() -> None:
    """Give each story its part: one more than its parent's, from the first parts on."""
    below = sa.text(
        "UPDATE stories SET part = :part + 1 WHERE parent_id IN "
        "(SELECT id FROM stories WHERE part = :part)"
    )
    part = 1
    while op.get_bind().execute(below, {"part": part}).rowcount:
        part += 1


def _create_tables() -> None:
    op.create_table(
        "channels",
        sa.Column("channel_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("channel_id", name="pk_channels"),
    )
    op.create_index("ix_channels_guild_id", "channels", ["guild_id"])
    op.create_table(
        "asked",
        sa.Column("member_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("member_id", "guild_id", "day", name="pk_asked"),
    )
    op.create_index("ix_asked_day", "asked", ["day"])
    op.create_table(
        "duels",
        sa.Column("id", Id, primary_key=True),
        sa.Column("interaction_id", sa.BigInteger(), nullable=False),
        sa.Column("guild_id", sa.BigInteger()),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("model_a", sa.String(100), nullable=False),
        sa.Column("model_b", sa.String(100), nullable=False),
        sa.Column("opened_at", Moment, nullable=False),
        sa.Column("closes_at", Moment, nullable=False),
        sa.Column("closed_at", Moment),
        sa.PrimaryKeyConstraint("id", name="pk_duels"),
        sa.UniqueConstraint("interaction_id", name="uq_duels_interaction_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_duels_open", "duels", ["closes_at"], **partial("closed_at IS NULL"))
    closed = partial("closed_at IS NOT NULL")
    op.create_index("ix_duels_closed_at", "duels", ["closed_at"], **closed)
    for name in ("guild_id", "member_id"):
        op.create_index(f"ix_duels_{name}", "duels", [name])
    op.create_table(
        "duel_votes",
        sa.Column("duel_id", Id, nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("choice", sa.String(3), nullable=False),
        sa.Column("press_id", sa.BigInteger(), nullable=False),
        sa.Column("voted_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("duel_id", "member_id", name="pk_duel_votes"),
        sa.ForeignKeyConstraint(
            ["duel_id"], ["duels.id"], name="fk_duel_votes_duel_id_duels", ondelete="CASCADE"
        ),
        sa.CheckConstraint("choice IN ('a', 'b', 'tie')", name=op.f("ck_duel_votes_choice")),
    )
    op.create_index("ix_duel_votes_member_id", "duel_votes", ["member_id"])
    op.create_table(
        "openings",
        sa.Column("id", Id, primary_key=True),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.String(400), nullable=False),
        sa.Column("proposed_at", Moment, nullable=False),
        sa.Column("accepted", sa.Boolean()),
        sa.Column("moderator_id", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_openings"),
        sa.UniqueConstraint("guild_id", "text", name="uq_openings_guild_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_openings_member_id", "openings", ["member_id"])
    op.create_table(
        "mutes",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("member_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until", Moment, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("moderator_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "member_id", name="pk_mutes"),
    )
    op.create_index("ix_mutes_member_id", "mutes", ["member_id"])
    op.create_table(
        "reports",
        sa.Column("id", Id, primary_key=True),
        sa.Column("story_id", Id, nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("member_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reported_at", Moment, nullable=False),
        sa.Column("kept", sa.Boolean()),
        sa.Column("moderator_id", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_reports"),
        sa.UniqueConstraint("story_id", "member_id", name="uq_reports_story_id"),
        sa.ForeignKeyConstraint(
            ["story_id"], ["stories.id"], name="fk_reports_story_id_stories", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    for name in ("guild_id", "member_id"):
        op.create_index(f"ix_reports_{name}", "reports", [name])


def downgrade() -> None:
    for table in ("reports", "mutes", "openings", "duel_votes", "duels", "asked", "channels"):
        op.drop_table(table)
    for name in ("member_id", "moderator_id"):
        op.drop_index(f"ix_audit_{name}", "audit")
    for name in ("member_id", "channel_id", "reason"):
        op.drop_column("audit", name)
    for name in ("left_at", "weekly_at", "daily_at"):
        op.drop_index(f"ix_guilds_{name}", "guilds")
        op.drop_column("guilds", name)
    op.drop_column("guilds", "settings")
    op.drop_index("ix_ratings_member_id", "ratings")
    op.drop_index("ix_stories_liked", "stories")
    op.drop_index("ix_stories_best", "stories")
    op.drop_index("ix_stories_told", "stories")
    # Where an interaction has one story only, the first of a duel is the one that stays.
    # SQLite does not follow references while a table is written anew.
    others = "(SELECT id FROM stories WHERE nth > 0)"
    op.execute(f"DELETE FROM ratings WHERE story_id IN {others}")  # noqa: S608  # as above
    op.execute(f"UPDATE stories SET parent_id = NULL WHERE parent_id IN {others}")  # noqa: S608
    op.execute("DELETE FROM stories WHERE nth > 0")
    with op.batch_alter_table("stories") as stories:
        stories.drop_constraint("uq_stories_interaction_id", type_="unique")
        stories.create_unique_constraint("uq_stories_interaction_id", ["interaction_id"])
        for name in (
            *("score", "stars", "votes", "removed_at", "withheld", "redrawn", "final"),
            *("language", "plain", "private", "length", "mood", "part", "form", "nth"),
        ):
            stories.drop_column(name)
