"""What comes of a story: parts of a tale, words of others, variations, other tellers, a saga."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, select, update

from bot.apologies import NothingWrittenError, NotYourMessageError
from bot.database.queue import ANEW
from bot.database.tables import Asked, Form, Length, State, Story
from tests.bot.world import World, footer, labels, page, reply, texts, whisper, world

if TYPE_CHECKING:
    from pathlib import Path

    import discord
    import simcord

ROUND = " the wheel turned and turned"
"""What goes round in circles."""


async def stories(w: World) -> list[Story]:
    async with w.sessions() as session:
        return list(await session.scalars(select(Story).order_by(Story.id)))


def link(w: World, message: discord.Message) -> str:
    assert w.channel.guild is not None
    return f"https://discord.com/channels/{w.channel.guild.id}/{w.channel.id}/{message.id}"


async def my_turn(
    by: simcord.MemberActor, message: discord.Message, words: str
) -> simcord.InteractionResult:
    opened = await by.click(message, label="My turn")
    assert opened.modal is not None
    return await by.submit_modal(opened, {"words": words})


async def test_a_continuation_names_its_part_and_leads_to_the_part_before(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await w.story(prompt="In the *year*")
        second = await w.ready(await w.ben.click(first, label="Continue"))
        assert second.content == (
            f"{w.ben.mention} hears what happens next\n"
            f"-# Part 2 of *In the \\*year\\** · [part 1]({link(w, first)})"
        )
        third = await w.ready(await w.aki.click(second, label="Continue"))
        assert f"Part 3 of *In the \\*year\\** · [part 2]({link(w, second)})" in third.content
        again = await w.ready(await w.aki.click(third, label="Again"))
        assert "hears it told anew\n-# Part 3 of" in again.content
        assert [story.part for story in await stories(w)] == [1, 2, 3, 3]


async def test_members_write_by_turns_and_each_is_named_once(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await w.story(prompt="One day")
        result = await my_turn(w.ben, first, " Then  it rained.\n")
        second = await w.ready(result)
        assert page(second) == "**Then it rained.** a fox found the moon."
        assert w.teller.asked[1]["prompt"] == "One day a fox found the moon. Then it rained."
        assert second.content == (
            f"{w.ben.mention} goes on in their own words\n"
            f"-# Part 2 of *One day* · [part 1]({link(w, first)})\n"
            f"-# Written by turns with {w.aki.mention}, {w.ben.mention}"
        )
        third = await w.ready(await my_turn(w.aki, second, "Snow came."))
        assert third.content.endswith(f"with {w.aki.mention}, {w.ben.mention}")
        fourth = await w.ready(await w.mod.click(third, label="Continue"))
        assert fourth.content.endswith(f"with {w.aki.mention}, {w.ben.mention}")
        assert not any(story.house_opening for story in await stories(w))


async def test_a_members_words_are_checked_as_a_beginning_is(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await w.story(prompt="One day")
        result = await my_turn(w.ben, first, "see https://example.org")
        assert whisper(result).startswith("I don't begin a story with a link.")
        result = await my_turn(w.ben, first, " \u200b\u2800 ")
        assert whisper(result).startswith("There are no words in it.")
        assert len(await stories(w)) == 1


async def test_words_of_a_member_make_a_tale_of_the_house_a_members(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await w.story(prompt="In the year")
        second = await w.ready(await my_turn(w.ben, first, "It rained."))
        await w.ready(await w.ben.click(second, label="Continue"))
        assert [story.house_opening for story in await stories(w)] == [True, False, False]


async def test_another_teller_is_chosen_by_who_pressed_and_seen_by_all(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await w.story(prompt="In the year", mood="wild")
        chosen = await w.ben.click(first, label="Another teller")
        assert whisper(chosen) == "Who tells it anew?"
        options = reply(chosen).components[0]["components"][0]["options"]
        assert [option["value"] for option in options] == ["lstm-starter"]
        again = await w.ready(await w.ben.select(reply(chosen).message, ["lstm-starter"]))
        assert again.content == f"{w.ben.mention} hears it told anew"
        assert footer(again).startswith("lstm-starter")
        assert w.teller.asked[1]["temperature"] == w.teller.asked[0]["temperature"]
        await w.idle()
        # The choice, which is another message with the story's id, is left alone.
        assert page(w.message(first.id)) == "**In the year** a fox found the moon."
        assert reply(chosen).message.embeds == []


async def test_where_one_model_tells_no_other_is_offered(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await w.story(prompt="In the year")
        w.teller.models = ("gpt2-starter",)
        w.services.catalogue._served = w.teller.models
        result = await w.ben.click(first, label="Another teller")
        assert whisper(result) == "Nobody else can tell here."
        assert "Another teller" not in labels(await w.story(prompt="One"))


async def test_three_ways_to_go_on_are_told_in_one_message_and_one_is_picked(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, stories={"variation_tokens": 20}) as w:
        first = await w.story(prompt="In the year")
        w.teller.hold()
        w.teller.each = 1
        result = await w.ben.click(first, label="Variations")
        ways = reply(result).message
        await w.until(lambda: sum("a fox▌" in text for text in texts(reply(result).message)) == 3)
        assert labels(reply(result).message) == ["Stop"]
        await w.teller.release()
        picks = ["Go on from 1", "⋯", "Go on from 2", "⋯", "Go on from 3", "⋯"]
        await w.until(lambda: labels(reply(result).message) == picks)
        head, *rest = texts(reply(result).message)
        assert head.startswith(f"{w.ben.mention} looks for a way to go on\n-# Part 2 of *In the")
        assert rest == [
            *("**1**", "a fox found the moon."),
            *("**2**", "a fox found the moon."),
            *("**3**", "a fox found the moon."),
        ]
        await w.idle()
        told = (await stories(w))[1:]
        assert {(s.form, s.interaction_id, s.message_id, s.part) for s in told} == {
            (Form.VARIATION, told[0].interaction_id, ways.id, 2)
        }
        assert len({wish["seed"] for wish in w.teller.asked[1:]}) == 3
        assert {wish["max_tokens"] for wish in w.teller.asked[1:]} == {20}
        async with w.sessions() as session:  # it was one wish
            ledger = await session.scalars(select(Asked).where(Asked.member_id == w.ben.id))
            assert [row.count for row in ledger] == [1]
        picked = await w.aki.click(reply(result).message, label="Go on from 2")
        await w.ready(picked)
        onward = (await stories(w))[-1]
        assert (onward.parent_id, onward.part, onward.length) == (told[1].id, 3, Length.SHORT)


async def test_ways_to_go_on_are_stopped_together_and_survive_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await w.story(prompt="In the year")
        w.teller.hold()
        w.teller.each = 1
        result = await w.ben.click(first, label="Variations")
        ways = reply(result).id
        await w.until(lambda: sum("a fox▌" in text for text in texts(w.message(ways))) == 3)
        await w.stop()
        w.teller.each = 0
        await w.restart()
        # Words that stood there stay.
        assert sum("a fox" in text for text in texts(w.message(ways))) == 3
        refused = await w.aki.click(w.message(ways), label="Stop")
        assert whisper(refused).startswith("Only the member who asked for it")
        await w.ben.click(w.message(ways), label="Stop")
        await w.idle()
        shown = texts(w.message(ways))
        assert shown.count("a fox") == shown.count("-# Called off.") == 3
        assert {story.state for story in (await stories(w))[1:]} == {State.CANCELLED}
        assert labels(w.message(ways)) == []


async def test_long_ways_to_go_on_are_cut_each_to_its_share(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await w.story(prompt="In the year")
        w.teller.pieces = [" under_score" * 300]
        result = await w.ben.click(first, label="Variations")
        await w.until(lambda: labels(reply(result).message).count("Read the whole") == 3)
        shown = texts(reply(result).message)
        assert sum(map(len, shown)) <= 4000
        assert sum(text.endswith(" under\\_score …") for text in shown) == 3


async def test_two_who_write_what_happens_next_at_once_are_both_heard(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await w.story(prompt="One day")
        forms = [await by.click(first, label="My turn") for by in (w.aki, w.ben)]
        for by, form, words in ((w.aki, forms[0], "It rained."), (w.ben, forms[1], "Snow came.")):
            told = await w.ready(await by.submit_modal(form, {"words": words}))
            assert page(told).startswith(f"**{words}**")


@pytest.mark.parametrize("label", ["Continue", "My turn", "Variations"])
async def test_nothing_follows_the_last_part_of_a_tale(tmp_path: Path, label: str) -> None:
    async with world(tmp_path, stories={"parts": 2}) as w:
        first = await w.story(prompt="In the year")
        assert not footer(first).endswith("The end")
        last = await w.ready(await w.ben.click(first, label="Continue"))
        assert footer(last).endswith(" · The end")
        assert labels(last) == [*(f"{n} ★" for n in range(1, 6)), "Again", "Another teller", "⋯"]
        async with w.sessions.begin() as session:  # a button that was drawn before
            await session.execute(update(Story).values(final=True))
        result = await w.ben.click(first, label=label)
        assert whisper(result).startswith("This tale has come to its end.")


async def test_a_part_that_goes_round_in_circles_is_drawn_anew_once(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.pieces = [ROUND, " until the night came over the silent hills of the north."]
        first = await w.story(prompt="In the year")
        w.teller.pieces = [ROUND] * 8
        second = await w.ready(await w.ben.click(first, label="Continue"))
        one, again = w.teller.asked[1:]
        assert again["seed"] == one["seed"] + ANEW
        # What repeats a second time is told all the same.
        assert page(second) == f"…{ROUND * 8}"
        part = (await stories(w))[1]
        assert (part.redrawn, part.attempts, part.state) == (1, 1, State.TOLD)


async def test_a_saga_goes_on_by_itself_part_by_part_to_its_last(tmp_path: Path) -> None:
    async with world(tmp_path, stories={"saga_parts": 3}) as w:
        w.teller.ended = "length"
        await w.aki.slash(w.channel, "story", prompt="In the year", length="saga", mood="calm")
        await w.until(
            lambda: len(w.channel.history()) == 3 and footer(w.message()).endswith("The end")
        )
        await w.idle()
        one, two, three = w.channel.history()
        assert footer(one).endswith(" words")
        assert two.content == (
            f"A story for {w.aki.mention}\n-# Part 2 of *In the year* · [part 1]({link(w, one)})"
        )
        assert f"[part 2]({link(w, two)})" in three.content
        assert w.teller.asked[2]["prompt"].startswith("In the year a fox found the moon. a fox")
        assert {wish["temperature"] for wish in w.teller.asked} == {0.6}
        assert "Continue" in labels(w.message(one.id))
        assert "Continue" not in labels(three)


async def test_a_saga_has_three_parts_and_then_ends_where_the_model_ends_it(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, stories={"saga_parts": 9}) as w:
        w.teller.ended = "stop"
        await w.story(prompt="In the year", length="saga")
        await w.until(lambda: len(w.channel.history()) == 3)
        await w.idle()
        assert footer(w.message()).endswith("The end")
        assert [story.final for story in await stories(w)] == [False, False, True]


async def test_stop_ends_a_saga(tmp_path: Path) -> None:
    async with world(tmp_path, stories={"saga_parts": 9}) as w:
        w.teller.ended = "length"
        w.teller.hold(after=4)  # the first part, and one word of the second
        await w.aki.slash(w.channel, "story", prompt="In the year", length="saga")
        await w.until(lambda: len(w.channel.history()) == 2)
        await w.until(lambda: page(w.message()).endswith("a fox▌"))
        await w.aki.click(w.message(), label="Stop")
        await w.teller.release()
        await w.idle()
        assert [story.state for story in await stories(w)] == [State.TOLD, State.CANCELLED]
        assert len(w.channel.history()) == 2


async def test_a_private_saga_goes_on_where_only_its_member_sees_it(tmp_path: Path) -> None:
    async with world(tmp_path, stories={"saga_parts": 2}) as w:
        w.teller.ended = "length"
        result = await w.aki.slash(
            w.channel, "story", prompt="In the year", length="saga", private=True
        )
        await w.until(lambda: result.followups and "Again" in labels(result.followups[0].message))
        await w.idle()
        (second,) = result.followups
        assert second.ephemeral
        assert footer(second).endswith("The end")
        assert w.channel.history() == []


async def test_a_saga_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path, stories={"saga_parts": 2}) as w:
        w.teller.ended = "length"
        w.teller.hold(after=3)
        await w.aki.slash(w.channel, "story", prompt="In the year", length="saga")
        await w.until(lambda: len(w.teller.asked) == 2)
        await w.stop()
        await w.teller.release()
        await w.restart()
        await w.until(lambda: len(w.channel.history()) == 2)
        await w.idle()
        assert [story.state for story in await stories(w)] == [State.TOLD] * 2
        assert len(w.channel.history()) == 2


async def test_a_message_of_ones_own_is_continued_as_a_story(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        said = await w.aki.send(w.channel, "Once  upon\na time")
        result = await w.aki.context_menu(w.channel, "Continue as a story", said)
        message = await w.ready(result)
        assert page(message) == "**Once upon a time** a fox found the moon."
        assert message.content == f"{w.aki.mention} goes on from a message"
        long = await w.aki.send(w.channel, "It was " + "very " * 200 + "dark")
        await w.ready(await w.aki.context_menu(w.channel, "Continue as a story", long))
        prompt = w.teller.asked[1]["prompt"]
        assert len(prompt) <= 400
        assert prompt.startswith("very very")
        assert prompt.endswith("very dark")


async def test_a_message_of_anothers_or_without_words_begins_no_story(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        said = await w.aki.send(w.channel, "Once upon a time")
        result = await w.ben.context_menu(w.channel, "Continue as a story", said)
        told = w.refused(result, NotYourMessageError)
        assert told == "I begin a story with your own messages only."
        nothing = await w.ben.send(w.channel, "\u2800\u200b")
        result = await w.ben.context_menu(w.channel, "Continue as a story", nothing)
        told = w.refused(result, NothingWrittenError)
        assert told == "There are no words in that message to begin a story with."
        assert w.teller.asked == []


async def test_a_tale_whose_beginning_is_gone_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await w.story(prompt="In the year")
        second = await w.ready(await w.ben.click(first, label="Continue"))
        await w.idle()
        async with w.sessions.begin() as session:
            await session.execute(delete(Story).where(Story.id == 1))
        third = await w.ready(await w.ben.click(second, label="Continue"))
        assert f"-# Part 3 of *…* · [part 2]({link(w, second)})" in third.content


@pytest.mark.parametrize("label", ["Continue", "My turn", "Variations"])
async def test_nothing_follows_what_was_not_told(tmp_path: Path, label: str) -> None:
    async with world(tmp_path) as w:
        first = await w.story(prompt="In the year")
        async with w.sessions.begin() as session:
            await session.execute(update(Story).values(state=State.FAILED))
        result = await w.ben.click(first, label=label)
        assert whisper(result).startswith("This story was not told to its end")
