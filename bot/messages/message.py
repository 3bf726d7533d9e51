"""A message that shows one or several stories: whether it can be written, and when.

One that was deleted is `gone` for good; one that cannot be written now rests and is tried again
(`out_of_reach`). What it shows of each story is that story's own (`telling`).
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import discord

from bot.database.tables import Form
from bot.messages.telling import Phase, Telling, Urgency

if TYPE_CHECKING:
    from bot.database.tables import Story

FIRST_REST = 1.0
LONGEST_REST = 15.0
"""Seconds that a message out of reach rests; doubled from first to longest."""
TRIES = 8
"""Times that an ending is tried in a row (some 75 s) before it is put off for longer."""
SEVERAL = frozenset({Form.DUEL, Form.CONTRAST, Form.VARIATION})
"""What is asked for as several stories at once."""
OLD = dt.timedelta(minutes=55)
"""Older messages take few edits: an hour, less what clocks may differ."""


@dataclass(frozen=True, slots=True)
class Token:
    """An interaction's token: what may edit the message it belongs to, for fifteen minutes."""

    value: str = field(repr=False)
    until: float
    """The event loop's time, in seconds."""


@dataclass(slots=True, eq=False)
class StoryMessage:
    """The stories of one interaction in the message that answers it."""

    tellings: list[Telling]
    """One or several, in order."""
    message_id: int | None = None
    """None until it is known which message it is."""
    token: Token | None = None
    unnoted: bool = False
    """The database still has to be told which message it is."""
    gone: bool = False
    """It was deleted."""
    complete: bool = True
    """All stories of the interaction are here; where not, the others are still to be read."""

    line_outdated: bool = False
    """The line above its story names words or members that are to be seen no more."""

    urgency: Urgency | None = None
    """Of what shall be written next; None: everything is shown."""
    wanted_at: float = math.inf
    """Since when it shall be."""
    in_flight: bool = False
    edited_at: float = -math.inf
    failures: int = 0
    """Edits that failed since the last that did not."""
    rests_until: float = -math.inf

    @classmethod
    def of(cls, *stories: Story, message_id: int | None = None, token: Token | None = None) -> Self:
        """Make the message of some stories, given in order."""
        return cls([Telling(story) for story in stories], message_id, token=token)

    @property
    def story(self) -> Story:
        """The first story: who asked, where, and in which interaction is the same for all."""
        return self.tellings[0].story

    @property
    def shows_several(self) -> bool:
        """It is drawn as a message of several stories, though only one may be known so far."""
        return self.story.form in SEVERAL

    def add(self, story: Story) -> Telling:
        """Give the story's telling, and begin to show the story if it is not here yet."""
        for telling in self.tellings:
            if telling.story.id == story.id:
                return telling
        telling = Telling(story)
        self.tellings.append(telling)
        self.tellings.sort(key=lambda one: one.story.nth)
        return telling

    def found(self, message_id: int) -> None:
        """Learn which message it is, in which a bot that died may have shown words."""
        self.message_id = message_id
        for telling in self.tellings:
            telling.found()

    @property
    def unread(self) -> bool:
        """What stands there has to be read before it is drawn."""
        return self.message_id is not None and any(telling.unread for telling in self.tellings)

    # How it can be written.

    def deleted(self) -> None:
        """Be gone for good."""
        self.gone = True
        self.urgency = None

    def reached(self) -> None:
        """An edit was taken."""
        self.failures = 0

    def out_of_reach(self, now: float) -> None:
        """An edit was not taken: rest, longer each time."""
        rest = min(FIRST_REST * 2**self.failures, LONGEST_REST)
        self.failures += 1
        self.rests_until = now + rest

    def live_token(self, now: float) -> str | None:
        """The token that may edit it now; None: only the bot itself may."""
        return self.token.value if self.token is not None and now < self.token.until else None

    @property
    def is_old(self) -> bool:
        """Discord takes few edits of it: it was written (nearly) an hour ago."""
        if self.message_id is None:
            return False
        age = discord.utils.utcnow() - discord.utils.snowflake_time(self.message_id)
        return age >= OLD

    # What all its stories are together.

    @property
    def has_ended(self) -> bool:
        """Every story has ended, though words may still have to be shown."""
        return all(telling.phase is Phase.ENDED for telling in self.tellings)

    @property
    def moves(self) -> bool:
        """Some words that came are not shown yet."""
        return any(
            telling.phase is not Phase.WAITING and not telling.whole for telling in self.tellings
        )

    @property
    def is_telling(self) -> bool:
        """Some story is being told."""
        return any(telling.phase is Phase.TELLING for telling in self.tellings)

    @property
    def is_awaited(self) -> bool:
        """Somebody waits for the last word of some story."""
        return any(telling.is_awaited for telling in self.tellings)

    def reveal(self, now: float, pace: float) -> None:
        """Show the words that each teller would have said by `now`."""
        for telling in self.tellings:
            telling.reveal(now, pace)

    def whole_at(self, pace: float) -> float:
        """When the last word that came is due, in seconds of the event loop."""
        return max(telling.whole_at(pace) for telling in self.tellings)

    def settle(self, error: Exception) -> None:
        """Tell all who wait that nothing more will be shown."""
        for telling in self.tellings:
            telling.settle(error)

    def let_down(self) -> None:
        """Cancel those who wait: the bot stops."""
        for telling in self.tellings:
            telling.let_down()
