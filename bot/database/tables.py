"""Every table. A row is written by the repository of its subject and by nobody else."""

from __future__ import annotations

import datetime as dt  # noqa: TC003  # SQLAlchemy reads it
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    Float,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy import (
    text as sql,
)
from sqlalchemy.orm import Mapped, mapped_column

from bot.database.columns import NUMBER, Base, Moment, where, words
from bot.database.word_index import declare


class State(StrEnum):
    """Where a story is on its way: `queued → telling → told | failed | cancelled | expired`."""

    QUEUED = "queued"
    TELLING = "telling"
    TOLD = "told"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Form(StrEnum):
    """What a story was asked for as. Stories of one interaction stand in one message."""

    STORY = "story"
    DUEL = "duel"
    """One of two tellings of a beginning that are voted on blind."""
    CONTRAST = "contrast"
    """One of two tellings of a beginning, by models that are named."""
    VARIATION = "variation"
    """One of several ways to go on, of which one is picked."""


class Length(StrEnum):
    """How long a story shall be."""

    SHORT = "short"
    LONG = "long"
    SAGA = "saga"
    """Goes on by itself, part by part, until it ends."""


BROWSED = "told_at IS NOT NULL AND removed_at IS NULL AND NOT private"
"""A story that others may find again, as SQL."""


class Story(Base):
    """One story, from the wish to its last word; while it waits, it is its place in the queue."""

    __tablename__ = "stories"
    __table_args__ = (
        # What the queue looks at is only what has not ended in the channel yet: it stays small
        # however many stories were ever told.
        Index("ix_stories_unshown", "state", "id", **where("shown_at IS NULL")),
        Index("ix_stories_unshown_of", "member_id", "id", **where("shown_at IS NULL")),
        # Whose turn it is, of those in line alone; `bot.database.turns` keeps them.
        Index(
            "ix_stories_line",
            *("server", "waits", "own", "wish", "id"),
            **where("server IS NOT NULL"),
        ),
        Index("ix_stories_answer_until", "answer_until", **where("answer_token IS NOT NULL")),
        # What is browsed: a server's stories by day, and the best of those with enough votes. The
        # channel stands in them too, so that those which nobody may see now are passed over there.
        Index(
            "ix_stories_told",
            *("guild_id", "told_at", "channel_id", "thread_of"),
            **where(BROWSED),
        ),
        Index(
            "ix_stories_best",
            *("guild_id", "score", "told_at", "channel_id", "thread_of"),
            **where(f"{BROWSED} AND score IS NOT NULL"),
        ),
        Index("ix_stories_liked", "told_at", "model", "votes", "stars", **where("votes > 0")),
        UniqueConstraint("interaction_id", "nth"),
        # Buttons name a story by its id, so the id of a removed story is never given again.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    interaction_id: Mapped[int] = mapped_column(BigInteger)
    """The command or button press that asked; a second delivery of it changes nothing."""
    nth: Mapped[int] = mapped_column(default=0, server_default=sql("0"))
    """Which of the stories that one interaction asked for: of a duel A is 0, B is 1."""
    form: Mapped[Form] = mapped_column(
        words(Form, 16), default=Form.STORY, server_default=sql("'story'")
    )
    guild_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    channel_id: Mapped[int] = mapped_column(BigInteger)
    thread_of: Mapped[int | None] = mapped_column(BigInteger)
    """The channel whose readers read it too, where it is in a public thread of that channel: of an
    archived one Discord does not tell which it is."""
    message_id: Mapped[int | None] = mapped_column(BigInteger)
    """The message that shows it; None until Discord has acknowledged the answer."""
    answer_token: Mapped[str | None] = mapped_column(Text)
    """The interaction's token, with which whoever has it may edit the answer. Kept until the story
    is shown or the token is too old; it belongs into no log, no representation and no export."""
    answer_until: Mapped[dt.datetime | None] = mapped_column(Moment)
    """When Discord takes the token no more."""
    member_id: Mapped[int] = mapped_column(BigInteger, index=True)
    parent_id: Mapped[int | None] = mapped_column(
        ForeignKey("stories.id", ondelete="SET NULL"), index=True
    )
    """The story that this one continues."""
    part: Mapped[int] = mapped_column(default=1, server_default=sql("1"))
    """Which part of its tale it is: one more than its parent."""

    prompt: Mapped[str] = mapped_column(Text)
    """The beginning, as the member or the house wrote it; shown before the text."""
    house_opening: Mapped[bool]
    """The beginning is one of the house's own, not a member's words."""
    model: Mapped[str] = mapped_column(String(100))
    seed: Mapped[int] = mapped_column(BigInteger)
    mood: Mapped[str | None] = mapped_column(String(32))
    """The name of the sampling preset that it is told with; None: the model's own."""
    length: Mapped[Length] = mapped_column(
        words(Length, 8), default=Length.SHORT, server_default=sql("'short'")
    )
    private: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Only who asked sees it."""
    plain: Mapped[bool] = mapped_column(default=False, server_default=false())
    """It stands as plain text, without a frame: what its server wanted when it was asked for."""
    language: Mapped[str] = mapped_column(String(10), default="en", server_default=sql("'en'"))
    """What its message is written in (not the story): the server's, or the member's own."""
    text: Mapped[str] = mapped_column(Text, default="")
    """What the model told after the prompt, whole when it is told; until then, and if it never is,
    what is shown of a telling that broke off."""
    tokens: Mapped[int] = mapped_column(default=0)

    state: Mapped[State] = mapped_column(words(State, 16), default=State.QUEUED)
    attempts: Mapped[int] = mapped_column(default=0)
    """Times a bot began to tell it."""
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[dt.datetime | None] = mapped_column(Moment)
    """Until then nobody but the owner takes it; without an owner: it rests after a failure."""
    server: Mapped[int | None] = mapped_column(BigInteger)
    """Whose turn it takes; None: it is not in line. This and the next three are `turns`' alone."""
    waits: Mapped[int | None]
    own: Mapped[int | None]
    wish: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)
    """The last failure, in words for the host."""
    final: Mapped[bool] = mapped_column(default=False, server_default=false())
    """With it its tale has come to the end: nothing goes on from it."""
    redrawn: Mapped[int] = mapped_column(default=0, server_default=sql("0"))
    """Times it was told anew with another seed, for what was told was not fit to be shown."""
    withheld: Mapped[str | None] = mapped_column(String(32))
    """Why it is not shown, as a word that the member's sentence is chosen by."""
    asked_at: Mapped[dt.datetime] = mapped_column(Moment)
    told_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    ended_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    """When it came to its end, whichever of the four; None while it waits or is being told."""
    shown_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    """When its last word about it (the story, or an apology) stood in the channel."""
    removed_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    """When it was deleted or removed: its words are gone, the row stays for what counts it."""

    votes: Mapped[int] = mapped_column(default=0, server_default=sql("0"))
    """Members whose stars it has, and their sum; kept up by who writes a rating."""
    stars: Mapped[int] = mapped_column(default=0, server_default=sql("0"))
    score: Mapped[float | None] = mapped_column(Float)
    """Its Bayesian average; None while it has too few votes to stand in a list of the best."""


declare(Story.__table__)


class Rating(Base):
    """One member's stars for one story; pressing again changes them, or takes them back."""

    __tablename__ = "ratings"
    __table_args__ = (CheckConstraint("stars BETWEEN 1 AND 5", name="stars"),)

    story_id: Mapped[int] = mapped_column(
        ForeignKey("stories.id", ondelete="CASCADE"), primary_key=True
    )
    member_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, index=True)
    stars: Mapped[int | None]
    """None: the vote was taken back. The row stays, or an older press that comes late would
    count as a new vote."""
    press_id: Mapped[int] = mapped_column(BigInteger, default=0, server_default=sql("0"))
    """The newest press of a star, by Discord's number for it, which grows with time."""
    rated_at: Mapped[dt.datetime] = mapped_column(Moment)


class Guild(Base):
    """What a server's moderators chose."""

    __tablename__ = "guilds"
    __table_args__ = (
        Index("ix_guilds_daily_at", "daily_at", **where("daily_at IS NOT NULL")),
        Index("ix_guilds_weekly_at", "weekly_at", **where("weekly_at IS NOT NULL")),
        Index("ix_guilds_left_at", "left_at", **where("left_at IS NOT NULL")),
    )

    guild_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    model: Mapped[str | None] = mapped_column(String(100))
    settings: Mapped[str] = mapped_column(Text, default="{}", server_default=sql("'{}'"))
    """Everything else they chose, as JSON: it is always read together, and validated on reading."""
    daily_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    """When the next daily opening is due; None: there is none."""
    weekly_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    """When the next story of the week is due."""
    left_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    """When the bot was sent away; after a grace period everything of the server is deleted."""


class Channel(Base):
    """What a server's moderators chose for one channel or thread."""

    __tablename__ = "channels"

    channel_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    guild_id: Mapped[int] = mapped_column(BigInteger, index=True)
    model: Mapped[str] = mapped_column(String(100))


class Asked(Base):
    """How many stories a member asked for in a server on one day, whatever became of them."""

    __tablename__ = "asked"

    member_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    guild_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """0: outside of every server."""
    day: Mapped[dt.date] = mapped_column(Date, primary_key=True, index=True)
    """In UTC."""
    count: Mapped[int]
    last_at: Mapped[dt.datetime] = mapped_column(Moment)
    """The latest, for the pause between two."""


class Duel(Base):
    """A beginning told by two models at once, and voted on until it closes."""

    __tablename__ = "duels"
    __table_args__ = (
        Index("ix_duels_open", "closes_at", **where("closed_at IS NULL")),
        Index("ix_duels_closed_at", "closed_at", **where("closed_at IS NOT NULL")),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    interaction_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    """The same that its two stories have."""
    guild_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    channel_id: Mapped[int] = mapped_column(BigInteger)
    member_id: Mapped[int] = mapped_column(BigInteger, index=True)
    """Who asked for it."""
    model_a: Mapped[str] = mapped_column(String(100))
    model_b: Mapped[str] = mapped_column(String(100))
    opened_at: Mapped[dt.datetime] = mapped_column(Moment)
    """When both stories were told: from then on it takes votes. Before that, when it was asked for,
    so that how long it lasts is what lies between this and its close."""
    closes_at: Mapped[dt.datetime] = mapped_column(Moment)
    closed_at: Mapped[dt.datetime | None] = mapped_column(Moment)


class DuelVote(Base):
    """One member's choice in a duel, changeable until it closes."""

    __tablename__ = "duel_votes"
    __table_args__ = (CheckConstraint("choice IN ('a', 'b', 'tie')", name="choice"),)

    duel_id: Mapped[int] = mapped_column(
        ForeignKey("duels.id", ondelete="CASCADE"), primary_key=True
    )
    member_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, index=True)
    choice: Mapped[str] = mapped_column(String(3))
    press_id: Mapped[int] = mapped_column(BigInteger)
    """The newest press, by Discord's number for it, which grows with time."""
    voted_at: Mapped[dt.datetime] = mapped_column(Moment)


class Opening(Base):
    """A beginning that a member proposed for their server."""

    __tablename__ = "openings"
    __table_args__ = (UniqueConstraint("guild_id", "text"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    guild_id: Mapped[int] = mapped_column(BigInteger)
    member_id: Mapped[int] = mapped_column(BigInteger, index=True)
    text: Mapped[str] = mapped_column(String(400))
    proposed_at: Mapped[dt.datetime] = mapped_column(Moment)
    accepted: Mapped[bool | None]
    """None: no moderator has decided yet."""
    moderator_id: Mapped[int | None] = mapped_column(BigInteger)
    """Who decided."""


class Mute(Base):
    """A member whom the bot does not serve in a server for a time."""

    __tablename__ = "mutes"

    guild_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    member_id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False, index=True
    )
    until: Mapped[dt.datetime] = mapped_column(Moment)
    reason: Mapped[str] = mapped_column(Text)
    moderator_id: Mapped[int] = mapped_column(BigInteger)


class Report(Base):
    """A story that a member showed to the moderators."""

    __tablename__ = "reports"
    __table_args__ = (
        UniqueConstraint("story_id", "member_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey("stories.id", ondelete="CASCADE"))
    guild_id: Mapped[int] = mapped_column(BigInteger, index=True)
    member_id: Mapped[int] = mapped_column(BigInteger, index=True)
    reason: Mapped[str] = mapped_column(Text)
    reported_at: Mapped[dt.datetime] = mapped_column(Moment)
    kept: Mapped[bool | None]
    """What the moderators decided; None: nothing yet."""
    moderator_id: Mapped[int | None] = mapped_column(BigInteger)


class Audit(Base):
    """A moderator's act, kept so that others can see who changed what."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(NUMBER, primary_key=True)
    guild_id: Mapped[int] = mapped_column(BigInteger, index=True)
    moderator_id: Mapped[int] = mapped_column(BigInteger, index=True)
    act: Mapped[str] = mapped_column(String(50))
    detail: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, default="", server_default=sql("''"))
    channel_id: Mapped[int | None] = mapped_column(BigInteger)
    """The channel or thread that it is about, if one."""
    member_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    """The member whom it is about, if one."""
    at: Mapped[dt.datetime] = mapped_column(Moment)
