"""The words of what may be found again: SQLite's FTS5, or PostgreSQL's text search.

Only stories that others may find stand in it. What is removed, made private or blanked leaves it
in the same transaction: on SQLite by triggers, on PostgreSQL because it is an index like others.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import regex
from sqlalchemy import DDL, event

if TYPE_CHECKING:
    from sqlalchemy import FromClause

READ = 100_000
"""Characters of a story whose words are kept: PostgreSQL takes no more than a megabyte."""
TERMS = 8
"""Words that a search takes; of more, the first."""

_BROWSED = "{0}told_at IS NOT NULL AND {0}removed_at IS NULL AND NOT {0}private"
_WORDS = "{0}id, 'g' || coalesce({0}guild_id, ''), {0}prompt || ' ' || substr({0}text, 1, 100000)"
_OUT = f"""
INSERT INTO story_words (story_words, rowid, place, words)
SELECT 'delete', {_WORDS} WHERE {_BROWSED};""".format("old.")
_IN = f"""
INSERT INTO story_words (rowid, place, words)
SELECT {_WORDS} WHERE {_BROWSED};""".format("new.")

# The server is a word too: a search reads what the server and all words have in common, and never
# what a word has in others. Nothing is kept twice: the words, not the text.
SQLITE = (
    (
        "CREATE VIRTUAL TABLE story_words USING fts5(place, words, content='', columnsize=0, "
        "detail=column, tokenize='porter unicode61 remove_diacritics 2')"
    ),
    f"CREATE TRIGGER story_words_insert AFTER INSERT ON stories BEGIN{_IN} END",
    f"CREATE TRIGGER story_words_delete AFTER DELETE ON stories BEGIN{_OUT} END",
    (
        "CREATE TRIGGER story_words_update AFTER UPDATE OF "
        f"guild_id, prompt, text, private, told_at, removed_at ON stories BEGIN{_OUT}{_IN} END"
    ),
)
VECTOR = (
    "to_tsvector('english', translate("
    "'g' || coalesce(guild_id::text, '') || ' ' || prompt || ' ' || left(text, 100000), "
    "'、。「」『』・…！？', '          '))"  # a database in the C locale knows none of them
)
"""A story's words, as PostgreSQL's index has them."""
POSTGRESQL = (
    f"CREATE INDEX ix_stories_words ON stories USING gin ({VECTOR}) WHERE {_BROWSED.format('')}",
)

_TERM = regex.compile(r"[\p{L}\p{N}]+")


def declare(stories: FromClause) -> None:
    """Let it be made with the stories' table, wherever that is made without the migrations."""
    for dialect, statements in (("sqlite", SQLITE), ("postgresql", POSTGRESQL)):
        for statement in statements:
            made = DDL(statement)  # type: ignore[no-untyped-call]  # SQLAlchemy's own
            event.listen(stories, "after_create", made.execute_if(dialect=dialect))


def in_tables(name: str | None, _kind: str, _parents: Any) -> bool:
    """Whether Alembic shall compare it: SQLAlchemy has no word for the index of words."""
    return not (name or "").startswith(("story_words", "ix_stories_words"))


def terms(typed: str) -> list[str]:
    """The words of what a member looks for; none where there is nothing to look for."""
    return _TERM.findall(unicodedata.normalize("NFC", typed))[:TERMS]


def sqlite_query(guild_id: int, words: list[str]) -> str:
    """What FTS5 is asked: all of the words, in a server's stories."""
    return f'place: "g{guild_id}" AND words: ({" AND ".join(map(_term, words))})'


def postgresql_query(guild_id: int, words: list[str]) -> str:
    """What PostgreSQL is asked: the same."""
    return " & ".join(
        [f"g{guild_id}", *(f"{word}:*" if _unspaced(word) else word for word in words)]
    )


def _term(word: str) -> str:
    return f'"{word}" *' if _unspaced(word) else f'"{word}"'


def _unspaced(word: str) -> bool:
    """Of a script without spaces, where what is taken for one word is a whole phrase."""
    return not word.isascii()
