"""How a story is told: mood, length and seed; whom it is shown to, and in which language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
import pytest
from sqlalchemy import select, update

from bot.config import MOODS, Mood
from bot.database.tables import Length, State, Story
from bot.services import UnknownMoodError
from tests.bot.world import World, footer, labels, page, reply, whisper, world

if TYPE_CHECKING:
    from pathlib import Path


async def stories(w: World) -> list[Story]:
    async with w.sessions() as session:
        return list(await session.scalars(select(Story).order_by(Story.id)))


async def test_a_mood_says_how_the_words_are_drawn(tmp_path: Path) -> None:
    async with world(tmp_path, moods={"dreamy": Mood(temperature=1.4)}) as w:
        await w.story(prompt="In the year", mood="article")
        await w.story(prompt="In the year", mood=" Dreamy")
        await w.story(prompt="In the year")
        article, dreamy, plain = w.teller.asked
        assert article.items() >= MOODS["article"].model_dump(exclude_none=True).items()
        assert (article["num_beams"], article["top_k"]) == (5, 1000)
        assert dreamy["temperature"] == 1.4
        assert "temperature" not in plain
        assert [story.mood for story in await stories(w)] == ["article", "dreamy", None]


async def test_the_hosts_moods_are_suggested_and_no_other_is_taken(tmp_path: Path) -> None:
    async with world(tmp_path, moods={"dreamy": Mood(temperature=1.4)}) as w:
        choices = await w.aki.autocomplete(w.channel, "story", "mood", "")
        names = ["calm", "lively", "wild", "article", "dreamy"]
        assert [choice["value"] for choice in choices] == names
        choices = await w.aki.autocomplete(w.channel, "story", "mood", "LY")
        assert [choice["value"] for choice in choices] == ["lively"]
        result = await w.aki.slash(w.channel, "story", prompt="In the year", mood="gloomy")
        assert w.refused(result, UnknownMoodError) == (
            "There is no mood called “gloomy”. There are: calm, lively, wild, article, dreamy."
        )


async def test_a_mood_that_the_host_took_away_keeps_nobody_from_their_story(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        await w.aki.slash(w.channel, "story", prompt="In the year", mood="wild")
        await w.stop()
        async with w.sessions.begin() as session:
            await session.execute(update(Story).values(mood="gone"))
        await w.restart()
        await w.teller.release()
        await w.told()
        assert "temperature" not in w.teller.asked[-1]


async def test_a_long_story_may_be_longer(tmp_path: Path) -> None:
    async with world(tmp_path, stories={"max_tokens": 50, "long_tokens": 90}) as w:
        for length in ("short", "long"):
            await w.story(prompt="In the year", length=length)
        assert [wish["max_tokens"] for wish in w.teller.asked] == [50, 90]


async def test_a_seed_tells_the_same_story_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year", seed=0)
        assert " · seed 0 · " in footer(message)
        await w.story(prompt="In the year", seed=2**53 - 1)
        assert [wish["seed"] for wish in w.teller.asked] == [0, 2**53 - 1]


async def test_a_private_story_is_its_members_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold(after=1)
        result = await w.aki.slash(w.channel, "story", prompt="In the year", private=True)
        assert result.ephemeral
        await w.until(lambda: page(reply(result)) == "**In the year** a fox▌")
        await w.teller.release()
        message = await w.ready(result)
        assert page(message) == "**In the year** a fox found the moon."
        # Nobody can rate what they do not see.
        assert labels(message)[:2] == ["Continue", "My turn"]
        await w.idle()
        assert w.channel.history() == []
        # What comes of it is private too.
        onward = await w.aki.click(message, label="Continue")
        assert onward.ephemeral
        await w.ready(onward)
        await w.idle()
        assert [story.private for story in await stories(w)] == [True, True]
        assert w.channel.history() == []


async def test_a_private_story_is_none_for_others(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.ready(await w.aki.slash(w.channel, "story", prompt="In the year", private=True))
        public = await w.story(by=w.ben, prompt="One")
        async with w.sessions.begin() as session:  # as if its button had been made up
            await session.execute(update(Story).where(Story.id == 2).values(private=True))
            await session.execute(update(Story).where(Story.id == 2).values(member_id=w.aki.id))
        result = await w.ben.click(public, label="Again")
        assert whisper(result) == "I no longer have that story."


async def test_a_story_of_another_server_is_none_here(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        async with w.sessions.begin() as session:
            await session.execute(update(Story).values(guild_id=5))
        result = await w.ben.click(message, label="5 ★")
        assert whisper(result) == "I no longer have that story."


@pytest.mark.parametrize(
    "left",
    [
        {"answer_token": None, "answer_until": None},
        # Of an answer that never came to stand there, by a token that Discord takes no more.
        {"answer_token": "dead", "message_id": None},
    ],
    ids=["a quarter of an hour later", "by a token that is dead"],
)
async def test_a_private_story_that_nothing_can_show_any_more_is_over(
    tmp_path: Path, left: dict[str, object]
) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        await w.aki.slash(w.channel, "story", prompt="In the year", private=True)
        await w.stop()
        async with w.sessions.begin() as session:
            await session.execute(update(Story).values(**left))
        await w.restart()
        await w.teller.release()
        await w.idle()
        (story,) = await stories(w)
        assert story.state in {State.TOLD, State.CANCELLED}
        assert w.channel.history() == []


async def test_a_private_story_outlives_refusals_that_are_not_about_its_token(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        w.env.inject_error("PATCH", "/webhooks/*/*/messages/*", status=403, code=40333, times=2)
        result = await w.aki.slash(w.channel, "story", prompt="In the year", private=True)
        await w.teller.release()
        await w.idle()
        (story,) = await stories(w)
        assert story.state is State.TOLD
        assert page(reply(result)) == "**In the year** a fox found the moon."


class Fixed:
    """An attribute that is always the same, whatever is written into it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __get__(self, *_: object) -> Any:
        return self.value

    def __set__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("private", "language"), [(False, "ja"), (True, "zh-CN")], ids=["the server's", "one's own"]
)
async def test_a_story_keeps_the_language_of_those_who_read_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, private: bool, language: str
) -> None:
    monkeypatch.setattr("bot.locales.LANGUAGES", ("en", "ja", "zh-CN"))
    monkeypatch.setattr(discord.Interaction, "guild_locale", Fixed(discord.Locale.japanese))
    monkeypatch.setattr(discord.Interaction, "locale", Fixed(discord.Locale.chinese))
    texts = {"ja": {"story.telling": "{model} 語る"}, "zh-CN": {"story.telling": "{model} 讲"}}
    from bot import locales  # noqa: PLC0415  # what is patched

    ours = locales._texts
    monkeypatch.setattr(locales, "_texts", lambda spoken="en": texts.get(spoken) or ours("en"))
    async with world(tmp_path) as w:
        w.teller.hold(after=1)
        result = await w.aki.slash(w.channel, "story", prompt="In the year", private=private)
        said = {"ja": "gpt2-starter 語る", "zh-CN": "gpt2-starter 讲"}[language]
        await w.until(lambda: footer(reply(result)) == said)
        (story,) = await stories(w)
        assert (story.language, story.length) == (language, Length.SHORT)
        await w.teller.release()
        await w.idle()
