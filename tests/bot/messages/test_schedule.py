"""Whose turn it is to be written; time is what the test says."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from collections import defaultdict

import discord
import pytest

from bot.database.tables import State, Story
from bot.messages.message import TRIES, StoryMessage, Token
from bot.messages.pacing import OLD_SPACING, Pace
from bot.messages.schedule import AGES, RouteLostError, Schedule
from bot.messages.telling import Telling, Urgency
from bot.worker.presenter import MessageGoneError, OutOfReachError
from tests.bot.clock import Clock, settle

NEW = discord.utils.time_snowflake(dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
"""An id of a message that is never old."""
OLD = discord.utils.time_snowflake(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
LONG = "word " * 1000
_numbers = itertools.count(1)


class Scene:
    """Messages that are written down, with the moment and their words at that moment."""

    def __init__(self, *, interval: float = 1.2, per_second: int = 40, pace: float = 0.0) -> None:
        self.clock = Clock()
        self.pace = Pace(per_second=per_second, clock=self.clock)
        self.edits: list[tuple[float, int]] = []
        self.errors: dict[int, list[Exception]] = defaultdict(list)
        """Story id → what its next edits raise."""
        self.gate: dict[int, asyncio.Event] = {}
        self.words_per_second = pace
        self.schedule = Schedule(self._write, self.pace, interval=interval, words_per_second=pace)

    async def _write(self, message: StoryMessage) -> list[Telling]:
        message.reveal(self.clock.now, self.words_per_second)
        over = [telling for telling in message.tellings if telling.is_over]
        if gate := self.gate.get(message.story.id):
            await gate.wait()
        if errors := self.errors[message.story.id]:
            raise errors.pop(0)
        self.edits.append((round(self.clock.now, 2), message.story.id))
        return over

    def message(self, channel: int = 1, *, token: bool = False, old: bool = False) -> StoryMessage:
        number = next(_numbers)
        story = Story(
            id=number, interaction_id=number, channel_id=channel, prompt="", model="m",
            state=State.QUEUED, text="", asked_at=dt.datetime.now(dt.UTC),
        )  # fmt: skip
        way = Token(f"token {number}", until=900.0) if token else None
        number += OLD if old else NEW
        return StoryMessage.of(story, message_id=number, token=way)

    def telling(self, channel: int = 1, *, token: bool = False) -> StoryMessage:
        message = self.message(channel, token=token)
        message.tellings[0].began(message.story)
        self.tell(message)
        return message

    def tell(self, message: StoryMessage, piece: str = " word") -> None:
        urgency = message.tellings[0].heard(piece, self.clock.now)
        assert urgency is not None
        self.schedule.want(message, urgency)

    def end(self, message: StoryMessage) -> asyncio.Future[None]:
        story, (telling,) = message.story, message.tellings
        story.state, story.text = State.TOLD, telling.text
        telling.ended(story)
        shown = telling.shown()
        self.schedule.want(message, Urgency.LAST if telling.whole else Urgency.NEXT)
        return shown

    def times(self, *messages: StoryMessage) -> list[float]:
        ids = {message.story.id for message in messages}
        return [at for at, number in self.edits if number in ids]


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


async def test_first_words_go_out_at_once_and_the_newest_win_after_that() -> None:
    scene = Scene()
    one = scene.telling()
    await settle()
    for _ in range(3):
        scene.tell(one)
        await scene.clock.advance(0.1)
    await scene.clock.advance(5)
    first, second = scene.times(one)
    assert first == 0.0
    assert second >= 1.2


async def test_one_edit_of_a_message_is_in_flight_at_a_time() -> None:
    scene = Scene()
    one, two = scene.telling(), scene.telling()
    gate = scene.gate[one.story.id] = asyncio.Event()
    await scene.clock.advance(10)
    ended = scene.end(one)
    await scene.clock.advance(10)
    # Another message of the channel is written meanwhile.
    assert scene.times(two)
    assert scene.times(one) == []
    gate.set()
    await scene.clock.advance(5)
    assert len(scene.times(one)) == 2
    await ended


async def test_nothing_is_written_after_a_moment_until_that_is_put_off() -> None:
    scene = Scene()
    on_its_way, ends, posted = scene.telling(), scene.telling(), scene.telling()
    posted.message_id = None
    gates = [scene.gate.setdefault(one.story.id, asyncio.Event()) for one in (on_its_way, posted)]
    scene.schedule.write_until(5.0)
    await scene.clock.advance(4.9)
    assert scene.edits == [(0.0, ends.story.id)]
    await scene.clock.advance(0.2)
    for gate in gates:
        gate.set()
    shown = scene.end(ends)
    late = scene.telling()
    await scene.clock.advance(60)
    # Of a first post that was called back nobody would know where it stands.
    assert scene.edits == [(0.0, ends.story.id), (5.1, posted.story.id)]
    scene.schedule.drop(late)
    scene.schedule.write_until(100.0)
    await scene.clock.advance(1)
    await shown
    assert {number for at, number in scene.edits if at > 60} == {
        on_its_way.story.id,
        ends.story.id,
    }


async def test_no_window_of_the_channel_is_ever_used_up() -> None:
    scene = Scene(interval=0.5)
    messages = [scene.telling() for _ in range(8)]
    for _ in range(300):
        await scene.clock.advance(0.1)
        for message in messages:
            scene.tell(message)
    times = [at for at, _ in scene.edits]
    # A fifth edit in five seconds would let discord.py sleep on it.
    assert all(later - earlier >= 5 for earlier, later in zip(times, times[4:], strict=False))
    assert len(times) >= 20
    # Everybody is served, none twice as often as another.
    served = [len(scene.times(message)) for message in messages]
    assert max(served) <= min(served) + 1


async def test_eight_stories_together_move_on_every_two_seconds_while_their_tokens_live() -> None:
    scene = Scene()
    messages = [scene.telling(token=True) for _ in range(8)]
    for _ in range(300):
        await scene.clock.advance(0.1)
        for message in messages:
            scene.tell(message)
    for message in messages:
        assert max(gaps(scene.times(message))) <= 2.0


async def test_places_and_stars_are_shown_though_something_else_is_told_in_the_channel() -> None:
    scene = Scene()
    one, place = scene.telling(), scene.message()
    scene.schedule.want(place, Urgency.AMBIENT)
    for _ in range(200):
        await scene.clock.advance(0.1)
        scene.tell(one)
    assert scene.times(place)[0] <= AGES + 2.0
    assert max(gaps(scene.times(one))) <= 4.0


async def test_an_end_goes_before_words_and_words_before_places() -> None:
    scene = Scene()
    scene.pace.budget(1).learn(limit=5, left=0, reset_after=3, now=0)
    place, words, end = scene.message(), scene.telling(), scene.telling()
    scene.schedule.want(place, Urgency.AMBIENT)
    scene.end(end)
    await scene.clock.advance(2.9)
    assert scene.edits == []
    await scene.clock.advance(30)
    order = [number for _, number in scene.edits]
    assert order[:3] == [end.story.id, words.story.id, place.story.id]
    assert scene.edits[0][0] == 3.0


async def test_places_in_many_channels_share_ten_edits_a_second() -> None:
    scene = Scene()
    waiting = [scene.message(channel) for channel in range(100)]
    for message in waiting:
        scene.schedule.want(message, Urgency.AMBIENT)
    await scene.clock.advance(1.0)
    assert 9 <= len(scene.edits) <= 11
    # Story text never waits for that.
    words = scene.telling(200)
    await settle()
    assert scene.times(words) == [1.0]
    await scene.clock.advance(20)
    assert {number for _, number in scene.edits} >= {message.story.id for message in waiting}


async def test_all_edits_together_stay_within_discords_limit_whatever_tellers_says() -> None:
    scene = Scene()
    messages = [scene.telling(channel, token=True) for channel in range(200)]
    ends = []
    for second in range(20):
        for _ in range(10):
            await scene.clock.advance(0.1)
            for message in messages:
                scene.tell(message)
        late = scene.telling(1000 + second, token=True)
        ends.append((scene.clock.now, late))
    await scene.clock.advance(1.0)
    times = sorted(at for at, _ in scene.edits)
    in_a_second = [sum(at <= other < at + 1 for other in times) for at in times]
    assert max(in_a_second) <= 41  # forty, and one on the edge of two rounded seconds
    # Once all have begun, first words wait for nobody: live text gets coarser instead.
    assert max(scene.times(message)[0] - at for at, message in ends[5:]) <= 0.1
    assert min(len(scene.times(message)) for message in messages) >= 3


async def test_messages_older_than_an_hour_provoke_no_429() -> None:
    scene = Scene()
    old = [scene.message(token=token, old=True) for token in (True, False) * 5]
    for message in old:
        scene.schedule.want(message, Urgency.AMBIENT)
    await scene.clock.advance(60)
    times = scene.times(*old)
    assert len(times) == len(old)
    # Discord takes three in six seconds.
    assert min(gaps(times)) >= OLD_SPACING - 0.01
    # Nobody else waits for that.
    new = scene.telling()
    scene.schedule.want(scene.message(old=True), Urgency.AMBIENT)
    await settle()
    assert scene.times(new) == [60.0]


@pytest.mark.parametrize("failures", [1, 5])
async def test_a_message_out_of_reach_is_told_once_when_it_is_within_reach_again(
    failures: int,
) -> None:
    scene = Scene()
    one = scene.telling()
    scene.errors[one.story.id] = [OutOfReachError("403 Missing Access")] * failures
    ended = scene.end(one)
    await scene.clock.advance(70)
    assert len(scene.times(one)) == 1
    await ended


async def test_an_end_that_stays_out_of_reach_is_put_off() -> None:
    scene = Scene()
    one = scene.telling()
    scene.errors[one.story.id] = [OutOfReachError("the thread is archived")] * (TRIES + 1)
    ended = scene.end(one)
    await scene.clock.advance(600)
    with pytest.raises(OutOfReachError, match="archived"):
        await ended
    assert scene.edits == []


async def test_only_a_deletion_is_for_good() -> None:
    scene = Scene()
    one = scene.telling()
    scene.errors[one.story.id] = [MessageGoneError("10008")]
    ended = scene.end(one)
    await scene.clock.advance(1)
    with pytest.raises(MessageGoneError):
        await ended
    assert one.gone
    scene.schedule.want(one, Urgency.NEXT)
    await scene.clock.advance(60)
    assert scene.edits == []


async def test_stars_do_not_go_before_somebodys_first_words() -> None:
    scene = Scene(per_second=5)
    for channel in range(5):
        scene.telling(channel)
    await scene.clock.advance(0.5)
    rated = scene.message(6)
    rated.tellings[0].ended(rated.story)
    scene.schedule.want(rated, Urgency.AMBIENT)
    told = scene.telling(7)
    await scene.clock.advance(1)
    (words,), (stars,) = scene.times(told), scene.times(rated)
    assert [number for _, number in scene.edits][5:] == [told.story.id, rated.story.id]
    assert words <= stars


async def test_a_route_that_is_lost_costs_no_time() -> None:
    scene = Scene()
    one = scene.message(token=True)
    scene.errors[one.story.id] = [RouteLostError("the token is dead")]
    scene.schedule.want(one, Urgency.LAST)
    await settle()
    assert scene.times(one) == [0.0]


async def test_an_error_of_our_own_stops_no_other_message() -> None:
    scene = Scene()
    one, two = scene.telling(1), scene.telling(2)
    scene.errors[one.story.id] = [ZeroDivisionError("a fault of ours")]
    await scene.clock.advance(5)
    assert scene.times(one)
    assert scene.times(two)


@pytest.mark.parametrize("posted", [True, False], ids=["an edit", "the first post"])
async def test_who_comes_after_a_message_that_is_dropped_waits_for_what_is_on_its_way(
    posted: bool,
) -> None:
    scene = Scene()
    one = scene.telling()
    if not posted:
        one.message_id = None
    gate = scene.gate[one.story.id] = asyncio.Event()
    shown = scene.end(one)
    await settle()
    scene.schedule.drop(one)
    following = StoryMessage.of(one.story, message_id=NEW)
    scene.schedule.want(following, Urgency.LAST)
    await settle()
    with pytest.raises(OutOfReachError):
        await shown
    if not posted:
        await scene.clock.advance(10)
        assert scene.edits == []
    gate.set()
    await scene.clock.advance(5)
    # The edit was called back; the post was not, and its message is written no more.
    assert len(scene.edits) == (1 if posted else 2)
    scene.schedule.want(one, Urgency.LAST)
    await scene.clock.advance(5)
    assert len(scene.edits) == (1 if posted else 2)


async def test_what_is_being_answered_is_left_alone_until_it_is() -> None:
    scene = Scene()
    one = scene.message()
    scene.schedule.hold(one.story.interaction_id)
    one.tellings[0].began(one.story)
    scene.tell(one)
    await scene.clock.advance(10)
    assert scene.edits == []
    scene.schedule.let_go(one.story.interaction_id)
    await settle()
    assert scene.times(one) == [10.0]


async def test_the_last_word_is_shown_as_soon_as_its_turn_has_come() -> None:
    scene = Scene(interval=1.2, pace=5.0)
    one = scene.message()
    one.tellings[0].began(one.story)
    scene.tell(one, " one two three four five six seven eight nine ten eleven twelve")
    ended = scene.end(one)
    await scene.clock.advance(1.3)
    assert not ended.done()
    await scene.clock.advance(0.2)
    assert ended.done()


async def test_closing_cancels_who_waits_and_ends_what_is_in_flight() -> None:
    scene = Scene()
    one, two = scene.telling(), scene.message()
    scene.gate[one.story.id] = asyncio.Event()
    ended, later = scene.end(one), two.tellings[0].shown()
    scene.schedule.want(two, Urgency.AMBIENT)
    await settle()
    await scene.schedule.close()
    assert ended.cancelled()
    assert later.cancelled()
    assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("edit of")]
