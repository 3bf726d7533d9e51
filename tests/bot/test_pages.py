"""Whose turn it is to be edited; time is what the test says."""

from __future__ import annotations

import asyncio
import datetime as dt
from unittest.mock import Mock

import discord
import pytest

from bot.database.tables import State, Story
from bot.messages.pacing import EditBudget, Turns
from bot.messages.pages import AMBIENT_HOLDS, Channel, Drawing, Page, Urgency
from bot.worker.stage import StageClosedError, StageGoneError
from tests.bot.clock import Clock, settle


class Scene:
    """One channel that writes down when it was edited and with what."""

    def __init__(
        self,
        *,
        interval: float = 1.2,
        limit: int = 5,
        clock: Clock | None = None,
        ambient: Turns | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.budget = EditBudget(limit)
        self.edits: list[tuple[float, int, str]] = []
        self.errors: list[Exception] = []
        self.gate: asyncio.Event | None = None
        self.channel = Channel(
            write=self._write,
            budget=self.budget,
            ambient=ambient or Turns(),
            interval=interval,
            clock=self.clock,
        )

    async def _write(self, page: Page, drawing: Drawing) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.errors:
            raise self.errors.pop()
        self.edits.append((round(self.clock.now, 2), page.story.id, str(drawing.embed.title)))

    def want(self, page: Page, text: str, urgency: Urgency) -> None:
        async def draw() -> Drawing:
            return Drawing(discord.Embed(title=text), discord.ui.View())

        page.want(draw, urgency)
        self.channel.add(page)


def page(number: int = 1) -> Page:
    story = Story(
        id=number, prompt="", model="m", state=State.TELLING, asked_at=dt.datetime.now(dt.UTC)
    )
    return Page(story, message_id=number)


async def test_first_words_go_out_at_once_and_the_newest_win_after_that() -> None:
    scene, one = Scene(), page()
    scene.want(one, "a", Urgency.FIRST)
    await settle()
    for text in ("ab", "abc", "abcd"):
        scene.want(one, text, Urgency.NEXT)
        await scene.clock.advance(0.1)
    await scene.clock.advance(5)
    assert [(number, text) for _, number, text in scene.edits] == [(1, "a"), (1, "abcd")]
    assert scene.edits[0][0] == 0.0
    assert scene.edits[1][0] >= 1.2


async def test_one_edit_is_in_flight_at_a_time() -> None:
    scene, one, two = Scene(), page(1), page(2)
    scene.gate = asyncio.Event()
    scene.want(one, "a", Urgency.FIRST)
    scene.want(two, "b", Urgency.FIRST)
    await scene.clock.advance(10)
    scene.want(one, "a, the end", Urgency.LAST)
    assert scene.edits == []
    scene.gate.set()
    await scene.clock.advance(0)
    # The end that came meanwhile overtakes the other's first words.
    assert [text for _, _, text in scene.edits] == ["a", "a, the end", "b"]


async def test_no_window_of_the_channel_is_ever_used_up() -> None:
    scene = Scene(interval=0.5)
    pages = [page(number) for number in range(1, 9)]
    for one in pages:
        scene.want(one, "first", Urgency.FIRST)
    for _ in range(300):
        await scene.clock.advance(0.1)
        for one in pages:
            scene.want(one, f"at {scene.clock.now:.1f}", Urgency.NEXT)
    times = [at for at, _, _ in scene.edits]
    # A fifth edit in five seconds would let discord.py sleep on it.
    assert all(later - earlier >= 5 for earlier, later in zip(times, times[4:], strict=False))
    assert len(times) >= 20
    # Everybody is served, none twice as often as another.
    served = [sum(number == one.story.id for _, number, _ in scene.edits) for one in pages]
    assert max(served) <= min(served) + 1


async def test_an_end_goes_before_words_and_words_before_places() -> None:
    scene = Scene()
    scene.budget.learn(limit=5, left=0, reset_after=3, now=0)
    wishes = [Urgency.AMBIENT, Urgency.NEXT, Urgency.LAST, Urgency.FIRST]
    for number, urgency in enumerate(wishes, 1):
        scene.want(page(number), urgency.name, urgency)
    await scene.clock.advance(2.9)
    assert scene.edits == []
    await scene.clock.advance(30)
    assert [text for _, _, text in scene.edits] == ["LAST", "FIRST", "NEXT", "AMBIENT"]
    assert scene.edits[0][0] == 3.0


async def test_places_in_many_channels_share_ten_edits_a_second() -> None:
    clock, ambient = Clock(), Turns()
    scenes = [Scene(clock=clock, ambient=ambient) for _ in range(100)]
    waiting = [page(number) for number in range(100)]
    for at in range(10):
        for scene, one in zip(scenes, waiting, strict=True):
            scene.want(one, f"place at {at}", Urgency.AMBIENT)
        await clock.advance(0.95)
    # Story text never waits for that.
    scenes[-1].want(page(100), "words", Urgency.FIRST)
    await settle()
    assert scenes[-1].edits[-1] == (9.5, 100, "words")
    await clock.advance(20)
    places = sorted(
        edit for scene in scenes for edit in scene.edits if edit[2].startswith("place at")
    )
    times = [at for at, _, _ in places]
    # Ten, and the one whose turn came too soon after the words in its channel.
    assert all(later - earlier >= 0.99 for earlier, later in zip(times, times[11:], strict=False))
    # Everybody's newest place is shown in the end, and nobody's comes a second time before that.
    assert [scene.edits[-1][2] for scene in scenes[:-1]] == ["place at 9"] * 99
    assert {number for _, number, _ in places[:90]} == set(range(90))


async def test_an_ambient_edit_that_is_held_up_lets_words_and_endings_pass() -> None:
    scene, old, new = Scene(), page(1), page(2)
    gate = scene.gate = asyncio.Event()
    scene.want(old, "4 stars", Urgency.AMBIENT)
    await settle()
    scene.gate = None
    scene.want(new, "a", Urgency.FIRST)
    await scene.clock.advance(AMBIENT_HOLDS / 2)
    assert scene.edits == []
    await scene.clock.advance(AMBIENT_HOLDS / 2)
    scene.want(new, "a, the end", Urgency.LAST)
    await settle()
    assert [text for _, _, text in scene.edits] == ["a", "a, the end"]
    # Nothing else that can wait joins it, and its own message is not edited twice at once.
    scene.want(page(3), "5 stars", Urgency.AMBIENT)
    scene.want(old, "the old end", Urgency.LAST)
    await scene.clock.advance(60)
    assert [text for _, _, text in scene.edits] == ["a", "a, the end"]
    gate.set()
    await scene.clock.advance(60)
    assert [text for _, _, text in scene.edits[2:]] == ["4 stars", "the old end", "5 stars"]


async def test_closing_ends_an_edit_that_is_held_up() -> None:
    scene = Scene()
    scene.gate = asyncio.Event()
    scene.want(page(), "4 stars", Urgency.AMBIENT)
    await scene.clock.advance(AMBIENT_HOLDS)
    await scene.channel.close()
    assert "edit 1" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_what_discord_says_of_its_limit_is_believed() -> None:
    budget = EditBudget()
    budget.spend(100.0)
    assert budget.wait(100.0) == 0
    budget.learn(limit=5, left=1, reset_after=2.5, now=100.0)
    assert budget.wait(100.5) == pytest.approx(2.0)
    assert budget.wait(102.6) == 0


async def test_an_end_waits_for_its_edit_and_hears_of_its_failure() -> None:
    scene, one = Scene(), page()
    shown = asyncio.get_running_loop().create_future()
    one.shown.append(shown)
    scene.errors.append(OSError("reset"))
    scene.want(one, "the end", Urgency.LAST)
    with pytest.raises(OSError, match="reset"):
        await shown


def refusal(status: int, code: int) -> discord.HTTPException:
    kind = {403: discord.Forbidden, 404: discord.NotFound}.get(status, discord.HTTPException)
    return kind(Mock(status=status, reason="No"), {"code": code, "message": "not so"})


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (400, 50035, StageGoneError),
        (403, 50001, StageGoneError),
        (404, 10008, StageGoneError),
        (400, 50083, StageClosedError),  # the thread is archived
        (429, 30046, StageClosedError),
        (503, 0, StageClosedError),
    ],
)
async def test_an_end_that_is_refused_is_given_up_unless_time_may_help(
    status: int, code: int, told: type[Exception]
) -> None:
    scene, one = Scene(), page()
    shown = asyncio.get_running_loop().create_future()
    one.shown.append(shown)
    scene.errors.append(refusal(status, code))
    scene.want(one, "the end", Urgency.LAST)
    with pytest.raises(told):
        await shown
    assert one.gone is (told is StageGoneError)


async def test_words_that_are_refused_do_not_cost_the_story_its_end() -> None:
    scene, one = Scene(), page()
    scene.errors.append(refusal(400, 50035))
    scene.want(one, "a", Urgency.FIRST)
    await settle()
    scene.want(one, "a, the end", Urgency.LAST)
    await scene.clock.advance(1)
    assert [text for _, _, text in scene.edits] == ["a, the end"]


async def test_closing_cancels_who_waits() -> None:
    scene, one = Scene(), page()
    scene.gate = asyncio.Event()
    shown = asyncio.get_running_loop().create_future()
    one.shown.append(shown)
    scene.want(one, "the end", Urgency.LAST)
    await settle()
    await scene.channel.close()
    assert shown.cancelled()
