"""One story as a message shows it: waiting(place) → telling(words) → ended(shown).

Every transition is a method here, and nothing else changes the phase. Words that were shown are
never taken back, whatever becomes of the telling, unless they may be unfit.
"""

from __future__ import annotations

import asyncio
import math
import sys
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

from bot.database.holdings import NOBODY
from bot.database.tables import State
from bot.safety.words import Words

if TYPE_CHECKING:
    from bot.database.tables import Story

FIRST_WORDS = 5
"""Words that are shown at once, where none are shown yet."""


UNWATCHED = (State.FAILED, State.EXPIRED)
"""Ends that a story comes to though nobody tells it any more."""


class Phase(Enum):
    """Where the story is on its way."""

    WAITING = "waiting"
    TELLING = "telling"
    ENDED = "ended"


class Urgency(IntEnum):
    """What an edit is for; the lowest goes first."""

    LAST = 0
    """How the story ended."""
    FIRST = 1
    """The first words."""
    NEXT = 2
    """More words: paced."""
    AMBIENT = 3
    """A place in the queue, an average of stars: when there is nothing better to do, but soon."""


@dataclass(slots=True, eq=False)
class Telling:
    """What is shown of a story, and what shall be shown next."""

    story: Story
    phase: Phase = Phase.WAITING
    place: int | None = None
    """In the queue, 1 being the next; None where it is not known."""
    text: str = ""
    """The words of the telling, as far as they came."""
    begun_at: float | None = None
    """When the first of them came: a telling that begins anew does not begin to show anew."""
    unread: bool = False
    """What stands in the message was written by a process that is no more, and may have words."""
    frozen: int = 0
    """So many presses are calling the story off: no further words are shown."""
    _words: Words = field(default_factory=Words)
    _visible: int = 0
    """Words that have been shown, or are on their way."""
    _at_once: int = FIRST_WORDS
    """Words that the first edit may show: a few, or those that stand there already."""
    _kept: str = ""
    """What a telling that broke off had shown; it stands until the next one has as many words."""

    _shown: list[asyncio.Future[None]] = field(default_factory=list)
    """Who waits for the last word to stand in the channel."""

    def __post_init__(self) -> None:
        """Know what stands there of a telling that broke off, perhaps before a restart."""
        self.unread = self.story.message_id is not None
        if self.story.ended_at is not None:
            self.ended(self.story)
            return
        if self.story.text:
            self._kept, self._visible = self.story.text, Words(self.story.text).count

    # The transitions.

    def placed(self, place: int) -> bool:
        """Learn its place in the queue; gives whether that is news."""
        if self.phase is not Phase.WAITING or self.place == place:
            return False
        self.place = place
        return True

    def found(self) -> None:
        """Learn that a dead process had posted its message, which may have words."""
        self.unread = not self.is_over or _may_have_stood(self.story)

    def stood(self, text: str) -> None:
        """Learn the words that another process has shown: they stay until there are more."""
        self.unread = False
        count = Words(text).count
        if self.phase is Phase.ENDED and self.story.state is not State.TOLD:
            if count > Words(self.story.text).count:
                self.story.text = text  # it ended while nobody knew of these
        elif count > self._visible:
            if self.phase is not Phase.ENDED:
                self._kept, self._visible = text, count
            self._at_once = max(FIRST_WORDS, count)

    def began(self, story: Story) -> None:
        """Be told, for the first time or again."""
        self.story = story
        self.phase = Phase.TELLING
        self._kept = self.visible_text
        self.text, self._words = "", Words()

    def heard(self, piece: str, now: float) -> Urgency | None:
        """Take some more words; gives how urgent they are, None while there is nothing to see.

        `now`: the event loop's time, in seconds.
        """
        if self.phase is not Phase.TELLING:
            return None
        self.text += piece
        self._words.feed(piece)
        if not self._words.count:
            return None
        if self.begun_at is None:
            self.begun_at = now
            return Urgency.FIRST
        return Urgency.NEXT

    def broke_off(self) -> None:
        """Wait again; its place is not known yet."""
        if self.phase is Phase.TELLING:
            self._kept = self.visible_text
            self.phase = Phase.WAITING
            self.place = None

    def taken_back(self) -> None:
        """Show none of its words any more: they may be unfit. The next telling begins anew."""
        self.text = self._kept = ""
        self._words, self._visible, self._at_once = Words(), 0, FIRST_WORDS
        self.begun_at = None

    def changed(self, story: Story) -> None:
        """Be what its row is now, after its end: something was taken out of it."""
        self.story = story

    def ended(self, story: Story) -> None:
        """Come to its end; words that were not shown yet still are, at their pace."""
        if self.phase is Phase.ENDED and _has_lost(self.story, story):
            return  # it was read before its words, or its member's name, were taken out of it
        self.story = story
        self.phase = Phase.ENDED
        if story.state is not State.TOLD:
            self.frozen = 0
        if story.state is not State.TOLD or self.text != story.text:
            # Nobody watched this telling: there is no pace to keep. Of one that came to no end its
            # last teller may have shown words, and died.
            self.unread = self.unread and _may_have_stood(story)
            self.text = self._kept = ""
            self._words, self._visible = Words(), 0

    # What is to be seen.

    @property
    def visible_text(self) -> str:
        """The words that are shown now."""
        if self._visible and self._words.count < self._visible:
            return self._kept
        shown = self.text[: self._words.end_of(self._visible)]
        # The last word may have come in part, and less of it than stood there.
        falls_behind = self._words.count == self._visible and len(shown) < len(self._kept)
        return self._kept if falls_behind and self.phase is not Phase.ENDED else shown

    @property
    def whole(self) -> bool:
        """Every word that came is shown."""
        return self._visible >= self._words.count

    @property
    def is_silent(self) -> bool:
        """It is being told, and no word of it has come yet."""
        return self.phase is Phase.TELLING and not self._words.count

    @property
    def is_over(self) -> bool:
        """It has ended, and every word is shown."""
        return self.phase is Phase.ENDED and self.whole

    def reveal(self, now: float, pace: float) -> None:
        """Show the words that a teller would have said by `now`, at `pace` words a second.

        A model may tell faster than anybody reads. `pace` 0 shows everything.
        """
        if self.frozen or self.phase is Phase.WAITING:
            return
        said = sys.maxsize
        if pace and self.begun_at is not None:
            # A little more than exact, so that `whole_at` is not a rounding error too early.
            said = self._at_once + int(pace * (now - self.begun_at) + 1e-6)
        if (visible := min(said, self._words.count)) > self._visible:
            self._visible = visible

    def whole_at(self, pace: float) -> float:
        """When the last word that came is due, in seconds of the event loop."""
        missing = self._words.count - self._at_once
        if not pace or self.begun_at is None or self._visible >= self._words.count:
            return -math.inf
        return self.begun_at + max(0.0, missing / pace)

    # Who waits for the end.

    @property
    def is_awaited(self) -> bool:
        """Somebody waits for its last word to be shown."""
        return any(not future.done() for future in self._shown)

    def shown(self) -> asyncio.Future[None]:
        """A future that is done when the last word stands in the channel."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._shown.append(future)
        return future

    def settle(self, error: Exception | None = None) -> None:
        """Let go of those who wait."""
        for future in self._shown:
            if not future.done():
                future.set_result(None) if error is None else future.set_exception(error)
        self._shown.clear()

    def let_down(self) -> None:
        """Cancel those who wait: the bot stops."""
        for future in self._shown:
            future.cancel()
        self._shown.clear()


def _may_have_stood(story: Story) -> bool:
    """Words that its row does not have may stand of a story that ended, and may be shown."""
    unfit = story.withheld or story.redrawn or story.removed_at
    return story.state in UNWATCHED and not unfit


def _has_lost(now: Story, before: Story) -> bool:
    """Something was taken out of a story's row for good that an older reading of it still has."""
    return bool(
        (now.removed_at is not None and before.removed_at is None)
        or (now.member_id == NOBODY != before.member_id)
        or (before.prompt and not now.prompt)
    )
