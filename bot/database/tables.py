"""Every table. A row is written by the repository of its subject and by nobody else."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Moment(TypeDecorator[dt.datetime]):
    """An aware UTC time; SQLite forgets the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """Refuse a time without a zone: it would be stored as a different moment."""
        del dialect
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value and value.astimezone(dt.UTC)

    def process_result_value(
        self, value: dt.datetime | None, dialect: Dialect
    ) -> dt.datetime | None:
        """Give back what was stored, in UTC."""
        del dialect
        return value and value.replace(tzinfo=value.tzinfo or dt.UTC)


class Base(AsyncAttrs, DeclarativeBase):
    """Constraint names are fixed so that migrations can name what they change."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class State(StrEnum):
    """Where a story is on its way: `queued → telling → told | failed | cancelled | expired`."""

    QUEUED = "queued"
    TELLING = "telling"
    TOLD = "told"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Story(Base):
    """One story, from the wish to its last word; while it waits, it is its place in the queue."""

    __tablename__ = "stories"
    __table_args__ = (
        # What the queue looks at is only what has not ended in the channel yet: it stays small
        # however many stories were ever told.
        Index(
            "ix_stories_unshown",
            "state",
            "id",
            sqlite_where=text("shown_at IS NULL"),
            postgresql_where=text("shown_at IS NULL"),
        ),
        Index(
            "ix_stories_answer_until",
            "answer_until",
            sqlite_where=text("answer_token IS NOT NULL"),
            postgresql_where=text("answer_token IS NOT NULL"),
        ),
        # Buttons name a story by its id, so the id of a removed story is never given again.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    interaction_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    """The command or button press that asked; a second delivery of it changes nothing."""
    guild_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    channel_id: Mapped[int] = mapped_column(BigInteger)
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

    prompt: Mapped[str] = mapped_column(Text)
    """The beginning, as the member or the house wrote it; shown before the text."""
    house_opening: Mapped[bool]
    """The beginning is one of the house's own, not a member's words."""
    model: Mapped[str] = mapped_column(String(100))
    seed: Mapped[int] = mapped_column(BigInteger)
    text: Mapped[str] = mapped_column(Text, default="")
    """What the model told after the prompt, whole when it is told; until then, and if it never is,
    what is shown of a telling that broke off."""
    tokens: Mapped[int] = mapped_column(default=0)

    state: Mapped[State] = mapped_column(
        Enum(State, native_enum=False, length=16, values_callable=lambda e: [s.value for s in e]),
        default=State.QUEUED,
    )
    attempts: Mapped[int] = mapped_column(default=0)
    """Times a bot began to tell it."""
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[dt.datetime | None] = mapped_column(Moment)
    """Until then nobody but the owner takes it; without an owner: it rests after a failure."""
    error: Mapped[str | None] = mapped_column(Text)
    """The last failure, in words for the host."""
    asked_at: Mapped[dt.datetime] = mapped_column(Moment)
    told_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    ended_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    """When it came to its end, whichever of the four; None while it waits or is being told."""
    shown_at: Mapped[dt.datetime | None] = mapped_column(Moment)
    """When its last word about it (the story, or an apology) stood in the channel."""


class Rating(Base):
    """One member's stars for one story; pressing again changes them, or takes them back."""

    __tablename__ = "ratings"
    __table_args__ = (CheckConstraint("stars BETWEEN 1 AND 5", name="stars"),)

    story_id: Mapped[int] = mapped_column(
        ForeignKey("stories.id", ondelete="CASCADE"), primary_key=True
    )
    member_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    stars: Mapped[int | None]
    """None: the vote was taken back. The row stays, or an older press that comes late would
    count as a new vote."""
    press_id: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    """The newest press of a star, by Discord's number for it, which grows with time."""
    rated_at: Mapped[dt.datetime] = mapped_column(Moment)


class Guild(Base):
    """What a server's moderators chose."""

    __tablename__ = "guilds"

    guild_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    model: Mapped[str | None] = mapped_column(String(100))


class Audit(Base):
    """A moderator's act, kept so that others can see who changed what."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    guild_id: Mapped[int] = mapped_column(BigInteger, index=True)
    moderator_id: Mapped[int] = mapped_column(BigInteger)
    act: Mapped[str] = mapped_column(String(50))
    detail: Mapped[str] = mapped_column(Text)
    at: Mapped[dt.datetime] = mapped_column(Moment)
