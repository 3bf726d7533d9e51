"""The durable, fair queue: the stories' own rows, each change one transaction.

Several bots may work on one PostgreSQL, each on what is in its `reach`. A story is taken by one
conditional UPDATE that also sets a lease; whoever holds the lease, and nobody else, tells the story
and shows how it ended. A lease that runs out, because its bot died, makes the story free again.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Integer, String, Text, and_, bindparam, func, select

from bot.database.clock import now
from bot.database.columns import Moment
from bot.database.duels import open_votes
from bot.database.endings import Endings
from bot.database.places import MOMENT, held
from bot.database.tables import Form, State, Story
from bot.database.turns import LIVE, Move
from bot.database.unbroken import unbroken

if TYPE_CHECKING:
    from sqlalchemy import BindParameter, ColumnElement

ANEW = 1000
"""Steps of the seed to another telling: its neighbours are of variations and of further parts."""
REST = 1.0
"""Seconds a story rests after its first failure; doubled with each further one."""


@unbroken
class Queue(Endings):
    """See the module. Every method is one short transaction, committed when it returns.

    The members' side is `Wishes`, who tells a story is `Claims`, how its end is shown `Endings`;
    what is here is what becomes of a story that is being told.
    """

    async def told(
        self, story: Story, owner: str, text: str, tokens: int, *, final: bool = False
    ) -> Story | None:
        """Save the whole story; None when the lease was lost and somebody else tells it.

        The lease stays until the story is `shown`. `final`: its tale has come to its end.
        """
        moment = now()
        told = {
            "owner": owner,
            "moment": moment,
            "until": moment + self._lease,
            "words": text,
            "length_in_tokens": tokens,
            "last": final,
        }
        duels = story.form is Form.DUEL
        async with self._sessions.short(single=not duels) as transaction:
            saved = await _TOLD.made(transaction, story.id, told)
            if saved is not None and duels:
                await open_votes(transaction, story.interaction_id, moment)
            return saved

    async def draw_anew(self, story_id: int, owner: str, *, text: str) -> None:
        """Have a story told with another seed, for what it became is not fit to be shown.

        `text`: what is shown of it, which stays until the next telling has more.
        """
        more = {"seed": Story.seed + ANEW, "redrawn": Story.redrawn + 1}
        await self._move(story_id, _tells(owner), **_untold(text), **more)

    async def retry(self, story: Story, owner: str, error: str, *, text: str = "") -> Story | None:
        """Put a claimed story back after a failure, to rest a while; fail it after the last.

        `text`: what is shown of it, which stays.

        Returns:
            The story: queued, or failed and the owner's to be shown. None: the lease was lost.
        """
        if story.attempts >= self._settings.attempts:
            return await self.fail(story.id, owner, error, text=text)
        rest = dt.timedelta(seconds=REST * 2 ** (story.attempts - 1))
        return await self._move(
            story.id,
            _tells(owner),
            state=State.QUEUED,
            error=error,
            text=text,
            lease_owner=None,
            lease_until=now() + rest,
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
        ended = self._ended(State.FAILED)
        return await self._move(
            story_id, _tells(owner), **ended, error=error, text=text, withheld=withheld
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
        await self._move(story_id, _tells(owner), **_untold(text), model=model or Story.model)

    async def live(self) -> dict[State, int]:
        """Give how many stories wait, and how many are being told."""
        query = (
            select(Story.state, func.count())
            .where(Story.shown_at.is_(None), Story.state.in_(LIVE))
            .group_by(Story.state)
        )
        async with self._sessions() as session:
            return dict((await session.execute(query)).all())

    def _ended(self, state: State) -> dict[str, Any]:
        """What a story has that came to its end: its owner's, to be shown."""
        moment = now()
        return {"state": state, "ended_at": moment, "lease_until": moment + self._lease}


def _tells(owner: str | BindParameter[str]) -> ColumnElement[bool]:
    """The owner has its lease, to tell it."""
    return and_(Story.state == State.TELLING, held(owner))


def _untold(text: str) -> dict[str, Any]:
    """What a story has as if it had not been claimed; `text`: what is shown of it."""
    return {
        "text": text,
        "state": State.QUEUED,
        "attempts": Story.attempts - 1,
        "lease_owner": None,
        "lease_until": None,
    }


# Made once: to make it takes longer than it does.
_TOLD = Move(
    and_(Story.id == bindparam("story_id"), _tells(bindparam("owner", type_=String))),
    {
        "state": State.TOLD,
        "text": bindparam("words", type_=Text),
        "tokens": bindparam("length_in_tokens", type_=Integer),
        "final": bindparam("last", type_=Boolean),
        "error": None,
        "told_at": MOMENT,
        "ended_at": MOMENT,
        "lease_until": bindparam("until", type_=Moment),
    },
)
