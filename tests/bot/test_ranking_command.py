"""/ranking and /stats: words, pictures, and when they are reckoned anew."""

from __future__ import annotations

import asyncio
import io
import re
import threading
from typing import TYPE_CHECKING

from PIL import Image

from bot.pictures import Pictures
from tests.bot.database.test_figures import duel
from tests.bot.test_stories_command import put
from tests.bot.world import page, reply, world

if TYPE_CHECKING:
    from pathlib import Path

    import discord
    import pytest
    import simcord


async def picture_of(message: simcord.ResponseMessage) -> tuple[discord.Attachment, Image.Image]:
    (attachment,) = message.attachments
    image = Image.open(io.BytesIO(await attachment.read()))
    assert image.format == "PNG"
    return attachment, image


def files_of(message: simcord.ResponseMessage) -> int:
    return len(message.attachments)


async def test_where_nobody_has_voted_it_says_so(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        said = reply(await w.aki.slash(w.channel, "ranking"))
        assert page(said) == (
            "**Blind duels**\nNo duel has been voted on and closed yet. "
            f"</duel:{w.client.command_ids['duel']}> begins one.\n\n"
            "**Stars**\nNobody has given a star yet."
        )
        assert files_of(said) == 0
        said = reply(await w.aki.slash(w.channel, "stats"))
        assert said.content == "No story was told here in the last thirty days."
        await put(w, "The first")  # which is seen at once, and not in an hour
        said = reply(await w.aki.slash(w.channel, "stats"))
        assert page(said).startswith("**1** story in thirty days")


async def test_models_stand_by_their_duels_and_by_their_stars(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for number in range(30):
            await duel(w.sessions, dict.fromkeys(range(100 * number, 100 * number + 3), "a"))
        await put(w, "Liked", model="lstm-starter", votes=2, stars=9)
        result = await w.aki.slash(w.channel, "ranking")
        assert not result.ephemeral
        said = reply(result)
        lines = page(said).splitlines()
        assert lines[1].startswith("**1.** gpt2-starter, **1")
        assert lines[2].startswith("**2.** lstm-starter, **")
        assert "noise" not in lines[2]
        assert "lstm-starter, ★ **4.5** from 2" in lines
        assert "Closed duels: 30." in page(said)
        attachment, image = await picture_of(said)
        assert image.width == 1000
        described = str(attachment.description)
        assert described.startswith("Two charts. Blind duels: gpt2-starter 1")
        assert described.endswith("Stars: lstm-starter 4.5 of 5 from 2.")
        assert len(described) <= 1024
        assert said.embeds[0].image.url is not None


async def test_it_is_reckoned_anew_when_a_duel_has_closed_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as w:
        read = 0
        ballots = w.services.ranking._figures.ballots

        async def counted() -> object:
            nonlocal read
            read += 1
            return await ballots()

        monkeypatch.setattr(w.services.ranking._figures, "ballots", counted)
        await duel(w.sessions, {2: "a"})
        first = await w.services.ranking.standing()
        assert await w.services.ranking.standing() == first
        await duel(w.sessions, {2: "a"}, closed=False)
        assert (await w.services.ranking.standing(), read) == (first, 1)
        await duel(w.sessions, {3: "b", 4: "b"})
        second = await w.services.ranking.standing()
        assert (second.duels, read) == (2, 2)
        assert second.strengths[0].model == "lstm-starter"


async def test_a_servers_month_is_shown_in_four_charts(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for number in range(3):
            await put(w, f"Story {number}", votes=1, stars=number + 3)
        await put(w, "Elsewhere", guild_id=1)
        await put(w, "Private", private=True)
        said = reply(await w.ben.slash(w.channel, "stats"))
        count, counted = page(said).splitlines()
        assert count == "**3** stories in thirty days, private ones left out."
        assert re.fullmatch(r"-# Counted <t:\d+:R>; anew every hour", counted)
        attachment, image = await picture_of(said)
        assert image.width == 1000
        described = str(attachment.description)
        assert described.startswith("Four charts of 3 stories in thirty days.")
        assert "By model: gpt2-starter 3." in described
        assert described.endswith("from five to one: 1, 1, 1, 0, 0.")
        # Within the hour it stays as it is.
        await put(w, "Another")
        again = reply(await w.ben.slash(w.channel, "stats"))
        assert page(again) == page(said)


async def test_what_fails_while_everybody_sees_it_think_is_told_the_member_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as w:

        async def broken(*_: object) -> None:
            raise OSError(5, "disk")

        monkeypatch.setattr(w.services.ranking, "standing", broken)
        monkeypatch.setattr(w.services.months, "get", broken)
        for command in ("ranking", "stats"):
            result = await w.aki.slash(w.channel, command)
            assert w.refused(result, OSError).startswith("Something broke")
            assert w.channel.history() == []


async def test_a_picture_is_drawn_once_in_a_thread_while_the_loop_goes_on() -> None:
    pictures, drawn = Pictures(), list[int]()
    begun, go_on = threading.Event(), threading.Event()

    def draw() -> bytes:
        drawn.append(threading.get_ident())
        begun.set()
        assert go_on.wait(20)
        return b"png"

    wanted = [asyncio.create_task(pictures.get("one", draw)) for _ in range(3)]
    await asyncio.to_thread(begun.wait, 20)
    go_on.set()  # the loop could still do so: the thread was waiting for it
    assert await asyncio.gather(*wanted) == [b"png"] * 3
    assert len(drawn) == 1
    assert drawn[0] != threading.get_ident()


async def test_a_drawing_that_fails_is_not_kept() -> None:
    pictures = Pictures()

    def fails() -> bytes:
        raise OSError("no font")

    (failed,) = await asyncio.gather(pictures.get("one", fails), return_exceptions=True)
    assert isinstance(failed, OSError)
    assert await pictures.get("one", lambda: b"png") == b"png"
