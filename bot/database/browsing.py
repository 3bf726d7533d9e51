"""Stories found again: the best, the newest, one's own, any one, and those with certain words."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, column, exists, func, or_, select, table
from sqlalchemy import text as sql
from sqlalchemy.orm import aliased

from bot.database import word_index
from bot.database.clock import now
from bot.database.tables import BROWSED, Duel, Form, State, Story
from bot.database.unbroken import unbroken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

PER_PAGE = 5
PAGES = 100
"""Further back nobody turns pages: there is the search."""
SHOWN = 200
"""Characters of a story that a list begins with."""
LOOKED_AT = 20_000
"""Characters of a story in which a word is looked for that a search found."""
NEAR = 20
"""Stories after a moment drawn by chance, of which one is drawn."""


class Span(StrEnum):
    """How far back the best are looked for."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    ALL = "all"


SPANS = {
    Span.DAY: dt.timedelta(days=1),
    Span.WEEK: dt.timedelta(days=7),
    Span.MONTH: dt.timedelta(days=30),
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks, where, and what they may see there."""

    guild_id: int | None
    """None: outside of every server, where one finds nothing but one's own."""
    member_id: int
    channels: frozenset[int] = frozenset()
    """The server's channels and threads whose stories the member may see; a channel's public
    threads, archived ones too, are among them with it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A story as a list shows it."""

    id: int
    prompt: str
    opening: str
    """The first characters of what was told."""
    part: int
    model: str | None
    """None: it stands in a duel that is not closed."""
    guild_id: int | None
    channel_id: int
    message_id: int | None
    told_at: dt.datetime
    votes: int
    stars: int
    text: str = ""
    """What was told, as far as places of words are looked for in it; of a search only."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list, in its order."""

    stories: Sequence[Found]
    number: int
    """1 is the first."""
    more: bool
    """There is another page."""


@unbroken
class Browsing:
    """What a member may find again: told, not removed, in a channel that they may see.

    Private stories are their member's, in the list of their own. Which model told a story of an
    open duel is nobody's to know.
    """

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions

    async def top(self, viewer: Viewer, span: Span, page: int) -> Page:
        """The best of those told within the span, by their Bayesian average."""
        query = _seen_by(viewer).where(Story.score.is_not(None))
        if span in SPANS:
            # As a sum of its own, so that the best are walked through by their index: a busy
            # server's whole week would be read, and sorted, otherwise.
            told_at = func.coalesce(Story.told_at, Story.told_at)
            query = query.where(told_at >= now() - SPANS[span])
        return await self._page(query.order_by(Story.score.desc(), Story.told_at.desc()), page)

    async def new(self, viewer: Viewer, page: int) -> Page:
        """The newest."""
        return await self._page(_seen_by(viewer).order_by(Story.told_at.desc()), page)

    async def mine(self, viewer: Viewer, page: int) -> Page:
        """The member's own, the newest first; private ones too, for nobody else sees the list."""
        return await self._page(_own(viewer).order_by(Story.id.desc()), page)

    async def search(self, viewer: Viewer, words: str, page: int) -> Page:
        """Those that have all of the words, the newest first."""
        wanted = word_index.terms(words)
        if not wanted:
            return Page((), 1, more=False)
        if viewer.guild_id is None:
            like = [Story.prompt.concat(Story.text).icontains(word) for word in wanted]
            query = _own(viewer).where(*like).order_by(Story.id.desc())
            return await self._page(query.add_columns(_TEXT), page)
        async with self._sessions() as session:
            if session.get_bind().dialect.name == "postgresql":
                asked = word_index.postgresql_query(viewer.guild_id, wanted)
                query = _seen_by(viewer).where(_matches(asked)).order_by(Story.told_at.desc())
            else:
                asked = word_index.sqlite_query(viewer.guild_id, wanted)
                words_of = table("story_words", column("rowid"))
                query = (
                    _seen_by(viewer)
                    .join(words_of, words_of.c.rowid == Story.id)
                    .where(sql("story_words MATCH :asked").bindparams(asked=asked))
                    .order_by(words_of.c.rowid.desc())
                )
            return await _read(session, query.add_columns(_TEXT), page)

    async def any_one(self, viewer: Viewer) -> Found | None:
        """One by chance; None where there is none to be seen."""
        seen = _seen_by(viewer)
        ends = [
            seen.with_only_columns(Story.told_at).order_by(order).limit(1)
            for order in (Story.told_at.asc(), Story.told_at.desc())
        ]
        async with self._sessions() as session:
            first, last = [await session.scalar(end) for end in ends]
            if first is None or last is None:
                return None
            moment = first + random.random() * (last - first)
            after = seen.where(Story.told_at >= moment).order_by(Story.told_at).limit(NEAR)
            near = (await session.execute(after)).all()
            return _found(random.choice(near)) if near else None

    async def is_blind(self, story: Story) -> bool:
        """Whether who told it is still to be guessed."""
        if story.form is not Form.DUEL:
            return False
        async with self._sessions() as session:
            return bool(await session.scalar(select(BLIND).where(Story.id == story.id)))

    async def _page(self, query: Select[Any], page: int) -> Page:
        async with self._sessions() as session:
            return await _read(session, query, page)


async def _read(session: AsyncSession, query: Select[Any], page: int) -> Page:
    page = min(max(page, 1), PAGES)
    rows = (await session.execute(query.limit(PER_PAGE + 1).offset((page - 1) * PER_PAGE))).all()
    more = len(rows) > PER_PAGE and page < PAGES
    return Page([_found(row) for row in rows[:PER_PAGE]], page, more)


_EITHER = aliased(Story)
BLIND = and_(
    Story.form == Form.DUEL,
    exists().where(Duel.interaction_id == Story.interaction_id, Duel.closed_at.is_(None)),
    # A duel of which one was not told takes no votes, and its message says who told the other.
    ~exists().where(
        _EITHER.interaction_id == Story.interaction_id,
        _EITHER.ended_at.is_not(None),
        _EITHER.state != State.TOLD,
    ),
)
"""A story of an open duel: who told it is still to be guessed."""
_COLUMNS = (
    Story.id,
    Story.prompt,
    func.substr(Story.text, 1, SHOWN).label("opening"),
    Story.part,
    Story.model,
    Story.guild_id,
    Story.channel_id,
    Story.message_id,
    Story.told_at,
    Story.votes,
    Story.stars,
    BLIND.label("blind"),
)


_TEXT = func.substr(Story.text, 1, LOOKED_AT).label("text")


def _found(row: Any) -> Found:
    found = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's own name for what is public
    if found.pop("blind"):
        found["model"] = None
    return Found(**found)


def _own(viewer: Viewer) -> Select[Any]:
    server: ColumnElement[bool] = Story.guild_id.is_(None)
    if viewer.guild_id is not None:
        server = Story.guild_id == viewer.guild_id
    return select(*_COLUMNS).where(
        Story.member_id == viewer.member_id,
        server,
        Story.state == State.TOLD,
        Story.removed_at.is_(None),
    )


def _seen_by(viewer: Viewer) -> Select[Any]:
    if viewer.guild_id is None:
        return _own(viewer).where(~Story.private)
    # As the indexes have it, word for word: so the databases see that they hold what is wanted.
    return select(*_COLUMNS).where(
        sql(BROWSED),
        Story.guild_id == viewer.guild_id,
        or_(Story.channel_id.in_(viewer.channels), Story.thread_of.in_(viewer.channels)),
        Story.state == State.TOLD,
    )


def _matches(asked: str) -> ColumnElement[bool]:
    query = sql(f"{word_index.VECTOR} @@ to_tsquery('english', :asked)")
    return query.bindparams(asked=asked)  # type: ignore[return-value]  # a condition, as text
