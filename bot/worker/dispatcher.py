"""Moves stories from the queue to the generator, and what is told back to its message."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from structlog.contextvars import bound_contextvars

from bot.database.clock import now
from bot.database.errors import cause, passes
from bot.database.lock import owner_name
from bot.database.tables import Length, State
from bot.database.turns import LIVE
from bot.safety.live import UnfitError
from bot.worker.backoff import Backoff
from bot.worker.catalogue import UnknownModelError
from bot.worker.completions import (
    GeneratorBusyError,
    GeneratorDownError,
    GeneratorFailedError,
    GeneratorLostError,
    GeneratorModelGoneError,
    GeneratorRefusedError,
)
from bot.worker.listening import Listener, RepeatsItselfError
from bot.worker.presenter import MessageGoneError, OutOfReachError
from bot.worker.suspects import Suspects

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from bot.config import Settings
    from bot.database.queue import Queue
    from bot.database.stories import Stories
    from bot.database.tables import Story
    from bot.worker.bell import Bell
    from bot.worker.catalogue import Catalogue
    from bot.worker.completions import Completions
    from bot.worker.metrics import Metrics
    from bot.worker.presenter import Presenter
    from bot.worker.screening import Screening

_log = logging.getLogger(__name__)

T = TypeVar("T")

SHOWING = 100
"""Endings that are shown at the same time before further ones are taken from the queue."""
AHEAD = 400
"""Told stories that are not shown yet, beyond which none is begun: the queue limits who waits."""
PLACES_EVERY = 1.0
"""Seconds between two looks at everybody's place."""
AFTER_A_FAILURE = 1.0
"""Seconds until the database is tried again."""
FIRST_REST = 0.5
LONGEST_REST = 30.0
"""Seconds that a model rests when its server does not answer; doubled from first to longest."""
SAGA_PARTS = 3
"""Parts before which a saga goes on though its model came to an end."""
REDRAWN = 1
"""Times that a story is told anew which is not fit to be shown, or goes round in circles."""
UNFIT = "unfit"
"""Why a story is withheld that was not fit then either."""
LONGEST_ASIDE = 60.0
"""Seconds that a story which was turned away lets others go first, at most."""
LONGEST_DELAY = 3600.0
"""Seconds until an ending that could not be shown is tried again; doubled from a lease to these."""


class Dispatcher:
    """Runs up to `settings.queue.tellers` tellings at once; none of them can stop another.

    The queue's rows are the truth. What is kept here, a task for each story and which models
    rest, can be lost at any moment.
    """

    def __init__(
        self,
        queue: Queue,
        stories: Stories,
        completions: Completions,
        catalogue: Catalogue,
        presenter: Presenter,
        bell: Bell,
        settings: Settings,
        screening: Screening,
        metrics: Metrics,
        owner: str | None = None,
    ) -> None:
        """`owner`: its name in the leases; None: any that nobody else has."""
        self._queue = queue
        self._stories = stories
        self._catalogue = catalogue
        self._presenter = presenter
        self._bell = bell
        self._settings = settings
        self._metrics = metrics
        self._listener = Listener(
            stories, completions, screening, presenter, memory=settings.stories.memory
        )
        self._owner = owner or owner_name()
        self._tellings: dict[int, asyncio.Task[None]] = {}
        self._showings: dict[int, asyncio.Task[None]] = {}
        self._models: Backoff[str] = Backoff(FIRST_REST, LONGEST_REST)
        """Models whose server is full or away."""
        self._aside: Backoff[int] = Backoff(FIRST_REST, LONGEST_ASIDE)
        """Stories that were turned away: they let others go first when their server is tried again.

        Some servers turn one story away alone, with the same answers as if they were full: without
        this it would be the next again each time, and nobody behind it would be told.
        """
        self._put_off: Backoff[int] = Backoff(settings.queue.lease, LONGEST_DELAY)
        """Endings that could not be shown: a thread may be archived for days."""
        self._suspects = Suspects()
        self._broken_off: dict[int, str] | None = None
        """What is shown of each story that was being told when it was said to stop; None: work."""
        self._moved = asyncio.Event()
        self._upkeep_due = 0.0
        self._missed = ""
        """What the host was told about the database, which has not worked since."""

    def resume(self) -> None:
        """Let every model be tried at once: the generator is there (again)."""
        self._models.clear()
        self._aside.clear()
        self._bell.ring()

    async def run(self) -> None:
        """Work until cancelled; then give every story back so that the next start has them."""
        places = asyncio.create_task(self._tell_places())
        try:
            while True:
                self._bell.quiet()
                try:
                    await self._round()
                except (SQLAlchemyError, OSError) as error:
                    await self._without_database(error)
                    continue
                self._missed = ""
                await self._bell.wait(until=self._upkeep_due)
        finally:
            await self._stop([places, *self._tellings.values(), *self._showings.values()])

    async def _stop(self, tasks: list[asyncio.Task[None]]) -> None:
        self._broken_off = {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            ours = await self._queue.held(self._owner)
            await self._queue.release(self._owner, ours, self._broken_off)
        except (SQLAlchemyError, OSError) as error:
            _log.warning("Stories are given back at the next start only: %s", cause(error))

    async def _without_database(self, error: Exception) -> None:
        """Tell the host what is wrong with the database, once, and wait a little."""
        if self._missed != (said := cause(error)):
            self._missed = said
            _log.error("The queue cannot be read or written; trying again: %s", said)
        await asyncio.sleep(AFTER_A_FAILURE)

    async def _written(self, change: Callable[[], Awaitable[T]]) -> T:
        """Write what would be lost otherwise, as soon as the database can be written."""
        while True:
            try:
                return await change()
            except (SQLAlchemyError, OSError) as error:
                if not passes(error):
                    raise
                await self._without_database(error)

    async def _round(self) -> None:
        loop = asyncio.get_running_loop()
        ours, sure_at = self._busy(), self._bell.sure_at
        if loop.time() >= self._upkeep_due:
            # First, or the sweep would end what we still tell after this machine slept.
            held = await self._queue.renew(self._owner, ours) if ours else set()
            await self._queue.sweep()
            self._upkeep_due = loop.time() + self._settings.queue.lease / 3
        else:
            held = await self._queue.held(self._owner) if ours else set()
        for story_id in ours - held:
            # Called off, or the lease ran out while this process stood still; or ended meanwhile.
            if task := self._tellings.get(story_id) or self._showings.get(story_id):
                task.cancel()
                self._presenter.lost(story_id)
        self._presenter.sure(sure_at)
        if (room := SHOWING - len(self._showings)) > 0:
            busy = self._busy() | self._put_off.resting(loop.time())
            for story in await self._queue.unshown(self._owner, room, busy=busy):
                self._start(self._showings, story, self._show)
        rests = self._bell.paused or len(self._showings) >= AHEAD
        while not rests and len(self._tellings) < self._settings.queue.tellers:
            if (following := await self._claim()) is None:
                break
            self._start(self._tellings, following, self._tell)
            self._suspects.began(following.id, self._tellings.keys())
        self._moved.set()

    async def _claim(self) -> Story | None:
        """Take the next story; one under suspicion only when it can be told alone."""
        loop, telling = asyncio.get_running_loop(), self._tellings.keys()
        resting = self._models.resting(loop.time())
        if alone := self._suspects.to_be_told_alone(loop.time()):
            if alone & telling:
                return None
            live = [s for s in await self._stories.several(alone) if s.state in LIVE]
            if any(s.model not in resting and _is_free(s) for s in live):
                if telling:
                    return None  # it is waited for until the others have ended
                return await self._queue.claim(
                    self._owner, resting=resting, busy=self._busy(), only=alone
                )
            self._wake_in(self._suspects.rest(loop.time(), {s.id for s in live}))
        busy = self._busy() | self._suspects.to_be_told_alone()
        if aside := self._aside.resting(loop.time()):
            following = await self._queue.claim(self._owner, resting=resting, busy=busy | aside)
            if following is not None:
                return following
        return await self._queue.claim(self._owner, resting=resting, busy=busy)

    def _busy(self) -> set[int]:
        """Stories that must not be taken a second time, even when their lease has run out."""
        return self._tellings.keys() | self._showings.keys()

    def _start(
        self,
        tasks: dict[int, asyncio.Task[None]],
        story: Story,
        work: Callable[[Story], Coroutine[None, None, None]],
    ) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            del tasks[story.id]
            self._suspects.ended(story.id)
            self._bell.ring()
            if not task.cancelled() and (error := task.exception()):
                # Its lease is not renewed any more: it runs out, and the story is begun again.
                _log.error("Story %d failed in an unforeseen way", story.id, exc_info=error)

        with bound_contextvars(story=story.id):  # the task's own from now on
            task = tasks[story.id] = asyncio.create_task(work(story), name=f"story {story.id}")
        task.add_done_callback(ended)

    async def _tell(self, story: Story) -> None:
        ended: Story | None = None
        _log.info("Story %d begins, attempt %d, by %s", story.id, story.attempts, story.model)
        self._metrics.began(story)
        try:
            told = await self._listener.hear(story, lambda: self._recovered(story))
        except asyncio.CancelledError:
            if self._broken_off is not None:  # all are given back together
                self._broken_off[story.id] = self._presenter.broke_off(story)
            raise
        except (GeneratorBusyError, GeneratorDownError) as error:
            self._turn_away(story, error)
            await self._give_back(story)
        except GeneratorRefusedError as error:
            ended = await self._refused(story, error)
        except GeneratorFailedError as error:
            _log.warning("Story %d, attempt %d: %s", story.id, story.attempts, error)
            ended = await self._failed(story, error)
        except MessageGoneError as error:
            await self._abandon(story, error)
        except (RepeatsItselfError, UnfitError) as error:
            ended = await self._draw_anew(story, error)
        else:
            self._suspects.acquit(story.id)
            _log.info("Story %d is told: %d tokens", story.id, told.tokens)
            final = self._is_final(story, by_itself=told.by_itself)
            ended = await self._written(
                lambda: self._queue.told(story, self._owner, told.text, told.tokens, final=final)
            )
        if ended is not None:
            # Its words may be shown for a while yet; the teller is free for the next story.
            self._start(self._showings, ended, self._show)

    def _recovered(self, story: Story) -> None:
        """Its server tells: nothing of it rests any more."""
        self._models.recovered(story.model)
        self._aside.recovered(story.id)

    async def _refused(self, story: Story, error: GeneratorRefusedError) -> Story | None:
        """End a story that would be refused again.

        One whose model is gone is told by another, if nobody chose this one.
        """
        text, gone = self._presenter.broke_off(story), isinstance(error, GeneratorModelGoneError)
        if gone and story.model == self._settings.stories.model:
            with suppress(UnknownModelError, GeneratorDownError):
                other = await self._catalogue.default()
                if other != story.model:
                    await self._queue.give_back(story.id, self._owner, text=text, model=other)
                    return None
        _log.error("Story %d is refused: %s", story.id, error)
        return await self._queue.fail(story.id, self._owner, str(error), text=text)

    def _is_final(self, story: Story, *, by_itself: bool) -> bool:
        """Whether a tale that was told so far has come to its end."""
        settings = self._settings.stories
        if story.length is Length.SAGA:
            # Small models end nearly every telling by themselves: one part is no saga.
            own_end = by_itself and story.part >= SAGA_PARTS
            if own_end or story.part >= settings.saga_parts:
                return True
        return story.part >= settings.parts

    async def _draw_anew(
        self, story: Story, error: RepeatsItselfError | UnfitError
    ) -> Story | None:
        """Have a story told once more, with another seed; gives it if it is withheld for good."""
        _log.info("Story %d, seed %d, is drawn anew or ends: %s", story.id, story.seed, error)
        # Of what is unfit as a whole nobody knows which words are shown.
        whole = isinstance(error, UnfitError) and error.category is None
        text = self._presenter.broke_off(story, keep=not whole)
        if story.redrawn < REDRAWN:
            await self._queue.draw_anew(story.id, self._owner, text=text)
            return None
        return await self._queue.fail(story.id, self._owner, str(error), text=text, withheld=UNFIT)

    async def _give_back(self, story: Story) -> None:
        """Let a story wait again as if it had not been begun: nobody is at fault."""
        await self._queue.give_back(story.id, self._owner, text=self._presenter.broke_off(story))

    async def _failed(self, story: Story, error: GeneratorFailedError) -> Story | None:
        """Have a story tried again; gives it if it was the last time and the story has ended."""
        if isinstance(error, GeneratorLostError) and self._suspects.lost(story.id):
            # Another story may have taken the generator with it: this is no attempt of its own.
            await self._give_back(story)
            return None
        text = self._presenter.broke_off(story)
        after = await self._queue.retry(story, self._owner, str(error), text=text)
        if after is None or after.state is not State.QUEUED:
            return after
        assert after.lease_until is not None  # noqa: S101  # retry has set it
        self._wake_in((after.lease_until - now()).total_seconds())
        return None

    async def _show(self, story: Story) -> None:
        """Show how a story ended; only then it is over for us."""
        try:
            await self._presenter.ended(story)
        except MessageGoneError as error:
            await self._abandon(story, error)
        except OutOfReachError as error:
            _log.warning("The end of story %d cannot be shown for now: %s", story.id, error)
            await self._show_later(story)
        except Exception:  # noqa: BLE001  # whatever Discord's side raises, it may work later
            _log.exception("The end of story %d cannot be shown; trying again later", story.id)
            await self._show_later(story)
        else:
            self._put_off.recovered(story.id)
            await self._written(lambda: self._queue.shown(story.id, story.state))
            self._metrics.ended(story)
            _log.info("Story %d is over (%s), and shown", story.id, story.state.value)

    async def _show_later(self, story: Story) -> None:
        """Try to show the end again after a while."""
        self._put_off.failed(story.id, asyncio.get_running_loop().time())
        await self._queue.postpone(story.id, self._owner)

    async def _abandon(self, story: Story, error: MessageGoneError) -> None:
        _log.info("Story %d has nowhere to be shown: %s", story.id, error)
        self._put_off.recovered(story.id)
        await self._queue.abandon(story.id, self._owner, str(error))

    def _turn_away(self, story: Story, error: GeneratorBusyError | GeneratorDownError) -> None:
        """Ask a model's server for nothing for a while, and then for another story first."""
        model, moment = story.model, asyncio.get_running_loop().time()
        known = model in self._models.resting(moment)
        if isinstance(error, GeneratorBusyError):
            rest = self._models.rest(model, moment, error.retry_after)
        else:
            rest = self._models.failed(model, moment)
        if not known:
            _log.info("%s rests for %.1f s: %s", model, rest, error)
        self._aside.failed(story.id, moment, at_least=2 * rest)
        self._wake_in(rest)

    def _wake_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(max(seconds, 0.0), self._bell.ring)

    async def _tell_places(self) -> None:
        """Tell those who wait where they stand, whenever the queue moved."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            try:
                self._presenter.waiting(await self._queue.positions())
            except Exception:  # noqa: BLE001  # a place untold must not end the telling of places
                _log.exception("Nobody was told their place")
            await asyncio.sleep(PLACES_EVERY)


def _is_free(story: Story) -> bool:
    """It does not rest after a failure."""
    return story.lease_until is None or story.lease_until < now()
