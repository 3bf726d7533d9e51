"""What stands in the messages of those who wait, while the first of them is told without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.messages.presenter import SILENCE, SURE_FOR
from bot.messages.schedule import AGES
from tests.bot.clock import Clock
from tests.bot.world import World, footer, page, reply, world

if TYPE_CHECKING:
    from pathlib import Path

    from simcord import ResponseMessage


async def told_and_waiting(w: World) -> tuple[ResponseMessage, ResponseMessage]:
    """A story of which no word comes, as of a search with beams before it is done, and the next."""
    w.teller.hold()
    told = reply(await w.aki.slash(w.channel, "story", prompt="In the year"))
    await w.teller.wished(1)
    return told, reply(await w.ben.slash(w.channel, "story", prompt="Once"))


async def test_a_story_whose_first_word_takes_long_does_not_say_that_it_waits(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with world(tmp_path, clock=clock, queue={"tellers": 1}) as w:
        first, second = await told_and_waiting(w)
        await clock.advance(SILENCE)
        await w.until(lambda: footer(w.message(first.id)) == "gpt2-starter is telling")
        assert page(w.message(first.id)) == "**In the year**▌"
        assert footer(w.message(second.id)) == "Next to be told"
        await w.teller.release()
        await w.idle()


async def test_no_place_is_drawn_of_stories_that_another_bot_tells_from_now_on(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with world(tmp_path, clock=clock, queue={"tellers": 1}) as w:
        told, waits = await told_and_waiting(w)
        w.messages.waiting({2: 43})
        w.messages.withdraw(lambda guild_id: guild_id == w.env.guild.id)
        await clock.advance(SILENCE + AGES)
        await w.until(lambda: footer(w.message(told.id)) == "gpt2-starter is telling")
        assert footer(w.message(waits.id)) == "Next to be told"
        await w.teller.release()
        await w.idle()


async def test_who_was_cut_off_for_long_draws_no_place_of_what_others_told_meanwhile(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with world(tmp_path, clock=clock, queue={"tellers": 1}) as w:
        told, waits = await told_and_waiting(w)
        w.messages.sure(clock.time())
        await clock.advance(SURE_FOR)
        assert footer(w.message(told.id)) == "gpt2-starter is telling"
        w.messages.waiting({2: 43})
        await clock.advance(AGES)
        w.messages.sure(clock.time())
        await clock.advance(AGES)
        assert footer(w.message(waits.id)) == "Next to be told"
        await w.teller.release()
        await w.idle()
