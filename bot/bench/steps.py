"""Every public method of the repositories once, as the bot calls it."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from bot.config import Queue as QueueSettings
from bot.config import Votes
from bot.database.boards import Board, Boards, Notice
from bot.database.browsing import Browsing, Span, Viewer
from bot.database.clock import now
from bot.database.departures import Departures
from bot.database.duels import Choice, Duels
from bot.database.figures import Figures
from bot.database.guilds import Guilds
from bot.database.holdings import HOLDINGS
from bot.database.mutes import Mutes
from bot.database.openings import Openings
from bot.database.privacy import Privacy
from bot.database.queue import Queue
from bot.database.ratings import Ratings
from bot.database.removals import Removals
from bot.database.reports import Reports
from bot.database.stories import Stories
from bot.database.tables import Duel, Form, State
from bot.database.trail import Act, Trail
from bot.database.wishes import Wish

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.database.sessions import Sessions
    from bot.database.tables import Story


OWNER = "bench"
DAY = dt.timedelta(days=1)
TIE = Choice.TIE
DUEL_EVERY = 4
"""Each so manieth interaction of the filled database asked for a duel."""
FOLLOWS_EVERY, FOLLOWS_BACK = 10, 1000
"""In the filled database each so manieth story continues about the so manieth before it."""
MEMBER = -2
"""Nobody who asked for a story of the filled database."""


@dataclass(frozen=True, slots=True)
class Step:
    """One method to be measured, after what has to come before it."""

    name: str
    """`repository.method`."""
    take: Callable[[Any], Awaitable[object]]
    prepare: Callable[[], Awaitable[Any]]


class Bench:
    """The repositories over a filled database, and numbers that were not used yet."""

    def __init__(self, sessions: Sessions, count: int) -> None:
        """Take the database; `count` is how many stories are in it."""
        limits = {"waiting": 1_000_000, "per_server": 100_000, "per_member": 1000}
        self.queue = Queue(sessions, QueueSettings(**limits))
        self.stories = Stories(sessions)
        self.ratings = Ratings(sessions, Votes())
        self.guilds = Guilds(sessions)
        self.browsing = Browsing(sessions)
        self.figures = Figures(sessions)
        self.mutes = Mutes(sessions)
        self.reports = Reports(sessions)
        self.removals = Removals(sessions)
        self.trail = Trail(sessions)
        self.privacy = Privacy(sessions)
        self.departures = Departures(sessions)
        self.openings = Openings(sessions)
        self.boards = Boards(sessions)
        self.duels = Duels(sessions, votes=1_000_000)
        self._sessions = sessions
        self._random = random.Random(7)
        self._count = count
        self._numbers = itertools.count(10**9)

    def number(self) -> int:
        """Give an interaction's number, larger than all before."""
        return next(self._numbers)

    async def forgetful(self) -> Guilds:
        """Give servers' choices that are not in memory yet."""
        return Guilds(self._sessions)

    async def told_id(self) -> int:
        """Give any told story's id."""
        return self._random.randint(1, self._count // 2)

    async def viewer(self) -> Viewer:
        """Give somebody who looks for stories in one of the servers, and may see most of it."""
        server = self._random.randrange(1, max(self._count // 500, 2))
        return Viewer(server, MEMBER, frozenset(range(900)))

    async def member(self) -> Viewer:
        """Give a member who asked for stories."""
        story = await self.stories.get(await self.told_id())
        assert story is not None  # noqa: S101  # the database is filled
        return Viewer(story.guild_id, story.member_id)

    async def one_of_two(self) -> Story:
        """Give a story as if it stood in a duel."""
        story = await self.part()
        story.form = Form.DUEL
        return story

    async def duel_id(self) -> int:
        """Give the interaction of any duel, which takes votes again."""
        interaction_id = max(await self.told_id(), DUEL_EVERY) // DUEL_EVERY * DUEL_EVERY
        later = now() + dt.timedelta(hours=1)
        async with self._sessions.begin() as session:
            await session.execute(
                update(Duel)
                .where(Duel.interaction_id == interaction_id)
                .values(closed_at=None, closes_at=later)
            )
        return interaction_id

    async def part(self) -> Story:
        """Give a story that continues another."""
        every = FOLLOWS_EVERY
        story_id = max(await self.told_id(), FOLLOWS_BACK + every) // every * every
        story = await self.stories.get(story_id)
        assert story is not None  # noqa: S101  # the database is filled
        return story

    def wish(self) -> Wish:
        """Give what a member may ask for."""
        return Wish(
            interaction_id=self.number(),
            guild_id=1,
            channel_id=1,
            member_id=MEMBER,
            prompt="In the year",
            house_opening=True,
            model="gpt2-starter",
            seed=1,
            parent_id=1,
            answer_token="a token",  # noqa: S106  # of nobody
        )

    async def asked(self) -> Story:
        """Give a story that was just asked for."""
        return await self.queue.enqueue(self.wish())

    async def several(self) -> list[Wish]:
        """Give the two wishes of one interaction."""
        wish = self.wish()
        return [wish, replace(wish, nth=1)]

    async def claimed(self) -> Story:
        """Give a story that is being told."""
        story = await self.queue.claim(OWNER)
        assert story is not None  # noqa: S101  # more wait than are ever claimed
        return story

    async def unshown(self) -> Story:
        """Give a story that was told and is not shown."""
        story = await self.claimed()
        await self.queue.told(story, OWNER, story.prompt, 1)
        return story


async def _nothing() -> None:
    """Before it nothing has to come."""


def steps(bench: Bench) -> list[Step]:
    """Give every method once, in the order in which a story meets them."""
    queue, ratings, stories, guilds = bench.queue, bench.ratings, bench.stories, bench.guilds
    browsing, figures = bench.browsing, bench.figures
    mutes, trail, reports, removals = bench.mutes, bench.trail, bench.reports, bench.removals
    duels = bench.duels
    return [
        Step("queue.enqueue", lambda _: bench.asked(), _nothing),
        Step("queue.enqueue_together", queue.enqueue_together, bench.several),
        Step("queue.posted", lambda story: queue.posted(story.id, 1), bench.claimed),
        Step("queue.answerable", lambda story: queue.answerable(story.id, "x"), bench.claimed),
        Step("queue.position", lambda story: queue.position(story.id), bench.asked),
        Step("queue.positions", lambda _: queue.positions(), _nothing),
        Step("queue.claim", lambda _: queue.claim(OWNER, resting=["x"], busy=[1, 2]), _nothing),
        Step("queue.renew", lambda story: queue.renew(OWNER, [story.id]), bench.claimed),
        Step("queue.held", lambda _: queue.held(OWNER), _nothing),
        Step("queue.told", lambda s: queue.told(s, OWNER, "text " * 180, 1), bench.claimed),
        Step("queue.retry", lambda story: queue.retry(story, OWNER, "no"), bench.claimed),
        Step("queue.fail", lambda story: queue.fail(story.id, OWNER, "no"), bench.claimed),
        Step("queue.release", lambda s: queue.release(OWNER, [s.id]), bench.claimed),
        Step("queue.draw_anew", lambda s: queue.draw_anew(s.id, OWNER, text=""), bench.claimed),
        Step("queue.give_back", lambda s: queue.give_back(s.id, OWNER, text=""), bench.claimed),
        Step("queue.cancel", lambda s: queue.cancel(s.id, MEMBER, moderator_id=1), bench.asked),
        Step("queue.unshown", lambda _: queue.unshown(OWNER, 8, busy=[1, 2]), _nothing),
        Step("queue.postpone", lambda story: queue.postpone(story.id, OWNER), bench.unshown),
        Step("queue.shown", lambda s: queue.shown(s.id, State.TOLD), bench.unshown),
        Step("queue.abandon", lambda s: queue.abandon(s.id, OWNER, "gone"), bench.claimed),
        Step("queue.live", lambda _: queue.live(), _nothing),
        Step("queue.stood", lambda s: queue.stood(s.id, "a fox"), bench.claimed),
        Step("queue.sweep", lambda _: queue.sweep(), _nothing),
        Step("queue.release_dead", lambda _: queue.release_dead([OWNER]), _nothing),
        Step("queue.release_all", lambda _: queue.release_all(), _nothing),
        Step("stories.get", stories.get, bench.told_id),
        Step("stories.several", lambda story_id: stories.several([story_id, 2]), bench.told_id),
        Step("stories.together", stories.together, bench.told_id),
        Step("stories.thread", stories.thread, bench.part),
        Step("stories.following", lambda i: stories.following([i, 2]), bench.told_id),
        Step("stories.asked_in", lambda i: stories.asked_in(1, 10, before=i), bench.told_id),
        Step("ratings.rate", lambda i: ratings.rate(i, MEMBER, 5, bench.number()), bench.told_id),
        Step("ratings.stars", ratings.stars, bench.told_id),
        Step("browsing.top", lambda one: browsing.top(one, Span.MONTH, 3), bench.viewer),
        Step("browsing.new", lambda one: browsing.new(one, 20), bench.viewer),
        Step("browsing.mine", lambda one: browsing.mine(one, 1), bench.member),
        Step("browsing.search", lambda one: browsing.search(one, "moon year", 3), bench.viewer),
        Step("browsing.any_one", browsing.any_one, bench.viewer),
        Step("browsing.is_blind", browsing.is_blind, bench.one_of_two),
        Step("figures.last_closed", lambda _: figures.last_closed(), _nothing),
        Step("figures.ballots", lambda _: figures.ballots(), _nothing),
        Step("figures.likes", lambda _: figures.likes(), _nothing),
        Step("figures.month", lambda _: figures.month(1), _nothing),
        Step("guilds.choices", lambda fresh: fresh.choices(1), bench.forgetful),
        Step("guilds.settings", lambda fresh: fresh.settings(1), bench.forgetful),
        Step("guilds.model", lambda fresh: fresh.model(1), bench.forgetful),
        Step("guilds.story_channels", lambda _: guilds.story_channels(), _nothing),
        Step("guilds.change", lambda _: guilds.change(bench.number(), 1, quota=5), _nothing),
        Step(
            "guilds.change_by",
            lambda _: guilds.change_by(bench.number(), 1, lambda of: {"quota": of.quota + 5}),
            _nothing,
        ),
        Step("duels.of", duels.of, bench.duel_id),
        Step("duels.vote", lambda i: duels.vote(i, MEMBER, TIE, bench.number()), bench.duel_id),
        Step("duels.close", duels.close, bench.duel_id),
        Step("duels.close_due", lambda _: duels.close_due(), _nothing),
        Step("duels.next_close", lambda _: duels.next_close(), _nothing),
        Step("guilds.filter_words", lambda fresh: fresh.filter_words(1), bench.forgetful),
        Step("guilds.drop_board", lambda _: guilds.drop_board(1, 1), _nothing),
        Step("guilds.use_model", lambda _: guilds.use_model(1, "x", 1), _nothing),
        Step("mutes.until", lambda _: mutes.until(1, MEMBER), _nothing),
        Step("mutes.mute", lambda _: mutes.mute(1, MEMBER, DAY, 1, "no"), _nothing),
        Step("mutes.unmute", lambda _: mutes.unmute(1, MEMBER, 1), _nothing),
        Step("mutes.tidy", lambda _: mutes.tidy(), _nothing),
        Step("reports.add", lambda i: reports.add(i, 1, bench.number(), "no"), bench.told_id),
        Step("reports.get", lambda _: reports.get(1), _nothing),
        Step("reports.of_story", reports.of_story, bench.told_id),
        Step("reports.waiting", lambda _: reports.waiting(1, 1), _nothing),
        Step("reports.keep", lambda i: reports.keep(i, 1, 1), bench.told_id),
        Step("removals.remove", lambda i: removals.remove(i, moderator_id=1), bench.told_id),
        Step("trail.page", lambda _: trail.page(1, 10, act=Act.MUTE, moderator_id=1), _nothing),
        *_beginning(bench),
        *_leaving(bench),
    ]


def _beginning(bench: Bench) -> list[Step]:
    """What a server's own openings and its board take."""
    openings, boards = bench.openings, bench.boards
    board = Board(1, 1, 18, None, now())

    async def proposed() -> int:
        number = bench.number()
        return await openings.propose(1, number, f"opening {number}")

    return [
        Step("openings.propose", lambda _: proposed(), _nothing),
        Step("openings.accepted", lambda _: openings.accepted(1), _nothing),
        Step("openings.waiting", lambda _: openings.waiting(1), _nothing),
        Step("openings.get", lambda opening_id: openings.get(opening_id, 1), proposed),
        Step("openings.find", lambda _: openings.find(1, "opening 1"), _nothing),
        Step("openings.decide", lambda i: openings.decide(i, 1, 1, accepted=False), proposed),
        Step("boards.due", lambda _: boards.due(Notice.DAILY), _nothing),
        Step("boards.posted", lambda _: boards.posted(board, Notice.DAILY), _nothing),
        Step("boards.best_of_the_week", lambda _: boards.best_of_the_week(1, 1), _nothing),
        Step("boards.forget_asked", lambda _: boards.forget_asked(), _nothing),
    ]


def _leaving(bench: Bench) -> list[Step]:
    """What a member's or a server's leaving takes, of which each is one of many."""
    privacy, departures = bench.privacy, bench.departures
    audit = next(holding for holding in HOLDINGS if holding.name == "audit")
    return [
        Step("privacy.page", lambda _: privacy.page(HOLDINGS[0], MEMBER, 100), _nothing),
        Step("privacy.unfinished", lambda _: privacy.unfinished(MEMBER), _nothing),
        Step("privacy.last_story", lambda _: privacy.last_story(), _nothing),
        Step("privacy.lately_forgotten", lambda _: privacy.lately_forgotten(), _nothing),
        Step("privacy.copies", lambda after: privacy.copies(MEMBER, after), bench.told_id),
        Step("privacy.blank", lambda story_id: privacy.blank([story_id]), bench.told_id),
        Step(
            "privacy.forget_stories",
            lambda _: privacy.forget_stories(MEMBER, words=True),
            _nothing,
        ),
        Step("privacy.forget_ratings", lambda _: privacy.forget_ratings(MEMBER), _nothing),
        Step("privacy.forget_some", lambda _: privacy.forget_some(audit, MEMBER), _nothing),
        Step("departures.joined", lambda _: departures.joined([1, 2]), _nothing),
        Step("departures.left", lambda _: departures.left([2]), _nothing),
        Step("departures.known", lambda _: departures.known(), _nothing),
        Step("departures.due", lambda _: departures.due(30), _nothing),
        Step("departures.forget_some", lambda _: departures.forget_some(-7), _nothing),
    ]
