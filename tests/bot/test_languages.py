"""Each answer is in the language of who asked; what stands in the channel in the server's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from discord import ui
from sqlalchemy import select

from bot.answering import Answering
from bot.commands.story import SURPRISE
from bot.database.tables import Story
from bot.locales import say, speaking
from bot.openings import OPENINGS
from bot.safety.beginnings import PromptRefusedError
from tests.bot.world import whisper, world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


async def test_what_a_command_refuses_is_said_in_the_members_language(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.locales |= {w.aki.id: "ja", w.ben.id: "zh-CN"}
        for member, language in ((w.aki, "ja"), (w.ben, "zh-CN"), (w.mod, "en")):
            result = await member.slash(w.channel, "story", prompt="x" * 401)
            with speaking(language):
                said = say("sorry.too_long", length=401, limit=400)
            assert w.refused(result, PromptRefusedError) == said


async def test_suggestions_are_in_the_members_language(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.locales[w.aki.id] = "ja"
        choices = await w.aki.autocomplete(w.channel, "story", "prompt", "")
        assert {"name": "✨ おまかせ", "value": SURPRISE} in choices


async def test_surprise_me_may_be_typed_as_it_is_read(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.locales[w.ben.id] = "ja"
        for member, typed in ((w.aki, " surprise ME!"), (w.ben, "おまかせ")):
            await member.slash(w.channel, "story", prompt=typed)
        await w.idle()
        async with w.sessions() as session:
            began = set(await session.scalars(select(Story.prompt)))
        assert began <= set(OPENINGS)


async def test_a_press_is_answered_in_the_members_language(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story()
        w.locales |= {w.aki.id: "zh-CN", w.ben.id: "ja"}
        refused = await w.aki.click(message, label="4 ★")
        assert whisper(refused) == "这是你自己的故事，星星要由别人来给。"
        thanked = await w.ben.click(message, label="4 ★")
        assert whisper(thanked).startswith("★★★★☆ を付けました。")
        thanked = await w.mod.click(message, label="4 ★")
        assert whisper(thanked).startswith("★★★★☆ from you.")


async def test_discord_hears_names_and_descriptions_in_every_language(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        known: dict[str, Any] = {c["name"]: c for c in w.env.backend.commands[None].values()}
        story = known["story"]
        assert story["name_localizations"] == {"ja": "物語", "zh-CN": "故事", "zh-TW": "故事"}
        assert story["description_localizations"]["ja"].startswith("アニメ風の物語")
        prompt = next(option for option in story["options"] if option["name"] == "prompt")
        assert prompt["name_localizations"]["zh-CN"] == "开头"
        assert prompt["description_localizations"]["ja"].startswith("書き出し")


def pressed() -> Iterator[type[Any]]:
    """Whatever members can press or fill in, of ours."""

    def below(kind: type[Any]) -> Iterator[type[Any]]:
        for further in kind.__subclasses__():
            yield further
            yield from below(further)

    for kind in (ui.View, ui.LayoutView, ui.Modal, ui.DynamicItem):
        yield from (one for one in below(kind) if one.__module__.startswith("bot."))


def test_whatever_can_be_pressed_answers_in_the_members_language() -> None:
    for kind in pressed():
        asked = [one for one in kind.__mro__ if "interaction_check" in vars(one)]
        # Before Discord's own class, which would not ask it.
        assert Answering in asked, kind
        assert all(one.__module__.startswith("bot.") for one in asked[: asked.index(Answering)])
