"""The durable, fair queue: the stories' own rows, each change one transaction.

Several bots could work on one database, though `lock` admits one. A story is taken by one
conditional UPDATE that also sets a lease; whoever holds the lease, and nobody else, tells the story
and shows how it ended. A lease that runs out, because its bot died, makes the story free again.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, literal, or_, select, update
from sqlalchemy.orm import aliased

from bot.database.clock import now
from bot.database.duels import open_votes
from bot.database.holdings import NOBODY
from bot.database.places import ENDED, LIVE, free, head, held, line, waiting
from bot.database.tables import Form, Length, State, Story
from bot.database.unbroken import unbroken
from bot.database.upsert import insert_or_update
from bot.database.wishes import PLAIN, Wishes

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Insert, Select, Update
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from bot.config import Queue as QueueSettings

REST = 1.0
"""Seconds a story rests after its first failure; doubled with each further one."""

PATIENCE = dt.timedelta(days=30)
"""How long an ending that nobody could be shown is tried again; then it is left in peace."""


@unbroken
class Queue(Wishes):
    """See the module. Every method is one short transaction, committed when it returns.

    The members' side is `Wishes`; what is here is for who tells stories and shows how they end.
    """

    def __init__(self, sessions: async_sessionmaker[AsyncSession], settings: QueueSettings) -> None:
        super().__init__(sessions, settings)
        self._lease = dt.timedelta(seconds=settings.lease)
        self._expiry = dt.timedelta(seconds=settings.expire_after)

    async def claim(
        self,
        owner: str,
        *,
        resting: Collection[str] = (),
        busy: Collection[int] = (),
        only: Collection[int] | None = None,
    ) -> Story | None:
        """Take the next story to tell; None when there is none.

        Args:
            owner: Who holds the lease from now on.
            resting: Models whose server cannot tell now; their stories wait.
            busy: Stories that the owner still works on, though their lease may have run out.
            only: Take one of these stories, or none.
        """
        moment, chosen = now(), aliased(Story)
        # Asked of the row itself: PostgreSQL asks it again once it has the lock.
        may_be_taken = [
            waiting(chosen, moment),
            free(chosen, moment),
            chosen.attempts < self._settings.attempts,
            chosen.model.not_in(resting),
            chosen.id.not_in(busy),
        ]
        if only is None:
            oldest = select(chosen.id).where(*may_be_taken, *head(chosen, moment))
            story = await self._take(oldest.order_by(chosen.id), chosen, owner, moment)
            if story is not None:
                return story
        places = line().subquery()
        first = select(chosen.id).join(places, places.c.id == chosen.id).where(*may_be_taken)
        if only is not None:
            first = first.where(chosen.id.in_(only))
        return await self._take(first.order_by(places.c.place), chosen, owner, moment)

    async def _take(
        self, order: Select[int], chosen: type[Story], owner: str, moment: dt.datetime
    ) -> Story | None:
        """Let the owner have the first story of an order."""
        following = order.limit(1).with_for_update(of=chosen, skip_locked=True)
        return await self._change(
            update(Story)
            .where(Story.id == following.scalar_subquery())
            .values(
                state=State.TELLING,
                lease_owner=owner,
                lease_until=moment + self._lease,
                attempts=Story.attempts + 1,
            )
        )

    async def renew(self, owner: str, story_ids: Collection[int]) -> set[int]:
        """Extend the leases of these stories; gives those that are still the owner's."""
        return await self._update(
            update(Story)
            .where(Story.id.in_(story_ids), held(owner))
            .values(lease_until=now() + self._lease)
        )

    async def held(self, owner: str) -> set[int]:
        """Give the stories whose lease the owner has."""
        async with self._sessions() as session:
            return set(await session.scalars(select(Story.id).where(held(owner))))

    async def told(
        self, story_id: int, owner: str, text: str, tokens: int, *, final: bool = False
    ) -> Story | None:
        """Save the whole story; None when the lease was lost and somebody else tells it.

        The lease stays until the story is `shown`. `final`: its tale has come to its end.
        """
        moment = now()
        values = {"text": text, "tokens": tokens, "told_at": moment, "final": final}
        ending = self._ending(story_id, owner, State.TOLD, error=None, **values)
        async with self._sessions.begin() as session:
            story: Story | None = await session.scalar(
                ending.returning(Story), execution_options=PLAIN
            )
            if story is not None and story.form is Form.DUEL:
                await open_votes(session, story.interaction_id, moment)
            return story

    async def draw_anew(self, story_id: int, owner: str, *, text: str) -> None:
        """Have a story told with another seed, for what it became is not fit to be shown.

        `text`: what is shown of it, which stays until the next telling has more.
        """
        await self._update(
            update(Story)
            .where(Story.id == story_id, Story.state == State.TELLING, held(owner))
            .values(
                seed=Story.seed + 1,
                redrawn=Story.redrawn + 1,
                text=text,
                state=State.QUEUED,
                attempts=Story.attempts - 1,
                lease_owner=None,
                lease_until=None,
            )
        )

    async def retry(self, story: Story, owner: str, error: str, *, text: str = "") -> Story | None:
        """Put a claimed story back after a failure, to rest a while; fail it after the last.

        `text`: what is shown of it, which stays.

        Returns:
            The story: queued, or failed and the owner's to be shown. None: the lease was lost.
        """
        if story.attempts >= self._settings.attempts:
            return await self.fail(story.id, owner, error, text=text)
        rest = dt.timedelta(seconds=REST * 2 ** (story.attempts - 1))
        return await self._change(
            update(Story)
            .where(Story.id == story.id, Story.state == State.TELLING, held(owner))
            .values(
                state=State.QUEUED,
                error=error,
                text=text,
                lease_owner=None,
                lease_until=now() + rest,
            )
        )

    async def fail(
        self, story_id: int, owner: str, error: str, *, text: str = "", withheld: str | None = None
    ) -> Story | None:
        """End a story that no further attempt would help; None when the lease was lost.

        Args:
            story_id: The story.
            owner: Who tells it.
            error: Why, in words for the host.
            text: What is shown of it, which stays.
            withheld: Why the rest is not shown, where that is why.
        """
        return await self._end(
            story_id, owner, State.FAILED, error=error, text=text, withheld=withheld
        )

    async def give_back(
        self, story_id: int, owner: str, *, text: str, model: str | None = None
    ) -> None:
        """Give a story back as if it had not been claimed: nobody is at fault.

        Args:
            story_id: The story.
            owner: Who claimed it.
            text: What is shown of it, which stays until another telling has more.
            model: Another one that shall tell it.
        """
        await self._update(
            update(Story)
            .where(Story.id == story_id, Story.state == State.TELLING, held(owner))
            .values(
                model=model or Story.model,
                text=text,
                state=State.QUEUED,
                attempts=Story.attempts - 1,
                lease_owner=None,
                lease_until=None,
            )
        )

    async def release(self, owner: str, story_ids: Collection[int]) -> None:
        """Give stories back as if they had not been claimed: nobody is at fault."""
        begun = Story.state == State.TELLING
        await self._update(
            update(Story)
            .where(Story.id.in_(story_ids), held(owner))
            .values(
                state=case((begun, State.QUEUED), else_=Story.state),
                attempts=case((begun, Story.attempts - 1), else_=Story.attempts),
                lease_owner=None,
                lease_until=None,
            )
        )

    async def release_all(self) -> None:
        """End every lease at once. Only for who knows that all their owners are dead."""
        await self._update(
            update(Story)
            .where(Story.shown_at.is_(None), Story.lease_until.is_not(None))
            .values(lease_owner=None, lease_until=None)
        )

    async def abandon(self, story_id: int, owner: str, error: str) -> None:
        """Close a story that has nowhere left to be shown; what was told stays saved."""
        moment = now()
        await self._update(
            update(Story)
            .where(Story.id == story_id, held(owner))
            .values(
                state=case((Story.state.in_(LIVE), State.CANCELLED), else_=Story.state),
                error=error,
                ended_at=func.coalesce(Story.ended_at, moment),
                **over(moment),
            )
        )

    async def shown(self, story_id: int, state: State) -> None:
        """Note that the last word about the story stands in the channel; a saga then goes on.

        `state`: the end that stands there. A story that was called off meanwhile came to another,
        and that one is still to be shown.
        """
        moment = now()
        async with self._sessions.begin() as session:
            if state is State.TOLD:
                await session.execute(_next_part(session, story_id, moment))
            await session.execute(
                update(Story)
                .where(Story.id == story_id, Story.state == state)
                .values(**over(moment)),
                execution_options=PLAIN,
            )

    async def postpone(self, story_id: int, owner: str) -> None:
        """Let an ended story that could not be shown rest for as long as a lease."""
        await self._update(
            update(Story)
            .where(Story.id == story_id, held(owner))
            .values(lease_owner=None, lease_until=now() + self._lease)
        )

    async def unshown(self, owner: str, limit: int, *, busy: Collection[int] = ()) -> list[Story]:
        """Take stories whose end nobody shows, oldest first; `busy` as in `claim`."""
        moment = now()
        ended = aliased(Story)
        chosen = (
            select(ended.id)
            .where(
                ended.shown_at.is_(None),
                ended.state.in_(ENDED),
                free(ended, moment),
                ended.id.not_in(busy),
            )
            .order_by(ended.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        statement = (
            update(Story)
            .where(Story.id.in_(chosen))
            .values(lease_owner=owner, lease_until=moment + self._lease)
        )
        async with self._sessions.begin() as session:
            stories = await session.scalars(statement.returning(Story), execution_options=PLAIN)
            return sorted(stories, key=lambda story: story.id)

    async def live(self) -> dict[State, int]:
        """Give how many stories wait, and how many are being told."""
        query = (
            select(Story.state, func.count())
            .where(Story.shown_at.is_(None), Story.state.in_(LIVE))
            .group_by(Story.state)
        )
        async with self._sessions() as session:
            return dict((await session.execute(query)).all())

    async def sweep(self) -> None:
        """End what waited too long, and what was begun too often by bots that died of it.

        Endings that could not be shown for so long are given up, and tokens that died forgotten.
        """
        moment = now()
        idle = update(Story).where(waiting(Story, moment), free(Story, moment))
        await self._update(
            idle.where(Story.asked_at <= moment - self._expiry).values(
                state=State.EXPIRED, ended_at=moment
            )
        )
        await self._update(
            idle.where(Story.attempts >= self._settings.attempts).values(
                state=State.FAILED,
                ended_at=moment,
                error=func.coalesce(Story.error, "the bot died each time it told this story"),
            )
        )
        await self._update(
            update(Story)
            .where(
                Story.shown_at.is_(None),
                Story.state.in_(ENDED),
                Story.ended_at <= moment - PATIENCE,
            )
            .values(**over(moment))
        )
        await self._update(
            update(Story)
            .where(Story.answer_token.is_not(None), Story.answer_until <= moment)
            .values(answer_token=None, answer_until=None)
        )

    async def _end(self, story_id: int, owner: str, state: State, **values: object) -> Story | None:
        return await self._change(self._ending(story_id, owner, state, **values))

    def _ending(self, story_id: int, owner: str, state: State, **values: object) -> Update:
        moment = now()
        return (
            update(Story)
            .where(Story.id == story_id, Story.state == State.TELLING, held(owner))
            .values(state=state, ended_at=moment, lease_until=moment + self._lease, **values)
        )


def _next_part(session: AsyncSession, story_id: int, moment: dt.datetime) -> Insert:
    """The wish for what follows a saga's part, which nobody asks for: it goes on by itself.

    Its interaction is the negative of the part's number, so it is asked for once. It takes the
    token along, the one way to a private saga's reader.
    """
    nothing = {"prompt": "", "length": Length.SAGA, "state": State.QUEUED, "asked_at": moment}
    values: dict[str, Any] = {
        "interaction_id": -Story.id,
        "parent_id": Story.id,
        "part": Story.part + 1,
        "seed": Story.seed + 1,
        **{name: getattr(Story, name) for name in _GOES_ON},
        **{name: literal(value, getattr(Story, name).type) for name, value in nothing.items()},
        **{name: literal(0) for name in ("nth", "tokens", "attempts")},
        "text": literal(""),
    }
    reachable = or_(~Story.private, Story.answer_until > moment)
    goes_on = select(*values.values()).where(
        Story.id == story_id,
        Story.state == State.TOLD,
        Story.length == Length.SAGA,
        Story.shown_at.is_(None),
        Story.removed_at.is_(None),
        ~Story.final,
        # Its reader may have been forgotten before the part could be shown.
        Story.member_id != NOBODY,
        reachable,
    )
    insert = insert_or_update(session, Story).from_select(list(values), goes_on)
    return insert.on_conflict_do_nothing(index_elements=[Story.interaction_id, Story.nth])


_GOES_ON = (
    *("guild_id", "channel_id", "member_id", "house_opening", "model", "mood", "form"),
    *("thread_of", "private", "plain", "language", "answer_token", "answer_until"),
)
"""What a saga's parts have in common."""


def over(moment: dt.datetime) -> dict[str, dt.datetime | None]:
    """What a story has that nobody works on any more."""
    return {
        "shown_at": moment,
        "lease_owner": None,
        "lease_until": None,
        "answer_token": None,
        "answer_until": None,
    }
