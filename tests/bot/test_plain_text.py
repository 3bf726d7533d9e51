"""Stories as plain text, where a server wants it so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update

from bot.database.tables import Story
from tests.bot.world import footer, reply, world

if TYPE_CHECKING:
    from pathlib import Path


async def test_stories_stand_as_plain_text_where_the_server_wants_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        framed = await w.story(prompt="Before")
        await w.services.guilds.change(w.env.guild.id, w.mod.id, plain=True)
        told = await w.story(prompt="In the year")
        assert told.embeds == []
        line, _, page = told.content.partition("\n\n")
        assert line == f"A story for {w.aki.mention}"
        assert page.startswith("**In the year** a fox found the moon.\n-# gpt2-starter · seed ")
        await w.ben.click(told, label="3 ★")
        await w.until(lambda: w.message(told.id).content.endswith(" · ★ 3.0 from 1 vote"))
        result = await w.ben.click(told, label="Continue")
        onward = await w.told(reply(result).id)
        assert onward.embeds == []
        assert "\n\n… a fox found the moon.\n-# " in onward.content
        # What stands already stays as it is.
        await w.ben.click(framed, label="3 ★")
        await w.until(lambda: footer(w.message(framed.id)).endswith(" · ★ 3.0 from 1 vote"))
        assert w.message(framed.id).content == ""


async def test_no_name_of_a_model_links_or_formats_in_plain_text(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.services.guilds.change(w.env.guild.id, w.mod.id, plain=True)
        name = "https://evil.example/**x**"
        w.completions.url = "http://127.0.0.1:9"  # so that any name may be somebody's
        await w.aki.slash(w.channel, "story", prompt="In the year", model=name)
        w.completions.url, w.teller.unknown = w.teller.url, {name}
        w.dispatcher.resume()
        await w.idle()
        said = w.message().content
        assert said.endswith("\n-# https:\u200b//evil.example/" + r"\*\*x\*\*")


async def test_words_in_plain_text_are_known_again_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.services.guilds.change(w.env.guild.id, w.mod.id, plain=True)
        w.teller.pieces = [" one", " two", " three"]
        w.teller.hold(after=2)
        await w.aki.slash(w.channel, "story", prompt="In the year")
        await w.until(lambda: "one two▌" in w.message().content)
        async with w.sessions.begin() as session:  # as after a crash: the row has no words
            await w.stop()
            await session.execute(update(Story).values(text=""))
        w.teller.hold(after=0)
        await w.restart()
        await w.until(lambda: "**In the year** one two\n-# " in w.message().content)
        await w.teller.release()
        assert "one two three\n-# gpt2" in (await w.told()).content


async def test_plain_text_stays_within_discords_limit(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.services.guilds.change(w.env.guild.id, w.mod.id, plain=True)
        w.teller.pieces = [" moon*"] * 900
        told = await w.story(prompt="In the year")
        assert 1900 < len(told.content) <= 2000
        assert " …\n-# gpt2-starter" in told.content
