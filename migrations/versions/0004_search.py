"""The words of stories that may be found again, to be searched."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BROWSED = "{0}told_at IS NOT NULL AND {0}removed_at IS NULL AND NOT {0}private"
WORDS = "{0}id, 'g' || coalesce({0}guild_id, ''), {0}prompt || ' ' || substr({0}text, 1, 100000)"
OUT = f"""
INSERT INTO story_words (story_words, rowid, place, words)
SELECT 'delete', {WORDS} WHERE {BROWSED};""".format("old.")
IN = f"""
INSERT INTO story_words (rowid, place, words)
SELECT {WORDS} WHERE {BROWSED};""".format("new.")
SQLITE = (
    (
        "CREATE VIRTUAL TABLE story_words USING fts5(place, words, content='', columnsize=0, "
        "detail=column, tokenize='porter unicode61 remove_diacritics 2')"
    ),
    (
        "INSERT INTO story_words (rowid, place, words) "  # noqa: S608  # all is written above
        f"SELECT {WORDS.format('')} FROM stories WHERE {BROWSED.format('')}"
    ),
    f"CREATE TRIGGER story_words_insert AFTER INSERT ON stories BEGIN{IN} END",
    f"CREATE TRIGGER story_words_delete AFTER DELETE ON stories BEGIN{OUT} END",
    (
        "CREATE TRIGGER story_words_update AFTER UPDATE OF "
        f"guild_id, prompt, text, private, told_at, removed_at ON stories BEGIN{OUT}{IN} END"
    ),
)
VECTOR = (
    "to_tsvector('english', translate("
    "'g' || coalesce(guild_id::text, '') || ' ' || prompt || ' ' || left(text, 100000), "
    "'、。「」『』・…！？', '          '))"  # a database in the C locale knows none of them
)
POSTGRESQL = (
    f"CREATE INDEX ix_stories_words ON stories USING gin ({VECTOR}) WHERE {BROWSED.format('')}",
)


def upgrade() -> None:
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("ix_stories_words", "stories")
        return
    for name in ("insert", "delete", "update"):
        op.execute(f"DROP TRIGGER story_words_{name}")
    op.drop_table("story_words")
