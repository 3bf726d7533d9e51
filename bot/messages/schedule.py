"""Whose turn it is: every message that wants to be written, and the budgets that they share.

One edit is in flight for a message, the newest content wins, and who matters more goes first.
A message that waits for its place or its stars to be shown ages, and is served like words then.
"""

from __future__ import annotations

import asyncio
import logging
import math
from itertools import islice
from typing import TYPE_CHECKING

from structlog.contextvars import bind_contextvars

from bot.messages.message import TRIES
from bot.messages.telling import Urgency
from bot.worker.presenter import MessageGoneError, OutOfReachError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from bot.messages.message import StoryMessage
    from bot.messages.pacing import EditBudget, Pace
    from bot.messages.telling import Telling

_log = logging.getLogger(__name__)

AGES = 5.0
"""Seconds after which an ambient edit is served like words, or it would wait for ever."""
LOOKED_AT = 100
"""Ambient edits among which the next is looked for."""


class RouteLostError(Exception):
    """The way that an edit was to take is closed; there is another."""


class Schedule:
    """Calls `write` for one message after the other, as fast as Discord lets it."""

    def __init__(
        self,
        write: Callable[[StoryMessage], Awaitable[Collection[Telling]]],
        pace: Pace,
        *,
        interval: float,
        words_per_second: float,
    ) -> None:
        """Prepare; nothing runs before something is wanted.

        Args:
            write: Brings a message up to date; gives the tellings whose last word stands there
                now. Raises MessageGoneError, OutOfReachError or RouteLostError.
            pace: The budgets.
            interval: Seconds between two edits of one message.
            words_per_second: The pace of a teller, 0 for none.
        """
        self._write = write
        self._pace = pace
        self._interval = interval
        self._words_per_second = words_per_second
        self._urgent: dict[StoryMessage, None] = {}
        self._ambient: dict[StoryMessage, None] = {}
        self._edits: dict[StoryMessage, asyncio.Task[None]] = {}
        self._held: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.until = math.inf
        """When writing ends, by the event loop's time, unless it is put off."""
        self._closed = False

    def want(self, message: StoryMessage, urgency: Urgency) -> None:
        """Have a message written when its turn comes; a more urgent wish keeps its turn."""
        if self._closed or message.gone:
            return
        if message.urgency is None:
            message.wanted_at = self._pace.clock.time()
        elif message.urgency <= urgency:
            return
        message.urgency = urgency
        self._ambient.pop(message, None)
        pool = self._ambient if urgency is Urgency.AMBIENT else self._urgent
        pool[message] = None
        if not message.in_flight:
            self._go_on()

    def hold(self, interaction_id: int) -> None:
        """Write nothing to the message of an interaction that is being answered."""
        self._held.add(interaction_id)

    def let_go(self, interaction_id: int) -> None:
        """It was answered, or never will be."""
        self._held.discard(interaction_id)
        self._go_on()

    def drop(self, message: StoryMessage) -> None:
        """Write a message no more: its story was ended elsewhere, or another bot has it.

        An edit on its way is called back, or it might be tried again over newer words; a first
        post is not, for nobody would know of it. The interaction's next message waits for either.
        """
        self._forget(message)
        message.deleted()
        message.settle(OutOfReachError("its story was ended elsewhere, or another bot tells it"))
        if message.message_id is not None and (edit := self._edits.get(message)):
            edit.cancel()

    def write_until(self, moment: float) -> None:
        """Write until then and no longer, by the event loop's time, unless this is said again.

        An edit that is on its way then is called back; it is made when writing goes on.
        """
        self.until = moment
        self._go_on()

    async def close(self) -> None:
        """Stop writing; whoever waits for a last word is cancelled."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        edits = list(self._edits.values())
        for task in edits:
            task.cancel()
        if edits:
            await asyncio.wait(edits)
        for message in [*self._urgent, *self._ambient, *self._edits]:
            message.let_down()

    def _go_on(self) -> None:
        """Write whatever is due, and come back when something else is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closed:
            return
        now = self._pace.clock.time()
        if now >= self.until:
            self._call_back()
            return
        while True:
            message, soonest = self._next(now)
            if message is None:
                break
            urgent = self._rank(message, now)[0] <= Urgency.FIRST
            if (wait := self._pace.rate.wait(now, urgent=urgent)) > 0:
                soonest = now + wait
                break
            self._start(message, now)
        if self._edits:
            soonest = min(soonest, self.until)
        if soonest < math.inf:
            self._timer = self._pace.clock.call_later(max(0.0, soonest - now), self._go_on)

    def _next(self, now: float) -> tuple[StoryMessage | None, float]:
        """The message whose turn it is, if any; and when the next one's will be."""
        candidates = list(self._urgent)
        busy = self._held | {one.story.interaction_id for one in self._edits}
        soonest = math.inf
        if self._ambient:
            if (turn := self._pace.ambient.wait(now)) <= 0:
                candidates += islice(self._ambient, LOOKED_AT)
            else:
                soonest = now + turn
        best: StoryMessage | None = None
        for message in candidates:
            if message.story.interaction_id in busy:
                continue  # it comes back by itself
            if (due := self._due(message, now)) > now:
                soonest = min(soonest, due)
            elif best is None or self._rank(message, now) < self._rank(best, now):
                best = message
        return best, soonest

    def _rank(self, message: StoryMessage, now: float) -> tuple[int, float]:
        urgency = message.urgency
        if urgency is Urgency.AMBIENT:
            if now - message.wanted_at >= AGES:
                urgency = Urgency.NEXT
        elif message.has_ended and message.whole_at(self._words_per_second) <= now:
            urgency = Urgency.LAST
        return int(urgency or 0), message.edited_at

    def _due(self, message: StoryMessage, now: float) -> float:
        """When the message may be edited, as far as pace and limits are known now."""
        budget = self._budget(message)
        spacing = budget.edited_at + budget.spacing
        next_words = max(message.edited_at + self._interval, spacing)
        match message.urgency:
            case Urgency.LAST | Urgency.FIRST:
                at = now
            case Urgency.NEXT if message.has_ended:
                # The last word is shown as soon as its turn has come.
                at = min(next_words, max(now, message.whole_at(self._words_per_second)))
            case Urgency.NEXT:
                at = next_words
            case _:
                at = max(next_words, min(spacing + budget.spacing, message.wanted_at + AGES))
        at = max(at, message.rests_until, now + budget.wait(now))
        if message.is_old:
            at = max(at, now + self._pace.old(message.story.channel_id).wait(now))
        return at

    def _budget(self, message: StoryMessage) -> EditBudget:
        token = message.live_token(self._pace.clock.time())
        return self._pace.budget(token or message.story.channel_id)

    def _start(self, message: StoryMessage, now: float) -> None:
        urgency = message.urgency
        assert urgency is not None  # noqa: S101  # it is among those that want something
        self._urgent.pop(message, None)
        self._ambient.pop(message, None)
        message.urgency, message.in_flight = None, True
        message.edited_at = now
        self._budget(message).spend(now)
        self._pace.rate.spend(now)
        if urgency is Urgency.AMBIENT:
            self._pace.ambient.spend(now)
        if message.is_old:
            self._pace.old(message.story.channel_id).spend(now)
        task = asyncio.create_task(
            self._edit(message, urgency), name=f"edit of story {message.story.id}"
        )
        self._edits[message] = task
        task.add_done_callback(lambda _: self._edited(message))

    def _call_back(self) -> None:
        """Call back what is on its way; not a first post, for nobody would know of it."""
        for message, edit in self._edits.items():
            if message.message_id is not None:
                edit.cancel()

    def _edited(self, message: StoryMessage) -> None:
        self._edits.pop(message, None)
        message.in_flight = False
        self._go_on()

    async def _edit(self, message: StoryMessage, urgency: Urgency) -> None:
        """Bring one message up to date, or have it tried again."""
        bind_contextvars(story=message.story.id)
        try:
            over = await self._write(message)
        except asyncio.CancelledError:
            self.want(message, urgency)  # unless it is gone, or everything ends
            raise
        except MessageGoneError as error:
            _log.info("The message of story %d is gone: %s", message.story.id, error)
            self._forget(message)
            message.deleted()
            message.settle(error)
            return
        except RouteLostError as error:
            _log.info("Story %d: %s", message.story.id, error)
            self.want(message, urgency)
            return
        except OutOfReachError as error:
            self._out_of_reach(message, urgency, error)
            return
        except Exception as error:  # noqa: BLE001  # other messages are written all the same
            _log.exception("Story %d could not be drawn", message.story.id)
            self._out_of_reach(message, urgency, OutOfReachError(repr(error)))
            return
        message.reached()
        message.edited_at = self._pace.clock.time()
        for telling in over:
            telling.settle()
        if message.moves:
            self.want(message, Urgency.NEXT)

    def _out_of_reach(
        self, message: StoryMessage, urgency: Urgency, error: OutOfReachError
    ) -> None:
        """Have it tried again after a rest; who waits for its end is told after some tries."""
        message.out_of_reach(self._pace.clock.time())
        if message.failures == 1:
            _log.warning("Story %d cannot be shown now: %s", message.story.id, error)
        if message.has_ended and message.failures >= TRIES:
            self._forget(message)
            message.urgency = None
            message.settle(error)
        else:
            self.want(message, urgency)

    def _forget(self, message: StoryMessage) -> None:
        self._urgent.pop(message, None)
        self._ambient.pop(message, None)
