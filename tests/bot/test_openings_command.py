"""A server's own beginnings, and what stands on its board."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from bot.apologies import NotModeratorError, OpeningGoneError
from bot.commands.story import SURPRISE
from bot.database.boards import Notice
from bot.database.clock import now
from bot.database.openings import AlreadyProposedError, TooManyOpeningsError
from bot.database.tables import Audit, Guild, Length, Story
from bot.openings import OPENINGS
from bot.safety.beginnings import PromptRefusedError
from bot.upkeep import LATE, Upkeep
from tests.bot.world import World, labels, page, reply, whisper, world

if TYPE_CHECKING:
    from pathlib import Path

    import discord
    import pytest
    import simcord

OWN = "The keeper of the last lighthouse"


async def propose(
    w: World, text: str = OWN, by: simcord.MemberActor | None = None
) -> simcord.InteractionResult:
    return await (by or w.aki).slash(w.channel, "openings propose", text=text)


async def accept(w: World, text: str = OWN) -> None:
    await propose(w, text)
    shown = await w.mod.slash(w.channel, "openings review")
    await w.mod.click(reply(shown), label="Accept")


async def test_a_proposal_is_offered_once_a_moderator_accepted_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert OWN in whisper(await propose(w))
        suggested = await w.ben.autocomplete(w.channel, "story", "prompt", "lighthouse")
        assert OWN not in [choice["value"] for choice in suggested]
        shown, beside = [await w.mod.slash(w.channel, "openings review") for _ in range(2)]
        assert page(reply(shown)) == OWN
        done = await w.mod.click(reply(shown), label="Accept")
        assert page(reply(done)) == "No proposal waits for a decision."
        suggested = await w.ben.autocomplete(w.channel, "story", "prompt", "lighthouse")
        assert [choice["value"] for choice in suggested] == ["lighthouse", SURPRISE, OWN]
        listed = await w.ben.slash(w.channel, "openings list")
        assert page(reply(listed)) == OWN
        # Who looked at it at the same time decides no more.
        await w.mod.click(reply(beside), label="Refuse")
        async with w.sessions() as session:
            (line,) = await session.scalars(select(Audit))
        assert (line.act, line.detail, line.moderator_id, line.member_id) == (
            *("opening accept", "opening 1"),
            *(w.mod.id, w.aki.id),
        )


async def test_surprises_begin_with_the_servers_own_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as w:
        await accept(w)
        monkeypatch.setattr("bot.openings.OPENINGS", (OWN,))
        assert page(await w.story(prompt=SURPRISE)).startswith(f"**{OWN}**")
        story = await w.services.stories.get(1)
        assert story is not None
        assert not story.house_opening  # a member's words teach nothing
        await w.aki.slash(w.channel, "duel", prompt=SURPRISE)
        await w.idle()
        for story_id in (2, 3):
            story = await w.services.stories.get(story_id)
            assert story is not None
            assert (story.prompt, story.house_opening) == (OWN, False)


async def test_a_refused_one_is_offered_to_nobody_and_cannot_come_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await propose(w)
        shown = await w.mod.slash(w.channel, "openings review")
        await w.mod.click(reply(shown), label="Refuse")
        assert page(reply(await w.aki.slash(w.channel, "openings list"))).startswith("None yet.")
        w.refused(await propose(w, by=w.ben), AlreadyProposedError)


async def test_a_moderator_takes_one_back(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await accept(w)
        choices = await w.mod.autocomplete(w.channel, "openings remove", "opening", "LIGHT")
        assert [choice["value"] for choice in choices] == [OWN]
        await w.mod.slash(w.channel, "openings remove", opening=OWN)
        assert await w.services.openings.accepted(w.aki.guild.id) == []
        again = await w.mod.slash(w.channel, "openings remove", opening=OWN)
        w.refused(again, OpeningGoneError)


async def test_only_moderators_decide(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await propose(w)
        for command, options in (("review", {}), ("remove", {"opening": OWN})):
            result = await w.aki.slash(w.channel, f"openings {command}", **options)
            w.refused(result, NotModeratorError)
        listed = await w.aki.slash(w.channel, "openings list")
        assert "wait" not in page(reply(listed))
        listed = await w.mod.slash(w.channel, "openings list")
        assert "1 proposal waits for you" in page(reply(listed))


async def test_a_proposal_is_checked_as_a_beginning_and_few_wait_at_a_time(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        for text in ("see https://example.org", "x" * 101, "A fox found a dildo"):
            w.refused(await propose(w, text), PromptRefusedError)
        for number in range(5):
            await propose(w, f"A fox with {number} tails")
        refused = await propose(w, "A fox with nine tails")
        assert w.refused(refused, TooManyOpeningsError).startswith("5 of your proposals wait")
        await propose(w, "A fox with nine tails", by=w.ben)


async def board(w: World, **changes: Any) -> Upkeep:
    """A board in the channel, with some notice due."""
    await w.services.guilds.change(w.aki.guild.id, None, daily_channel=w.channel.id)
    async with w.sessions.begin() as session:
        await session.execute(update(Guild).values(**changes))
    return Upkeep(w.services, w.client)


def newest(w: World) -> discord.Message:
    return w.channel.history()[-1]


async def due_at(w: World, notice: Notice) -> dt.datetime | None:
    async with w.sessions() as session:
        found: dt.datetime | None = await session.scalar(select(getattr(Guild, notice)))
        return found


async def test_a_board_is_due_at_the_hour_that_the_settings_have_until_it_is_turned_off(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        guilds, guild_id = w.services.guilds, w.aki.guild.id
        await guilds.change(guild_id, w.mod.id, daily_channel=w.channel.id, daily_hour=3)
        for notice in Notice:
            moment = await due_at(w, notice)
            assert moment is not None
            assert moment.hour == 3
        await guilds.change(guild_id, w.mod.id, daily_channel=None)
        assert [await due_at(w, notice) for notice in Notice] == [None, None]


async def test_a_beginning_stands_on_the_board_once_a_day_and_is_told_by_a_press(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        upkeep = await board(w, daily_at=now() - dt.timedelta(minutes=5))
        await upkeep.once()
        await upkeep.once()
        (notice,) = w.channel.history()
        assert notice.embeds[0].title == "Today's beginning"
        assert labels(notice) == ["Tell it"]
        soon = await due_at(w, Notice.DAILY)
        assert soon is not None
        assert now() < soon <= now() + dt.timedelta(days=1)
        await w.ben.click(notice, label="Tell it")
        told = await w.told()
        assert told.content == f"{w.ben.mention} hears what became of it"
        story = await w.services.stories.get(1)
        assert story is not None
        assert story.prompt in OPENINGS
        assert story.house_opening


async def test_a_beginning_is_told_by_the_channels_model_at_the_servers_length(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        await w.mod.slash(w.channel, "model use", model="lstm-starter", channel=w.channel)
        await w.services.guilds.change(w.env.guild.id, w.mod.id, length=Length.LONG)
        upkeep = await board(w, daily_at=now() - dt.timedelta(minutes=5))
        await upkeep.once()
        notice = newest(w)
        await w.ben.click(notice, label="Tell it")
        await w.idle()
        said = await w.aki.send(w.channel, "Once upon a time")
        await w.aki.context_menu(w.channel, "Continue as a story", said)
        await w.idle()
        for number in (1, 2):
            story = await w.services.stories.get(number)
            assert story is not None
            assert (story.model, story.length) == ("lstm-starter", Length.LONG)


async def test_what_is_too_long_for_a_suggestion_is_no_opening(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        family = "👨‍👩‍👧‍👦"  # one grapheme, eleven UTF-16 units
        w.refused(await propose(w, family * 10), PromptRefusedError)
        assert family * 9 in whisper(await propose(w, family * 9))
        suggested = await w.ben.autocomplete(w.channel, "story", "prompt", "🦊" * 51)
        assert suggested == []


async def test_a_servers_own_beginning_stands_there_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as w:
        await accept(w)
        monkeypatch.setattr("bot.upkeep.OPENINGS", ())
        await (await board(w, daily_at=now() - dt.timedelta(minutes=5))).once()
        notice = newest(w)
        assert OWN in page(notice)
        await w.ben.click(notice, label="Tell it")
        assert page(await w.told()).startswith(f"**{OWN}**")
        await w.mod.slash(w.channel, "openings remove", opening=OWN)
        gone = await w.ben.click(notice, label="Tell it")
        assert whisper(gone) == "There is no such beginning here (any more)."


async def test_a_notice_that_could_not_be_noted_is_not_posted_twice(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        due = now() - dt.timedelta(minutes=5)
        await (await board(w, daily_at=due)).once()
        # As if the bot had died before it noted that it stands there.
        await (await board(w, daily_at=due)).once()
        first, second = [
            request.json or {}
            for request in w.env.http_requests
            if request.method == "POST" and request.path.endswith(f"{w.channel.id}/messages")
        ]
        # The same nonce, which Discord posts once; SimCord does not know it.
        assert first["nonce"] == second["nonce"]
        assert first["enforce_nonce"] is second["enforce_nonce"] is True
        assert len(first["nonce"]) <= 25


async def test_a_notice_that_is_far_too_late_is_left_out(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await (await board(w, daily_at=now() - LATE)).once()
        assert w.channel.history() == []
        soon = await due_at(w, Notice.DAILY)
        assert soon is not None
        assert soon > now()


async def test_discord_in_trouble_is_asked_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        upkeep = await board(w, daily_at=now() - dt.timedelta(minutes=5))
        w.env.inject_error("POST", "/channels/*/messages", status=403, code=50013)
        await upkeep.once()
        assert w.channel.history() == []  # not allowed: there is another day
        soon = await due_at(w, Notice.DAILY)
        assert soon is not None
        assert soon > now()


async def test_a_channel_that_is_gone_turns_the_board_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as w:
        upkeep = await board(w, daily_at=now() - dt.timedelta(minutes=5))
        w.env.inject_error("POST", "/channels/*/messages", status=404, code=10003)
        await upkeep.once()
        assert await due_at(w, Notice.DAILY) is None
        assert await due_at(w, Notice.WEEKLY) is None
        (warning,) = [record for record in caplog.records if record.name == "bot.upkeep"]
        assert "is gone" in warning.message


async def rated(w: World, story_id: int, **changes: Any) -> None:
    async with w.sessions.begin() as session:
        await session.execute(update(Story).where(Story.id == story_id).values(**changes))


async def test_the_best_story_of_the_week_stands_on_the_board(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for prompt in ("Better", "Best", "Long ago", "For me alone"):
            await w.story(prompt=prompt)
        await rated(w, 1, score=4.0, votes=5, stars=20)
        await rated(w, 2, score=4.5, votes=6, stars=27)
        ago = now() - dt.timedelta(days=8)
        await rated(w, 3, score=5.0, votes=6, stars=30, told_at=ago)
        await rated(w, 4, score=5.0, votes=6, stars=30, private=True)
        await (await board(w, weekly_at=now() - dt.timedelta(minutes=5))).once()
        notice = newest(w)
        assert notice.embeds[0].title == "Story of the week"
        assert page(notice).startswith("Best")
        assert str(notice.embeds[0].url).endswith(f"/{w.channel.history()[1].id}")
        assert notice.embeds[0].footer.text == "gpt2-starter · ★ 4.5 from 6 votes"


async def test_a_story_from_a_channel_that_not_all_may_see_is_no_story_of_the_week(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        await w.story(prompt="Secret")
        await rated(w, 1, score=4.0, votes=5, stars=20, channel_id=5)
        upkeep = await board(w, weekly_at=now() - dt.timedelta(minutes=5))
        await upkeep.once()
        assert len(w.channel.history()) == 1
        soon = await due_at(w, Notice.WEEKLY)
        assert soon is not None
        assert soon > now()


async def test_without_a_rated_story_nothing_is_said(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await (await board(w, weekly_at=now() - dt.timedelta(minutes=5))).once()
        assert w.channel.history() == []


async def test_what_stands_on_the_board_is_in_the_servers_language(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        upkeep = await board(
            w,
            daily_at=now() - dt.timedelta(minutes=5),
            settings=f'{{"daily_channel": {w.channel.id}, "language": "ja"}}',
        )
        await upkeep.once()
        assert newest(w).embeds[0].title == "今日の書き出し"
