"""What a member sees of it: a refusal, help, a story withheld, a teller that knows English only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from bot import answering
from bot.commands.story import SURPRISE
from bot.database.queue import ANEW
from bot.database.tables import Story
from bot.locales import say
from bot.safety import second_opinion
from bot.safety.beginnings import PromptRefusedError
from tests.bot.teller import STORY
from tests.bot.world import World, page, whisper, world

if TYPE_CHECKING:
    from pathlib import Path


async def saved(w: World) -> int:
    async with w.sessions() as session:
        return await session.scalar(select(func.count()).select_from(Story)) or 0


async def ban(w: World, word: str) -> None:
    """What the server's moderators choose in its settings."""
    await w.services.guilds.change(w.env.guild.id, w.mod.id, filter_words=(word,))


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("a story about a d1ldo", "sorry.unfit"),
        ("I want to k!ll myself", "sorry.self_harm"),
        ("死にたい", "sorry.self_harm"),
    ],
)
async def test_such_a_beginning_is_answered_in_private_and_nothing_is_saved(
    tmp_path: Path, prompt: str, sentence: str
) -> None:
    async with world(tmp_path) as w:
        result = await w.aki.slash(w.channel, "story", prompt=prompt)
        assert w.refused(result, PromptRefusedError) == say(sentence)
        assert w.channel.history() == []
        assert await saved(w) == 0


async def test_a_refusal_that_took_its_time_is_read_by_its_member_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "ANSWERED_WITHIN", 0.0)  # everybody sees that the bot thinks
    monkeypatch.setattr(second_opinion, "library_objects_to", lambda told: "turnip" in told)
    async with world(tmp_path) as w:
        result = await w.aki.slash(w.channel, "story", prompt="A turnip")
        assert w.refused(result, PromptRefusedError) == say("sorry.unfit")
        assert w.channel.history() == []
        assert page(await w.story(prompt="In the year")).startswith("**In the year**")


def test_help_is_named_for_everywhere_in_one_message() -> None:
    text = say("sorry.self_harm")
    for line in ("findahelpline.com", "988", "116 123", "0120-279-338", "12356"):
        assert line in text
    assert len(text) <= 2000


async def test_a_tale_of_death_is_told(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        told = await w.story(prompt="The samurai committed seppuku")
        assert page(told).startswith("**The samurai committed seppuku**")


async def test_the_second_opinion_and_the_servers_words_refuse_before_anything_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_opinion, "library_objects_to", lambda told: "turnip" in told)
    async with world(tmp_path) as w:
        await ban(w, "green tea")
        for prompt, key in (("A turnip", "sorry.unfit"), ("Green t e a", "sorry.own_word")):
            result = await w.aki.slash(w.channel, "story", prompt=prompt)
            assert w.refused(result, PromptRefusedError) == say(key)
        assert await saved(w) == 0
        # Nobody chose the house's beginning word by word.
        assert page(await w.story(prompt=SURPRISE)).endswith(STORY)


async def test_an_old_beginning_is_checked_again_by_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="A green fox")
        await ban(w, "green")
        result = await w.ben.click(message, label="Again")
        assert whisper(result) == say("sorry.own_word")


async def test_a_story_that_is_withheld_says_so_and_can_be_asked_for_again(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.teller.pieces = [" a fox found a", " dil", "do."]
        message = await w.story(prompt="In the year")
        assert page(message).endswith(say("story.withheld"))
        assert "dil" not in page(message)
        assert [asked["seed"] for asked in w.teller.asked][1] == w.teller.asked[0]["seed"] + ANEW


async def test_a_teller_that_knows_english_only_says_so_before_it_tells(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.languages = {"gpt2-starter": ["en"], "lstm-starter": ["en", "ja"]}
        w.teller.hold()
        result = await w.aki.slash(w.channel, "story", prompt="昔々あるところに")
        assert whisper(result) == say("sorry.english_only")
        await w.teller.release()
        await w.told()
        for prompt, model in (("昔々 in Edo", "gpt2-starter"), ("むかし", "lstm-starter")):
            result = await w.aki.slash(w.channel, "story", prompt=prompt, model=model)
            assert result.followups == []


async def test_of_a_teller_whose_server_says_nothing_nothing_is_assumed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        result = await w.aki.slash(w.channel, "story", prompt="昔々あるところに")
        assert result.followups == []
