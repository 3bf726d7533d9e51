"""Duels: a beginning told by two models, and the votes on which one told it better."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, and_, bindparam, case, exists, func, literal, select, update

from bot.database.clock import now
from bot.database.in_order import take
from bot.database.tables import Duel, DuelVote, State, Story
from bot.database.turns import LIVE
from bot.database.unbroken import unbroken
from bot.database.upsert import insert_or_update

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from bot.database.transactions import Transaction

PLAIN = {"synchronize_session": False}


class Choice(StrEnum):
    """What a member may say of a duel."""

    A = "a"
    B = "b"
    TIE = "tie"


class DuelClosedError(Exception):
    """It takes no votes any more."""


class DuelUndecidedError(Exception):
    """Its two stories are not both told (yet)."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many members said what."""

    a: int = 0
    b: int = 0
    tie: int = 0

    @property
    def votes(self) -> int:
        """All of them."""
        return self.a + self.b + self.tie


_WAITS = exists().where(Story.interaction_id == Duel.interaction_id, Story.state.in_(LIVE))
"""One of its stories waits or is told: its time has not begun, however long that takes."""


async def open_votes(transaction: Transaction, interaction_id: int, moment: dt.datetime) -> None:
    """Let a duel last from now on, if with this story both are told; part of a transaction."""
    # Whoever tells the other story waits here, and then sees this one.
    if not (duels := await transaction.rows(_DUEL, {"asked_by": interaction_id})):
        return
    (both,) = await transaction.rows(_TOLD, {"asked_by": interaction_id})
    if both["told"] == len(("a", "b")):
        (duel,) = duels
        closes = moment + (duel["closes_at"] - duel["opened_at"])
        await transaction.rows(_OPENED, {"asked_by": interaction_id, "at": moment, "until": closes})


_duels = Duel.metadata.tables["duels"]
_ASKED_BY = bindparam("asked_by", type_=BigInteger)
_DUEL = (
    select(_duels.c.opened_at, _duels.c.closes_at)
    .where(_duels.c.interaction_id == _ASKED_BY)
    .with_for_update()
)
_TOLD = select(func.count().label("told")).where(
    Story.interaction_id == _ASKED_BY, Story.state == State.TOLD
)
_OPENED = (
    update(_duels)
    .where(_duels.c.interaction_id == _ASKED_BY)
    .values(opened_at=bindparam("at"), closes_at=bindparam("until"))
    .returning(_duels.c.id)
)


@unbroken
class Duels:
    """One changeable vote a member and duel, until it closes; `Wishes` opens them."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], *, votes: int) -> None:
        """`votes`: so many close a duel; 0: however many there are."""
        self._sessions = sessions
        self._votes = votes

    async def of(self, interaction_id: int) -> tuple[Duel, Tally] | None:
        """Give the duel that an interaction asked for, and how it stands; None: there is none."""
        async with self._sessions() as session:
            duel = await session.scalar(select(Duel).where(Duel.interaction_id == interaction_id))
            if duel is None:
                return None
            counts = select(DuelVote.choice, func.count()).where(DuelVote.duel_id == duel.id)
            rows = (await session.execute(counts.group_by(DuelVote.choice))).all()
            return duel, Tally(**{choice: count for choice, count in rows})  # noqa: C416  # rows

    async def vote(
        self, interaction_id: int, member_id: int, choice: Choice, press_id: int
    ) -> tuple[Duel, Choice]:
        """Give or change a member's vote; gives the duel, and the vote as it is now.

        Args:
            interaction_id: The one that asked for the duel.
            member_id: Who pressed.
            choice: The button that was pressed.
            press_id: Discord's number for the press, which grows with time: an older press that
                comes after a newer one changes nothing.

        Raises:
            DuelClosedError: It takes no votes any more, or there is none.
            DuelUndecidedError: There is nothing to vote on (yet).
        """
        moment = now()
        untold = exists().where(
            Story.interaction_id == Duel.interaction_id, Story.state != State.TOLD
        )
        vote = (
            select(
                Duel.id,
                literal(member_id, DuelVote.member_id.type),
                literal(choice.value),
                literal(press_id, DuelVote.press_id.type),
                literal(moment, DuelVote.voted_at.type),
            )
            .where(
                Duel.interaction_id == interaction_id,
                Duel.closed_at.is_(None),
                Duel.closes_at > moment,
                ~untold,
            )
            # Votes in one duel come one after the other, and none after its close.
            .with_for_update(of=Duel)
        )
        async with self._sessions.begin() as session:
            insert = insert_or_update(session, DuelVote).from_select(
                ["duel_id", "member_id", "choice", "press_id", "voted_at"], vote
            )
            new = insert.excluded
            late = new.press_id <= DuelVote.press_id
            newest = {
                name: case((late, getattr(DuelVote, name)), else_=getattr(new, name))
                for name in ("choice", "press_id", "voted_at")
            }
            said = await session.scalar(
                insert.on_conflict_do_update(
                    index_elements=[DuelVote.duel_id, DuelVote.member_id], set_=newest
                ).returning(DuelVote.choice)
            )
            query = select(Duel, _WAITS).where(Duel.interaction_id == interaction_id)
            row = (await session.execute(query)).one_or_none()
            if row is None:
                raise DuelClosedError
            duel, waits = row
            if said is None:
                over = duel.closed_at is not None or (duel.closes_at <= moment and not waits)
                raise DuelClosedError if over else DuelUndecidedError
            if self._votes:
                await session.execute(
                    update(Duel)
                    .where(Duel.id == duel.id, Duel.closed_at.is_(None), self._enough(duel.id))
                    .values(closed_at=moment),
                    execution_options=PLAIN,
                )
            return duel, Choice(said)

    async def close(self, interaction_id: int) -> None:
        """Take no votes any more."""
        async with self._sessions.begin() as session:
            await session.execute(
                update(Duel)
                .where(Duel.interaction_id == interaction_id, Duel.closed_at.is_(None))
                .values(closed_at=now()),
                execution_options=PLAIN,
            )

    async def close_due(self) -> list[int]:
        """Close those whose time has come; gives the interactions that asked for them."""
        moment = now()
        due = and_(Duel.closed_at.is_(None), Duel.closes_at <= moment, ~_WAITS)
        async with self._sessions.begin() as session:
            if not (some := await take(session, [Duel.id], select(Duel.id).where(due))):
                return []
            closed = await session.scalars(
                update(Duel)
                .where(Duel.id.in_([row[0] for row in some]), Duel.closed_at.is_(None))
                .values(closed_at=moment)
                .returning(Duel.interaction_id),
                execution_options=PLAIN,
            )
            return list(closed)

    async def next_close(self) -> dt.datetime | None:
        """Give when the next open duel closes; None: none is open."""
        async with self._sessions() as session:
            return await session.scalar(
                select(Duel.closes_at)
                .where(Duel.closed_at.is_(None), ~_WAITS)
                .order_by(Duel.closes_at)
                .limit(1)
            )

    def _enough(self, duel_id: int) -> ColumnElement[bool]:
        counted = select(func.count()).where(DuelVote.duel_id == duel_id).scalar_subquery()
        return counted >= self._votes
