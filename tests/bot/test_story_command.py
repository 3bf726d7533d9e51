"""/story as members meet it."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import TYPE_CHECKING, Any

import discord
import pytest
from sqlalchemy import update

from bot.asking import places
from bot.commands.story import SURPRISE
from bot.database.limits import QueueFullError
from bot.database.queue import Queue
from bot.database.tables import Story
from bot.openings import OPENINGS
from bot.safety.beginnings import PromptRefusedError
from bot.worker.catalogue import UnknownModelError
from tests.bot.world import PATIENCE, World, footer, labels, page, reply, world

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_story_is_told_from_the_members_words(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        assert page(message) == "**In the year** a fox found the moon."
        assert footer(message).startswith("gpt2-starter · seed ")
        assert footer(message).endswith(" · 8 words")
        stars = ["1 ★", "2 ★", "3 ★", "4 ★", "5 ★"]
        rest = ["Continue", "My turn", "Variations", "Again", "Another teller", "⋯"]
        assert labels(message) == stars + rest
        assert w.teller.asked[0]["prompt"] == "In the year"
        # Or the bot would grow with every story.
        assert w.client.persistent_views == []


async def test_the_words_appear_while_they_are_told(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        result = await w.aki.slash(w.channel, "story", prompt="In the year")
        assert page(reply(result)) == "**In the year**"
        assert footer(reply(result)) == "Next to be told"
        assert labels(w.message()) == ["Stop"]
        await w.teller.release(2)
        await w.until(lambda: page(w.message()) == "**In the year** a fox found the moon▌")
        assert footer(w.message()) == "gpt2-starter is telling"
        await w.teller.release()
        assert page(await w.told()) == "**In the year** a fox found the moon."
        assert len(w.channel.history()) == 1


async def test_without_words_the_house_begins(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for nothing in (SURPRISE, " \t ", "\u200b\u2060"):
            await w.story(prompt=nothing)
        assert {wish["prompt"] for wish in w.teller.asked} <= set(OPENINGS)
        stories = [await w.services.stories.get(number) for number in (1, 2, 3)]
        assert all(story is not None and story.house_opening for story in stories)


async def test_an_opening_of_the_house_is_the_houses_whoever_chose_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for prompt in (OPENINGS[-1], "Another beginning"):
            await w.story(prompt=prompt)
        stories = [await w.services.stories.get(number) for number in (1, 2)]
        assert [story and story.house_opening for story in stories] == [True, False]


async def offered(w: World, typed: str) -> list[str]:
    """The beginnings that are suggested; *Surprise me* as what it sends."""
    choices = await w.aki.autocomplete(w.channel, "story", "prompt", typed)
    assert len(choices) <= 25
    assert all(1 <= len(choice["name"]) <= 100 for choice in choices)
    return [choice["value"] for choice in choices]


async def test_before_anything_is_typed_a_surprise_and_some_openings_are_suggested(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        for nothing in ("", " ", "\u200b"):
            first, *others = await offered(w, nothing)
            assert first == SURPRISE
            assert len(set(others)) == len(others) > 2
            assert set(others) <= set(OPENINGS)


async def test_what_was_typed_is_suggested_first_then_a_surprise_and_what_fits(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        assert await offered(w, "moon") == [
            *("moon", SURPRISE),
            "In a village that fears the moon",
        ]
        assert await offered(w, "oon") == ["oon", SURPRISE]
        assert await offered(w, " in  the YEA") == ["in the YEA", SURPRISE, "In the year"]
        typed, surprise, *fitting = await offered(w, "st")
        assert (typed, surprise) == ("st", SURPRISE)
        assert {"This is the story", "Once the strongest hero"} <= set(fitting)
        assert "On the last train home" not in fitting
        # Those that begin so come before those in which a later word does.
        assert (await offered(w, "on the"))[2] == "On the last train home"
        assert await offered(w, "In the year") == ["In the year", SURPRISE]


async def test_what_cannot_be_suggested_is_taken_as_it_is_typed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert await offered(w, "x" * 101) == []
        assert "https://example.org" not in await offered(w, "https://example.org")
        long = "It was " + "very " * 30 + "dark"
        assert page(await w.story(prompt=long)).startswith(f"{long} a fox")


async def test_the_wish_is_saved_before_it_is_answered(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        w.env.inject_error("POST", "/interactions/*/callback", status=404, code=10062)
        result = await w.aki.slash(w.channel, "story", prompt="A shinigami")
        assert not result.acknowledged
        # No answer can come any more: the story gets a message of its own.
        await w.teller.release()
        message = await w.told()
        assert message.content == f"A story for {w.aki.mention}"
        assert page(message) == "**A shinigami** a fox found the moon."


async def test_an_answer_is_found_again_after_the_bot_died_before_noting_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        answer = reply(await w.aki.slash(w.channel, "story", prompt="A shinigami"))
        await w.stop()
        async with w.sessions.begin() as session:
            await session.execute(update(Story).values(message_id=None))
        await w.restart()
        await w.teller.release()
        assert page(await w.told()) == "**A shinigami** a fox found the moon."
        assert [message.id for message in w.channel.history()] == [answer.id]
        await w.idle()
        story = await w.services.stories.get(1)
        assert story is not None
        assert story.message_id == answer.id


async def test_a_half_told_story_is_told_again_in_its_message_after_a_restart(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.teller.hold(after=1)
        answer = reply(await w.aki.slash(w.channel, "story", prompt="A shinigami"))
        await w.until(lambda: page(w.message()).endswith("a fox▌"))
        await w.stop()
        await w.teller.release()
        await w.restart()
        assert page(await w.told()) == "**A shinigami** a fox found the moon."
        assert [message.id for message in w.channel.history()] == [answer.id]
        first, second = w.teller.asked
        assert first == second


async def test_an_unknown_model_is_refused_and_the_known_are_named(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        result = await w.aki.slash(w.channel, "story", prompt="In the year", model="gpt5")
        assert w.refused(result, UnknownModelError) == (
            "Nobody here is called “gpt5”. Who can tell: gpt2-starter, lstm-starter."
        )
        assert w.teller.asked == []


async def test_a_member_may_choose_who_tells(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        choices = await w.aki.autocomplete(w.channel, "story", "model", "LSTM")
        assert [choice["value"] for choice in choices] == ["lstm-starter"]
        message = await w.story(prompt="In the year", model="lstm-starter")
        assert footer(message).startswith("lstm-starter")
        assert w.teller.asked[0]["model"] == "lstm-starter"


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("x" * 401, "Your beginning has 401 characters; the most I can take is 400."),
        ("join discord.gg/abc", "I don't begin a story with an invite."),
        ("see https://example.org", "I don't begin a story with a link."),
        ("hello <@123456789012345678>", "I don't begin a story with a mention."),
        ("@everyone woke up", "I don't begin a story with a mention."),
    ],
)
async def test_a_beginning_that_breaks_a_rule_is_refused(
    tmp_path: Path, prompt: str, sentence: str
) -> None:
    async with world(tmp_path) as w:
        result = await w.aki.slash(w.channel, "story", prompt=prompt)
        assert w.refused(result, PromptRefusedError).startswith(sentence)
        assert w.channel.history() == []


async def test_nothing_that_is_told_formats_pings_or_links(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.pieces = [" @everyone", " **shouted**", "\n# at <@1> [here](https://a.b)"]
        message = await w.story(prompt="a *star* in snake_case")
        assert page(message) == (
            "**a \\*star\\* in snake\\_case** @\u200beveryone \\*\\*shouted\\*\\*"
            "\n\\# at \\<@1> \\[here](https:\u200b//a.b)"
        )
        assert not message.mention_everyone
        assert message.mentions == []
        # What is kept is what was told.
        story = await w.services.stories.get(1)
        assert story is not None
        assert story.text == "".join(w.teller.pieces)


async def test_a_member_with_too_many_wishes_hears_what_to_do(tmp_path: Path) -> None:
    async with world(tmp_path, queue={"per_member": 1}) as w:
        w.teller.hold()
        await w.aki.slash(w.channel, "story", prompt="First")
        result = await w.aki.slash(w.channel, "story", prompt="Second")
        assert re.fullmatch(
            r"I keep no more than 1 of your stories at a time\. "
            r"Stop one, or ask again <t:\d+:R>\.",
            w.refused(result, QueueFullError),
        )
        await w.teller.release()
        await w.told()
        await w.story(prompt="Third")


@pytest.mark.parametrize(
    ("queue", "sentence"),
    [
        ({"cooldown": 90}, r"I tell you a story every 90 seconds here\. Ask again <t:\d+:R>\."),
        (
            {"daily": 1},
            r"You have asked as often as one may on a day here: 1\. Ask again <t:\d+:R>\.",
        ),
    ],
)
async def test_who_asks_too_often_hears_when_to_come_back(
    tmp_path: Path, queue: dict[str, int], sentence: str
) -> None:
    async with world(tmp_path, queue=queue) as w:
        await w.story(prompt="First")
        result = await w.aki.slash(w.channel, "story", prompt="Second")
        assert re.fullmatch(sentence, w.refused(result, QueueFullError))
        await w.story(by=w.ben, prompt="Third")


async def test_those_who_wait_see_their_place_and_how_it_changes(tmp_path: Path) -> None:
    async with world(tmp_path, queue={"tellers": 1}) as w:
        w.teller.hold()
        await w.aki.slash(w.channel, "story", prompt="First")
        await w.until(lambda: w.teller.asked)
        await w.ben.slash(w.channel, "story", prompt="Second")
        third = await w.mod.slash(w.channel, "story", prompt="Third")
        assert footer(reply(third)) == "Place 2 in the queue"
        w.teller.hold(after=3)
        await w.teller.release(0)
        await w.until(lambda: footer(reply(third)) == "Next to be told")
        await w.teller.release()
        assert page(await w.told(reply(third).id)).startswith("**Third**")


async def test_those_who_waited_before_a_restart_see_their_place_again(tmp_path: Path) -> None:
    async with world(tmp_path, queue={"tellers": 1}) as w:
        w.teller.hold()
        for prompt in ("First", "Second", "Third"):
            await w.aki.slash(w.channel, "story", prompt=prompt)
        await w.until(lambda: footer(w.message()) == "Place 2 in the queue")
        await w.stop()
        first = await w.services.queue.cancel(1, w.aki.id)
        assert first is not None
        await w.restart()
        await w.until(lambda: footer(w.message()) == "Next to be told")
        await w.teller.release()
        await w.idle()


async def test_a_wish_is_kept_while_the_generator_is_away(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        address, w.completions.url = w.completions.url, "http://127.0.0.1:9"
        w.services.catalogue.refresh()
        result = await w.aki.slash(w.channel, "story", prompt="In the year")
        result = await w.aki.slash(w.channel, "story", prompt="In the year")
        assert footer(reply(result)).startswith("The storyteller is away.")
        w.completions.url = address
        w.dispatcher.resume()
        assert page(await w.told(reply(result).id)) == "**In the year** a fox found the moon."


async def test_stories_are_told_in_private_messages_too(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        result = await w.aki.user.slash("story", prompt="In the year")
        await w.until(lambda: "Again" in labels(reply(result).message))
        assert page(reply(result)) == "**In the year** a fox found the moon."


async def test_a_message_deleted_in_mid_telling_ends_the_story(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold(after=1)
        result = await w.aki.slash(w.channel, "story", prompt="In the year")
        await w.until(lambda: page(w.message()).endswith("a fox▌"))
        w.env.backend.delete_message(w.channel.id, reply(result).id)
        await w.teller.release()
        await w.idle()
        story = await w.services.stories.get(1)
        assert story is not None
        assert story.shown_at is not None
        assert w.channel.history() == []


async def test_what_the_generator_took_of_the_time_to_answer_the_database_cannot_take_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thinks = asyncio.Event()
    defer, save = discord.InteractionResponse.defer, Queue.enqueue_together

    async def deferred(self: Any, **given: Any) -> Any:
        thinks.set()
        return await defer(self, **given)

    async def saved(self: Queue, *given: Any, **named: Any) -> list[Story]:
        async with asyncio.timeout(PATIENCE):
            await thinks.wait()
        return await save(self, *given, **named)

    def late(interaction: discord.Interaction[Any]) -> tuple[int | None, int | None]:
        interaction.extras["came_at"] -= 3600.0  # as long as the generator was waited for
        return places(interaction)

    monkeypatch.setattr(discord.InteractionResponse, "defer", deferred)
    monkeypatch.setattr(Queue, "enqueue_together", saved)
    monkeypatch.setattr(sys.modules["bot.commands.story"], "places", late)
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        assert page(message).startswith("**In the year**")
