"""How a story grows in its message."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from bot.database.clock import now
from bot.database.tables import State, Story
from tests.bot.clock import Clock
from tests.bot.world import World, footer, labels, page, reply, world

if TYPE_CHECKING:
    from pathlib import Path

    from bot.database.processes import Process


TWELVE = " one two three four five six seven eight nine ten eleven twelve"
PACED = {"words_per_second": 5.0, "edit_interval": 1.0}


async def saved(w: World, story_id: int = 1) -> None:
    """Wait until the story is told as far as the database knows."""

    async def told() -> bool:
        story = await w.services.stories.get(story_id)
        return story is not None and story.state is State.TOLD

    await w.until(told)


async def test_a_fast_model_is_shown_at_the_pace_of_a_teller(tmp_path: Path) -> None:
    clock = Clock()
    async with world(tmp_path, clock=clock, stories=PACED) as w:
        w.teller.pieces = [TWELVE]
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await w.until(lambda: page(w.message()) == "**Zero** one two three four five▌")
        await saved(w)
        await clock.advance(0.9)
        assert page(w.message()) == "**Zero** one two three four five▌"
        await clock.advance(0.2)
        assert page(w.message()).endswith(" eight nine ten▌")
        await clock.advance(0.4)
        assert page(await w.told()) == f"**Zero**{TWELVE}"


async def test_the_teller_is_free_while_words_are_still_shown(tmp_path: Path) -> None:
    clock = Clock()
    async with world(tmp_path, clock=clock, stories=PACED, queue={"tellers": 1}) as w:
        w.teller.pieces = [TWELVE]
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await saved(w)
        second = await w.ben.slash(w.channel, "story", prompt="One")
        # Both are told whole, though no time passes in which the first could be shown.
        await saved(w, 2)
        assert page(w.message(reply(second).id)) == "**One** one two three four five▌"
        assert "Stop" in labels(w.message(reply(second).id))


async def test_a_story_that_was_told_but_not_shown_is_shown_whole_after_a_restart(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, clock=Clock(), stories=PACED) as w:
        w.teller.pieces = [TWELVE]
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await w.until(lambda: page(w.message()).endswith("five▌"))
        await saved(w)
        await w.stop()
        await w.restart()
        assert page(await w.told()) == f"**Zero**{TWELVE}"
        assert len(w.teller.asked) == 1


@pytest.mark.parametrize("press", [False, True], ids=["told anew", "called off"])
async def test_words_shown_before_a_restart_are_not_taken_back(
    tmp_path: Path, *, press: bool
) -> None:
    clock = Clock()
    async with world(tmp_path, clock=clock, stories=PACED) as w:
        w.teller.pieces = [" one *two* three", " four five six", TWELVE]
        w.teller.hold(after=2)
        await w.aki.slash(w.channel, "story", prompt="Zero")
        before = "**Zero** one \\*two\\* three four five"
        await w.until(lambda: page(w.message()) == f"{before}▌")
        await w.stop()
        w.teller.hold()
        await w.restart()
        if press:
            await w.aki.click(w.message(), label="Stop")
            await w.idle()
            assert page(w.message()) == f"{before}\n\n-# Called off."
            return
        seen: list[str] = []
        w.env.backend.subscribers.append(lambda *_: seen.append(page(w.message())))
        await w.teller.release(1)
        await w.until(lambda: len(seen) > 0)
        await clock.advance(5.0)
        await w.teller.release()
        await saved(w)
        await clock.advance(60.0)
        assert page(await w.told()) == f"**Zero** one \\*two\\* three four five six{TWELVE}"
        assert all(text.startswith(before) for text in seen)


class Another:
    """A further bot on the database, which nobody pauses here."""

    async def pause(self) -> None:
        raise NotImplementedError

    async def resume(self) -> None:
        raise NotImplementedError

    async def processes(self) -> list[Process]:
        raise NotImplementedError


async def test_of_a_story_that_another_bot_has_taken_nothing_more_is_written(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with world(tmp_path, clock=clock, stories=PACED) as w:
        w.services.bell.others = Another()
        w.teller.pieces = [" one two three", " four five six seven eight nine", TWELVE]
        w.teller.hold(after=2)
        await w.aki.slash(w.channel, "story", prompt="Zero")
        before = "**Zero** one two three four five▌"
        await w.until(lambda: page(w.message()) == before)
        async with w.sessions.begin() as session:
            await session.execute(update(Story).values(lease_owner="another"))
        w.services.bell.ring()
        await w.until(lambda: w.messages._kept.find(1) is None)
        await clock.advance(60.0)
        assert page(w.message()) == before


async def test_words_stay_that_a_bot_showed_where_it_never_wrote_down(tmp_path: Path) -> None:
    """Its disk was read-only, and then it was killed: which message, and what is told, is lost."""
    clock = Clock()
    async with world(tmp_path, clock=clock, stories=PACED) as w:
        w.teller.pieces = [" one two three", " four five six seven eight nine", TWELVE]
        w.teller.hold(after=2)
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await w.until(lambda: page(w.message()).endswith("five▌"))
        await clock.advance(5.0)
        before = "**Zero** one two three four five six seven eight"
        await w.until(lambda: page(w.message()) == f"{before}▌")
        await w.stop()
        async with w.sessions.begin() as session:
            lost = {"message_id": None, "state": State.QUEUED, "attempts": 0, "text": ""}
            await session.execute(update(Story).values(**lost))
        w.teller.hold()
        await w.restart()
        seen: list[str] = []
        w.env.backend.subscribers.append(lambda *_: seen.append(page(w.message())))
        await w.teller.release(1)
        await w.until(lambda: len(seen) > 0)
        await w.teller.release()
        await saved(w)
        await clock.advance(60.0)
        assert page(await w.told()) == f"{before} nine{TWELVE}"
        assert all(text.startswith(before) for text in seen)


async def test_two_presses_on_call_it_off_let_no_further_words_out(tmp_path: Path) -> None:
    clock = Clock()
    async with world(tmp_path, clock=clock, stories=PACED) as w:
        w.teller.pieces = [TWELVE]
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await saved(w)
        await w.until(lambda: page(w.message()).endswith("five▌"))
        story = await w.services.stories.get(1)
        assert story is not None
        assert w.messages.freeze(story) == w.messages.freeze(story) == TWELVE[:24]
        w.messages.thaw(story)  # of the second press, which came too late
        await clock.advance(5.0)
        assert page(w.message()) == "**Zero** one two three four five▌"
        w.messages.thaw(story)
        await clock.advance(5.0)
        assert page(await w.told()) == f"**Zero**{TWELVE}"


async def test_a_press_that_knows_less_than_the_message_does_not_draw_it(tmp_path: Path) -> None:
    clock = Clock()
    async with world(tmp_path, clock=clock, stories=PACED) as w:
        w.teller.hold()
        await w.aki.slash(w.channel, "story", prompt="Zero")
        waiting = await w.services.stories.get(1)
        assert waiting is not None
        await w.services.call_off(waiting)
        await w.idle()
        before = page(w.message())
        assert before.endswith("Called off.")
        # The story was read before it was called off, and is acted on after.
        assert w.messages.freeze(waiting) is None
        w.messages.pressed(waiting, w.message(), "token")
        w.messages.freeze(waiting)
        w.messages.thaw(waiting)
        await clock.advance(5.0)
        assert page(w.message()) == before


async def test_a_very_long_story_is_cut_between_two_words(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.pieces = [" under_score" * 500]
        message = await w.story(prompt="Long")
        assert len(page(message)) <= 4096
        assert page(message).endswith(" under\\_score …")
        assert footer(message).endswith(" · 501 words")


async def test_what_discord_refuses_for_a_while_is_shown_in_the_end(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        await w.aki.slash(w.channel, "story", prompt="Zero")
        w.env.inject_error("PATCH", "/channels/*/messages/*", status=500, times=1)
        await w.teller.release(1)
        await w.until(lambda: w.teller.told == 1)
        await w.teller.release()
        assert page(await w.told()) == "**Zero** a fox found the moon."


async def test_an_answer_is_edited_through_its_interaction_where_the_bot_may_not_look(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.env.inject_error("PATCH", "/channels/*/messages/*", status=403, code=50001, times=None)
        assert page(await w.story(prompt="Zero")) == "**Zero** a fox found the moon."


async def test_a_restart_takes_no_words_back(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold(after=2)
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await w.until(lambda: page(w.message()) == "**Zero** a fox found the moon▌")
        before = len(w.env.http_requests)
        await w.stop()
        w.teller.hold(after=1)
        await w.restart()
        await w.until(lambda: w.teller.told == 3)
        await w.teller.release()
        assert page(await w.told()) == "**Zero** a fox found the moon."
        drawn = [
            request.json["embeds"][0]["description"]
            for request in w.env.http_requests[before:]
            if request.method == "PATCH" and request.json
        ]
        assert drawn
        assert all("a fox found the moon" in text for text in drawn)


async def test_words_that_were_shown_stay_though_the_story_waits_too_long(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold(after=1)
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await w.until(lambda: page(w.message()) == "**Zero** a fox▌")
        w.teller.go_away()
        await w.until(lambda: footer(w.message()) == "Next to be told")
        async with w.sessions.begin() as session:
            long_ago = now() - dt.timedelta(days=2)
            await session.execute(update(Story).values(asked_at=long_ago, lease_until=None))
        w.dispatcher._upkeep_due = 0.0
        w.services.bell.ring()
        message = await w.told()
        assert page(message).startswith("**Zero** a fox\n\n-# This story waited too long")


async def test_words_of_a_bot_that_died_stay_though_the_story_is_given_up(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold(after=1)
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await w.until(lambda: page(w.message()) == "**Zero** a fox▌")
        await w.stop()
        # Killed, it would have saved nothing; and it was the last of too many attempts.
        async with w.sessions.begin() as session:
            died = {"state": State.TELLING, "attempts": 99, "text": "", "lease_until": None}
            await session.execute(update(Story).values(**died))
        await w.restart()
        message = await w.told()
        assert page(message).startswith("**Zero** a fox\n\n-# The storyteller lost the thread")
        await w.idle()
        async with w.sessions() as session:
            assert await session.scalar(select(Story.text)) == " a fox"


async def test_a_story_that_broke_off_is_seen_to_wait_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold(after=1)
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await w.until(lambda: page(w.message()) == "**Zero** a fox▌")
        w.teller.go_away()
        await w.until(lambda: footer(w.message()) == "Next to be told")
        # The words that stood there stay.
        assert page(w.message()) == "**Zero** a fox"
        w.teller.away = False
        await w.teller.release()
        w.dispatcher.resume()
        assert page(await w.told()) == "**Zero** a fox found the moon."
