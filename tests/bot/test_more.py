"""⋯ under a story: what its menu says and does, and for whom."""

from __future__ import annotations

import datetime as dt
import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from sqlalchemy import update

from bot.database.clock import now
from bot.database.tables import Duel, Form, Story
from bot.pictures import Posted, PostedLatelyError
from tests.bot.world import labels, page, reply, whisper, world

if TYPE_CHECKING:
    from pathlib import Path

    import discord
    import simcord

    from tests.bot.world import World

GONE = "I no longer have that story."


async def change(w: World, story_id: int = 1, **values: Any) -> None:
    async with w.sessions.begin() as session:
        await session.execute(update(Story).where(Story.id == story_id).values(**values))


def said(result: simcord.InteractionResult) -> simcord.ResponseMessage:
    """What only the member sees, answered at once or after a while."""
    message = reply(result)
    assert message.ephemeral
    return message


def fields(message: simcord.ResponseMessage) -> dict[str | None, str | None]:
    return {field.name: field.value for field in message.embeds[0].fields}


async def file_of(message: simcord.ResponseMessage) -> tuple[discord.Attachment, bytes]:
    (attachment,) = message.attachments
    return attachment, await attachment.read()


def ids(message: simcord.ResponseMessage) -> list[str]:
    return [part["custom_id"] for row in message.components for part in row["components"]]


async def tale(w: World, parts: int) -> discord.Message:
    """A tale of so many parts, each continued by another member."""
    message = await w.story(prompt="In the *year*")
    for number in range(2, parts + 1):
        w.teller.pieces = [f" Then came part {number}."]
        result = await (w.ben if number % 2 == 0 else w.aki).click(message, label="Continue")
        message = await w.told(reply(result).id)
    return message


async def test_the_menu_says_how_the_story_came_about(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year", model="lstm-starter")
        await w.ben.click(message, label="4 ★")
        menu = said(await w.ben.click(message, label="⋯"))
        told = fields(menu)
        assert told["Told by"] == "lstm-starter"
        assert told["Seed"] == str(w.teller.asked[0]["seed"])
        assert told["Asked for by"] == w.aki.mention
        assert told["Votes"] == "★ 4.0 from 1"
        assert told["Size"] == "8 words, 3 tokens"
        assert "Follows" not in told


@pytest.mark.parametrize(
    ("who", "offered"), [("aki", ["delete"]), ("ben", ["report"]), ("mod", ["delete", "report"])]
)
async def test_each_is_offered_what_they_may_do(
    tmp_path: Path, who: str, offered: list[str]
) -> None:
    async with world(tmp_path) as w:
        menu = said(await getattr(w, who).click(await w.story(), label="⋯"))
        assert ids(menu) == [f"kataribe:{kind}:1" for kind in ("read", "picture", *offered)]


async def test_a_tale_is_read_from_its_first_part_on_and_kept_as_text(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        last = await tale(w, 3)
        menu = said(await w.mod.click(last, label="⋯"))
        assert "Part 2" in str(fields(menu)["Follows"])
        read = said(await w.mod.click(menu, label="Read from the beginning"))
        assert page(read) == (
            "-# Part 1\n**In the \\*year\\*** a fox found the moon.\n\n"
            "-# Part 2\nThen came part 2.\n\n-# Part 3\nThen came part 3."
        )
        attachment, text = await file_of(read)
        assert attachment.filename == "story-3.txt"
        assert text.decode() == (
            "In the *year*\n\n— Part 1 —\n\nIn the *year* a fox found the moon.\n\n"
            "— Part 2 —\n\nThen came part 2.\n\n— Part 3 —\n\nThen came part 3.\n\n"
            "Told by gpt2-starter · Kataribe\n"
        )


async def test_pages_turn_also_after_a_restart_and_the_file_stays(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.pieces = [f" word{number}" for number in range(700)]
        message = await w.story(prompt="In the year")
        menu = said(await w.ben.click(message, label="⋯"))
        read = said(await w.ben.click(menu, label="Read from the beginning"))
        await w.stop()
        await w.restart()
        words = []
        while True:
            words += page(read).removeprefix("**In the year**").split()
            assert len(page(read)) <= 4096
            assert len(read.attachments) == 1
            _, onward = read.components[0]["components"]
            if onward.get("disabled"):
                break
            read = reply(await w.ben.click(read, label="On ▶"))
        assert words == [f"word{number}" for number in range(700)]


async def test_parts_that_are_gone_or_anothers_alone_are_passed_over(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        last = await tale(w, 3)
        await change(w, 1, removed_at=now(), text="", prompt="")
        await change(w, 2, private=True)  # it was Ben's
        for who, seen in ((w.aki, False), (w.ben, True)):
            menu = said(await who.click(last, label="⋯"))
            read = said(await who.click(menu, label="Read from the beginning"))
            _, text = await file_of(read)
            for words in (page(read), text.decode()):
                assert "a fox" not in words
                assert ("part 2." in words) == seen
                assert "part 3." in words
            assert page(read).count("*a part that is not here for you*") == (1 if seen else 2)


async def test_the_picture_is_shown_to_one_and_posted_once_for_all(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        menu = said(await w.ben.click(message, label="⋯"))
        shown = said(await w.ben.click(menu, label="Share as a picture"))
        attachment, png = await file_of(shown)
        image = Image.open(io.BytesIO(png))
        assert (image.format, image.width) == ("PNG", 1000)
        assert attachment.description == (
            "A card with the story “In the year”. Told by gpt2-starter · Kataribe "
            "In the year a fox found the moon."
        )
        before = len(w.channel.history())
        await w.ben.click(shown, label="Post it here")
        posted = w.message()
        assert len(w.channel.history()) == before + 1
        assert posted.content == f"{w.ben.mention} shares a story"
        assert await posted.attachments[0].read() == png
        assert not shown.content  # nothing is offered any more
        with pytest.raises(Exception, match="Post it here"):
            await w.ben.click(shown, label="Post it here")


async def test_a_member_posts_a_picture_once_in_a_while(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        menu = said(await w.ben.click(message, label="⋯"))
        shown = [said(await w.ben.click(menu, label="Share as a picture")) for _ in range(2)]
        before = len(w.channel.history())
        for one in shown:
            result = await w.ben.click(one, label="Post it here")
        assert len(w.channel.history()) == before + 1
        assert whisper(result).startswith("You have just shared that picture. You can share it")
        # Another member may share it too.
        menu = said(await w.aki.click(message, label="⋯"))
        mine = said(await w.aki.click(menu, label="Share as a picture"))
        await w.aki.click(mine, label="Post it here")
        assert len(w.channel.history()) == before + 2


async def test_nothing_of_a_story_that_is_gone_can_be_had_any_more(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story()
        menu = said(await w.ben.click(message, label="⋯"))
        await change(w, removed_at=now())
        for label in ("Read from the beginning", "Share as a picture"):
            assert whisper(await w.ben.click(menu, label=label)) == GONE
        assert whisper(await w.ben.click(message, label="⋯")) == GONE


async def test_a_private_story_answers_nobody_else(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story()
        menu = said(await w.ben.click(message, label="⋯"))
        await change(w, private=True)
        for label in ("Read from the beginning", "Share as a picture"):
            assert whisper(await w.ben.click(menu, label=label)) == GONE
        menu = said(await w.aki.click(message, label="⋯"))
        shown = said(await w.aki.click(menu, label="Share as a picture"))
        assert ids(shown) == []
        assert ids(menu) == ["kataribe:read:1", "kataribe:picture:1", "kataribe:delete:1"]


async def test_who_tells_in_an_open_duel_is_nowhere_said(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        story = await w.services.stories.get(1)
        assert story is not None
        # What is opened beside its message: that was no duel's, and cannot be drawn as one.
        menu = said(await w.ben.click(message, label="⋯"))
        await change(w, form=Form.DUEL)
        async with w.sessions.begin() as session:
            session.add(
                Duel(
                    interaction_id=story.interaction_id,
                    guild_id=story.guild_id,
                    channel_id=story.channel_id,
                    member_id=w.aki.id,
                    model_a="gpt2-starter",
                    model_b="lstm-starter",
                    opened_at=now(),
                    closes_at=now() + dt.timedelta(hours=1),
                )
            )
        read = said(await w.ben.click(menu, label="Read from the beginning"))
        details = said(await w.ben.click(read, label="Details"))
        shown = said(await w.ben.click(menu, label="Share as a picture"))
        _, text = await file_of(read)
        listed = said(await w.ben.slash(w.channel, "stories new"))
        told = [*(m.embeds[0].to_dict() for m in (details, read, listed)), text.decode()]
        assert "gpt2" not in f"{told}{shown.attachments[0].description}"


async def test_a_press_in_the_menu_leaves_the_storys_message_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        await w.idle()
        menu = said(await w.ben.click(message, label="⋯"))
        await w.ben.click(menu, label="Read from the beginning")
        await w.idle()
        assert labels(w.message(message.id))[:2] == ["1 ★", "2 ★"]
        story = await w.services.stories.get(1)
        assert story is not None
        assert story.message_id == message.id


def test_a_press_beside_another_posts_no_second_picture() -> None:
    posted = Posted()
    with (
        posted.posting(1, 7),
        posted.posting(2, 7),
        posted.posting(1, 8),
        pytest.raises(PostedLatelyError),
        posted.posting(1, 7),
    ):
        raise AssertionError


def test_a_picture_that_could_not_be_posted_may_be_posted_again() -> None:
    posted = Posted()
    with pytest.raises(ConnectionError), posted.posting(1, 7):
        raise ConnectionError
    with posted.posting(1, 7):
        pass
