"""Messages that are being written, and whose turn it is in a channel.

A channel takes few edits (see `bot.messages.pacing`), so its pages share them: at most one edit is
in flight, the newest content wins, and who matters more goes first. An ambient edit that is held
up lets the others pass: only it is still in flight then.
"""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass, field
from enum import IntEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

import discord

from bot.worker.stage import StageClosedError, StageGoneError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.database.tables import Story
    from bot.messages.pacing import Clock, EditBudget, Turns

_log = logging.getLogger(__name__)

AMBIENT_HOLDS = 2.0
"""Seconds for which an ambient edit may keep more urgent ones of its channel waiting.

Messages older than an hour have a limit of their own; discord.py sleeps until it is over.
"""
THREAD_ARCHIVED = 50083
"""Discord's code of a refusal that ends when somebody writes in the thread."""


class Urgency(IntEnum):
    """What an edit is for; the lowest goes first."""

    LAST = 0
    """How the story ended: as soon as the channel allows."""
    FIRST = 1
    """The first words: likewise."""
    NEXT = 2
    """More words: paced."""
    AMBIENT = 3
    """A place in the queue, an average of stars: when there is nothing better to do."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a message shows."""

    embed: discord.Embed
    view: discord.ui.View


Draw: TypeAlias = "Callable[[], Awaitable[Drawing]]"
"""Makes a page's content at the moment it is written, not for each word before."""


@dataclass(slots=True, eq=False)
class Page:
    """A story's message: what stands in it, and what shall stand there next."""

    story: Story
    message_id: int | None
    interaction: discord.Interaction[discord.Client] | None = None
    """The one that was answered with the message; edits it where the bot itself may not."""
    through_interaction: bool = False
    """The bot itself was found not to be allowed to."""
    in_flight: bool = False
    """It is being edited; what it shall show next waits for that."""
    answering: bool = False
    """The edit in flight goes through the interaction: see `may_answer`."""
    draw: Draw | None = None
    """Makes the newest content when its turn comes; None when all of it is shown."""
    urgency: Urgency = Urgency.AMBIENT
    not_before: float = -math.inf
    """The message is being posted: until then, nobody looks for it."""
    edited_at: float = -math.inf
    place: int | None = None
    """The place in the queue that it last showed."""
    telling: bool = False
    """Words are shown, or were until the telling broke off."""
    seen_waiting: bool = False
    """It was said to wait although it is being told."""
    told: str = ""
    """The words so far, all of them."""
    begun_at: float | None = None
    """When the first of them came."""
    closed: bool = False
    """The story ended or its message is gone: no further words are taken."""
    gone: bool = False
    shown: list[asyncio.Future[None]] = field(default_factory=list)
    """Who waits for the last edit."""

    def begin(self) -> None:
        """Be told, for the first time or again."""
        self.telling = True
        self.seen_waiting = False
        self.begun_at = None

    def waits_again(self) -> bool:
        """Learn from the queue that the story waits, and whether its telling broke off.

        Once may be older than the telling; twice in a row is not.
        """
        if not self.seen_waiting:
            self.seen_waiting = True
            return False
        self.telling = False
        self.place = None
        return True

    @property
    def may_answer(self) -> bool:
        """Whether the next edit shows first words and can go through the interaction.

        Discord counts such edits apart, so first words never wait for the channel's other stories.
        """
        interaction = self.interaction
        first = self.urgency is Urgency.FIRST
        return first and interaction is not None and not interaction.is_expired()

    def want(self, draw: Draw, urgency: Urgency) -> None:
        """Replace what shall be shown; a more urgent wish keeps its turn."""
        self.urgency = urgency if self.draw is None else min(self.urgency, urgency)
        self.draw = draw

    def settle(self, error: Exception | None = None) -> None:
        """Let go of those who wait for the last edit."""
        for future in self.shown:
            if not future.done():
                future.set_result(None) if error is None else future.set_exception(error)
        self.shown.clear()


class Channel:
    """The pages of one channel that want to be written."""

    def __init__(
        self,
        *,
        write: Callable[[Page, Drawing], Awaitable[None]],
        budget: EditBudget,
        ambient: Turns,
        interval: float,
        clock: Clock,
    ) -> None:
        self._write = write
        self._budget = budget
        self._ambient = ambient
        self._turn: float | None = None
        """When the channel's next ambient edit may go out, as far as the other channels go."""
        self._interval = interval
        self._clock = clock
        self._pages: list[Page] = []
        self._edited_at = -math.inf
        self._writing: asyncio.Task[None] | None = None
        self._held_up: asyncio.Task[None] | None = None
        """The ambient edit that others need not wait for any more."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, page: Page) -> None:
        """Give a page with something to draw its turn when it comes."""
        if page not in self._pages:
            self._pages.append(page)
        self._go_on()

    @property
    def idle(self) -> bool:
        """Nothing is to be written, and nothing was just now."""
        budget_over = self._clock.time() >= self._budget.resets_at
        return budget_over and not self._pages and self._writing is None

    async def close(self) -> None:
        """Stop writing; whoever waits for a last edit is cancelled."""
        if self._timer is not None:
            self._timer.cancel()
        if writing := [task for task in (self._writing, self._held_up) if task is not None]:
            for task in writing:
                task.cancel()
            await asyncio.wait(writing)
        for page in self._pages:
            for future in page.shown:
                future.cancel()
        self._pages.clear()

    def due(self, page: Page, now: float) -> float:
        """When the page may be edited, as far as pace and limit are known now."""
        spacing = self._budget.spacing
        match page.urgency:
            case Urgency.LAST | Urgency.FIRST:
                at = now
            case Urgency.NEXT:
                at = max(page.edited_at + self._interval, self._edited_at + spacing)
            case Urgency.AMBIENT:
                at = max(page.edited_at + self._interval, self._edited_at + 2 * spacing)
                at = max(at, self._turn or at)
        wait = 0.0 if page.may_answer else self._budget.wait(now)
        return max(at, page.not_before, now + wait)

    def _go_on(self) -> None:
        """Write the page whose turn it is, or come back when it is somebody's turn."""
        if self._writing is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not (free := [page for page in self._pages if self._free(page)]):
            return
        now = self._clock.time()
        due = {page: self.due(page, now) for page in free}
        ready = [page for page in free if due[page] <= now]
        if not ready:
            self._timer = self._clock.call_later(min(due.values()) - now, self._go_on)
            return
        page = min(ready, key=lambda page: (page.urgency, page.edited_at))
        ambient = page.urgency is Urgency.AMBIENT
        if ambient and self._turn is None:
            self._turn = self._ambient.take(now)
            if self._turn > now:
                self._go_on()
                return
        page.in_flight = True
        task = asyncio.create_task(self._edit(page), name=f"edit {page.story.id}")
        self._writing = task
        task.add_done_callback(self._edited)
        if ambient:
            self._turn = None
            let_pass = self._clock.call_later(AMBIENT_HOLDS, self._let_pass)
            task.add_done_callback(lambda _: let_pass.cancel())

    def _free(self, page: Page) -> bool:
        ambient = page.urgency is Urgency.AMBIENT
        return not page.in_flight and not (ambient and self._held_up is not None)

    def _let_pass(self) -> None:
        """Go on although an ambient edit is still in flight.

        It is not cancelled: discord.py would never again send anything if that were to happen
        while it waits for the end of Discord's global limit.
        """
        self._held_up, self._writing = self._writing, None
        self._go_on()

    def _edited(self, task: asyncio.Task[None]) -> None:
        if task is self._held_up:
            self._held_up = None
        else:
            self._writing = None
        if not task.cancelled():
            self._go_on()

    async def _edit(self, page: Page) -> None:
        """Bring one message up to date."""
        draw, urgency = page.draw, page.urgency
        page.draw = None
        page.answering = page.may_answer
        if not page.answering:
            self._budget.spend(self._clock.time())
        try:
            if draw is not None:
                await self._write(page, await draw())
        except discord.HTTPException as error:
            self._refused(page, urgency, error)
        except Exception as error:  # noqa: BLE001  # told to whoever waits, or logged
            # The dispatcher shows an end again later; other words are followed by newer ones.
            _log.warning("Story %d could not be shown: %r", page.story.id, error)
            if urgency is Urgency.LAST:
                page.settle(error)
        else:
            if urgency is Urgency.LAST:
                page.settle()
        page.in_flight = False
        page.edited_at = self._edited_at = self._clock.time()
        if page.draw is None:
            self._pages.remove(page)

    def _refused(self, page: Page, urgency: Urgency, error: discord.HTTPException) -> None:
        """Give the page up, or tell who waits for its end that it may be shown later."""
        if _for_good(error, urgency):
            _log.info("The message of story %d is out of reach: %s", page.story.id, error)
            page.closed = page.gone = True
            page.draw = None
            page.settle(StageGoneError(str(error)))
        elif urgency is Urgency.LAST:
            page.settle(StageClosedError(str(error)))
        else:
            # Newer words follow.
            _log.warning("Story %d could not be shown: %r", page.story.id, error)


def _for_good(error: discord.HTTPException, urgency: Urgency) -> bool:
    """Whether no further edit of the message would be taken either."""
    if error.status == HTTPStatus.BAD_REQUEST and urgency is Urgency.LAST:
        # Something is wrong with what was sent. Of a story still untold that is no reason to give
        # it up: its end is another edit.
        return error.code != THREAD_ARCHIVED
    return isinstance(error, discord.NotFound | discord.Forbidden)
