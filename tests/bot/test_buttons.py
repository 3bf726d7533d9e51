"""The buttons under a story."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import discord
import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import OperationalError

from bot.apologies import sentence
from bot.database.clock import now
from bot.database.ratings import SNOWFLAKES_BEGIN, NewAccountError, Stars
from bot.database.tables import Audit, State, Story
from bot.worker.catalogue import Catalogue
from tests.bot.clock import Clock
from tests.bot.world import footer, labels, page, reply, whisper, world

if TYPE_CHECKING:
    from pathlib import Path

    import simcord


PACED = {"words_per_second": 5.0, "edit_interval": 1.0}
TEN = " one two three four five six seven eight nine ten"


def thanks(result: simcord.InteractionResult) -> str:
    """What a member alone hears after a vote."""
    (said,) = result.followups
    assert said.ephemeral
    return said.content


async def test_a_vote_is_counted_thanked_for_and_can_be_changed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        result = await w.ben.click(message, label="3 ★")
        assert thanks(result).startswith("★★★☆☆ from you.")
        await w.until(lambda: footer(w.message()).endswith(" · ★ 3.0 from 1 vote"))
        await w.ben.click(message, label="5 ★")
        await w.mod.click(message, label="4 ★")
        await w.until(lambda: footer(w.message()).endswith(" · ★ 4.5 from 2 votes"))
        assert await w.services.ratings.stars(1) == Stars(2, 4.5)


async def test_a_vote_is_seen_where_only_the_press_can_edit_the_message(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        await w.idle()
        await w.stop()
        w.env.inject_error("PATCH", "/channels/*/messages/*", status=403, code=50001, times=None)
        await w.restart()
        await w.ben.click(message, label="3 ★")
        await w.until(lambda: footer(w.message()).endswith(" · ★ 3.0 from 1 vote"))


async def test_twenty_stars_one_after_another_are_confirmed_in_one_message(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        for n in range(20):
            await w.ben.click(message, label=f"{n % 4 + 1} ★")
        said = [m for m in w.env.backend.messages.values() if "from you" in str(m)]
        assert len(said) == 1
        assert "★★★★☆ from you." in str(said[0])
        await w.until(lambda: footer(w.message()).endswith(" · ★ 4.0 from 1 vote"))


async def test_the_last_press_counts_however_they_arrive(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.story(prompt="In the year")
        rate = w.services.ratings.rate
        presses = [(1, 100), (5, 120), (3, 110), (2, 90)]
        for stars, press_id in presses:
            vote = await rate(1, w.ben.id, stars, press_id)
        assert (vote, await w.services.ratings.stars(1)) == (5, Stars(1, 5.0))


async def test_the_star_that_one_gave_pressed_again_takes_the_vote_back(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        await w.ben.click(message, label="4 ★")
        await w.until(lambda: footer(w.message()).endswith(" · ★ 4.0 from 1 vote"))
        await w.ben.click(message, label="4 ★")
        await w.until(lambda: footer(w.message()).endswith(" words"))
        assert await w.services.ratings.stars(1) == Stars(0, 0.0)


async def test_a_vote_that_cannot_be_confirmed_is_not_asked_for_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        w.env.inject_error("POST", "/webhooks/*", status=500, times=1)
        result = await w.ben.click(message, label="4 ★")
        assert result.followups == []
        # Pressed again, as an apology would ask for, it would be taken back.
        assert not w.env.errors
        assert await w.services.ratings.stars(1) == Stars(1, 4.0)
        await w.until(lambda: footer(w.message()).endswith(" · ★ 4.0 from 1 vote"))


@pytest.mark.parametrize("label", ["5 ★", "Again", "Continue"])
async def test_any_press_on_an_ended_story_draws_its_message_anew_and_is_forgotten(
    tmp_path: Path, label: str
) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        await w.idle()
        await message.edit(embed=discord.Embed(description="as a fault has left it"))
        await w.aki.click(w.message(message.id), label=label)  # her own: the star is refused
        await w.until(lambda: page(w.message(message.id)).startswith("**In the year** a fox"))
        await w.until(lambda: "Again" in labels(w.message()))
        await w.idle()
        await w.until(lambda: not len(w.messages._kept))


async def test_nobody_rates_their_own_story(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        result = await w.aki.click(await w.story(), label="5 ★")
        assert whisper(result).startswith("That is your own story.")
        assert (await w.services.ratings.stars(1)).count == 0


async def test_no_other_servers_story_answers_to_a_button(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story()
        async with w.sessions.begin() as session:
            await session.execute(update(Story).values(guild_id=1))
        for label in ("1 ★", "Again", "Continue"):
            result = await w.ben.click(message, label=label)
            assert whisper(result) == "I no longer have that story."
        assert (await w.services.ratings.stars(1)).count == 0


async def test_a_message_whose_storys_number_another_has_now_does_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        older = await w.story()
        await w.story()
        async with w.sessions.begin() as session:
            # So it is where the host restored a copy that was made before the older one was asked.
            await session.execute(delete(Story).where(Story.id == 1))
            await session.execute(update(Story).values(id=1))
        for label in ("1 ★", "Again", "Continue"):
            result = await w.ben.click(older, label=label)
            assert whisper(result) == "I no longer have that story."
        assert (await w.services.ratings.stars(1)).count == 0
        # Nor while nobody has written down in which message the other one stands.
        async with w.sessions.begin() as session:
            await session.execute(update(Story).values(message_id=None))
        result = await w.ben.click(older, label="1 ★")
        assert whisper(result) == "I no longer have that story."
        assert page(w.message(older.id)) == page(older)


async def test_an_account_of_today_is_told_when_its_stars_count(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.story()
        today = (now() - SNOWFLAKES_BEGIN) // dt.timedelta(milliseconds=1) << 22
        with pytest.raises(NewAccountError) as refused:
            await w.services.ratings.rate(1, today, 5, 1)
        until = int(refused.value.until.timestamp())
        assert sentence(refused.value) == (
            f"Your account is too new for stars to count. You can vote <t:{until}:R>."
        )


async def test_again_tells_the_same_beginning_anew_for_who_pressed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await w.story(prompt="In the year", model="lstm-starter")
        w.teller.pieces = [" two moons", " met."]
        result = await w.ben.click(first, label="Again")
        again = await w.told(reply(result).id)
        assert again.content == f"{w.ben.mention} hears it told anew"
        assert page(again) == "**In the year** two moons met."
        assert page(w.message(first.id)) == "**In the year** a fox found the moon."
        wishes = w.teller.asked
        assert wishes[0]["seed"] != wishes[1]["seed"]
        assert wishes[1]["model"] == "lstm-starter"
        # Now it is Ben's own, and Aki may rate it.
        assert whisper(await w.ben.click(again, label="5 ★")).startswith("That is your")
        assert thanks(await w.aki.click(again, label="5 ★")).startswith("★★★★★")


async def test_continue_goes_on_from_what_was_told(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await w.story(prompt="In the year")
        w.teller.pieces = [" It was cold."]
        result = await w.ben.click(first, label="Continue")
        onward = await w.told(reply(result).id)
        assert page(onward) == "… It was cold."
        assert w.teller.asked[1]["prompt"] == "In the year a fox found the moon."
        # Again under a continuation continues the same story once more.
        result = await w.aki.click(onward, label="Again")
        await w.told(reply(result).id)
        assert w.teller.asked[2]["prompt"] == "In the year a fox found the moon."


async def test_buttons_work_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        await w.stop()
        await w.restart()
        result = await w.ben.click(message, label="4 ★")
        assert thanks(result).startswith("★★★★☆")
        await w.until(lambda: footer(w.message()).endswith(" · ★ 4.0 from 1 vote"))
        result = await w.mod.click(message, label="Again")
        assert page(await w.told(reply(result).id)).startswith("**In the year**")


async def test_a_button_of_a_story_that_is_gone_says_so(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story()
        async with w.sessions.begin() as session:
            await session.execute(delete(Story))
        for label in ("1 ★", "Again", "Continue"):
            result = await w.ben.click(message, label=label)
            assert whisper(result) == "I no longer have that story."


@pytest.mark.parametrize("who", ["aki", "mod"])
async def test_a_waiting_story_is_called_off(tmp_path: Path, who: str) -> None:
    async with world(tmp_path, queue={"tellers": 1}) as w:
        w.teller.hold()
        await w.ben.slash(w.channel, "story", prompt="First")
        await w.until(lambda: w.teller.asked)
        result = await w.aki.slash(w.channel, "story", prompt="Second")
        waiting = w.message(reply(result).id)
        await getattr(w, who).click(waiting, label="Stop")
        await w.until(lambda: "Again" in labels(w.message(waiting.id)))
        assert page(w.message(waiting.id)) == "**Second**\n\n-# Called off."
        assert labels(w.message(waiting.id)) == ["Again", "Another teller"]
        async with w.sessions() as session:
            trail = [(act.moderator_id, act.act) for act in await session.scalars(select(Audit))]
        # What members do with their own stories is nobody else's business.
        assert trail == ([(w.mod.id, "call off")] if who == "mod" else [])


async def test_a_story_is_called_off_while_it_is_told(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold(after=1)
        await w.aki.slash(w.channel, "story", prompt="In the year")
        await w.until(lambda: page(w.message()).endswith("a fox▌"))
        await w.aki.click(w.message(), label="Stop")
        await w.told()
        await w.teller.release()
        await w.idle()
        assert page(w.message()) == "**In the year** a fox\n\n-# Called off."
        story = await w.services.stories.get(1)
        assert story is not None
        assert story.state is State.CANCELLED


@pytest.mark.parametrize("who", ["aki", "mod"])
async def test_a_story_is_called_off_until_its_last_word_stands_in_the_channel(
    tmp_path: Path, who: str
) -> None:
    clock = Clock()
    async with world(tmp_path, clock=clock, stories=PACED) as w:
        w.teller.pieces = [TEN]
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await w.until(lambda: page(w.message()).endswith("five▌"))

        async def told() -> bool:
            story = await w.services.stories.get(1)
            return story is not None and story.state is State.TOLD

        await w.until(told)  # and saved: only its words are still being shown
        await getattr(w, who).click(w.message(), label="Stop")
        await w.told()
        await clock.advance(10)
        assert page(w.message()) == "**Zero** one two three four five\n\n-# Called off."
        story = await w.services.stories.get(1)
        assert story is not None
        assert (story.state, story.text) == (State.CANCELLED, " one two three four five")


async def test_who_cannot_call_a_story_off_now_does_not_stop_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    async with world(tmp_path, clock=clock, stories=PACED) as w:
        w.teller.pieces = [TEN]
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await w.until(lambda: page(w.message()).endswith("five▌"))

        async def locked(*_: object, **__: object) -> None:
            raise OperationalError("UPDATE", {}, Exception("database is locked"))

        monkeypatch.setattr(w.services.queue, "cancel", locked)
        result = await w.aki.click(w.message(), label="Stop")
        assert whisper(result).startswith("Something broke on my side.")
        await clock.advance(10)
        assert page(await w.told()) == f"**Zero**{TEN}"


async def test_a_second_press_that_comes_too_late_lets_no_words_out(tmp_path: Path) -> None:
    clock = Clock()
    async with world(tmp_path, clock=clock, stories=PACED) as w:
        w.teller.pieces = [TEN]
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await w.until(lambda: page(w.message()).endswith("five▌"))
        story = await w.services.stories.get(1)
        assert story is not None
        assert w.messages.freeze(story) == w.messages.freeze(story)
        w.messages.thaw(story)
        await clock.advance(10)
        assert page(w.message()).endswith("five▌")
        w.messages.thaw(story)
        await clock.advance(10)
        assert page(await w.told()) == f"**Zero**{TEN}"


async def test_a_story_is_called_off_where_only_the_press_can_edit_its_message(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        await w.aki.slash(w.channel, "story", prompt="In the year")
        await w.stop()
        # The bot is no member there, and the interaction of before the restart is forgotten.
        w.env.inject_error("PATCH", "/channels/*/messages/*", status=403, code=50001, times=None)
        await w.restart()
        await w.aki.click(w.message(), label="Stop")
        await w.idle()
        assert page(w.message()) == "**In the year**\n\n-# Called off."
        assert labels(w.message()) == ["Again", "Another teller"]


async def test_others_cannot_call_a_story_off(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        await w.aki.slash(w.channel, "story", prompt="In the year")
        message = w.message()
        result = await w.ben.click(message, label="Stop")
        assert whisper(result).startswith("Only the member who asked for it")
        await w.teller.release()
        await w.told()


async def test_an_unforeseen_error_is_apologised_for_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as w:
        message = await w.story()
        async with w.sessions.begin() as session:
            await session.execute(text("DROP TABLE ratings"))
        result = await w.ben.click(message, label="5 ★")
        assert whisper(result).startswith("Something broke on my side.")
        assert "no such table: ratings" in caplog.text


async def test_again_says_so_when_the_model_no_longer_tells(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(model="lstm-starter")
        w.client.services = replace(w.services, catalogue=Catalogue(w.completions))
        w.teller.models = ("gpt2-starter",)
        result = await w.ben.click(message, label="Again")
        assert whisper(result) == (
            "Nobody here is called “lstm-starter”. Who can tell: gpt2-starter."
        )
