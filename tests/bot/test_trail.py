"""Members are muted, and moderators see who did and who asked for what."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import discord
from sqlalchemy import select, update

from bot.apologies import BotMutedError, NotModeratorError
from bot.database.clock import now
from bot.database.holdings import NOBODY
from bot.database.mutes import MutedError
from bot.database.removals import Removed
from bot.database.tables import Audit, Mute, Report, Story
from bot.database.trail import Act, entry
from bot.locales import say
from bot.messages.report_page import reported
from bot.messages.trail_page import asked_page, trail_page
from tests.bot.test_reports import menu
from tests.bot.world import World, labels, page, reply, whisper, world

if TYPE_CHECKING:
    from pathlib import Path

    import simcord


def lines(message: simcord.ResponseMessage) -> list[str]:
    """A page without the moments in it, which begin each line."""
    return [line.partition("> ")[2] for line in page(message).splitlines()]


async def mutes(w: World) -> list[Mute]:
    async with w.sessions() as session:
        return list(await session.scalars(select(Mute)))


async def test_a_muted_member_hears_when_it_ends_and_is_told_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        told = await w.story(prompt="In the year")
        result = await w.mod.slash(w.channel, "mute", member=w.aki, time="day", reason="spam")
        assert whisper(result).startswith(f"I tell {w.aki.mention} nothing here until <t:")
        result = await w.aki.slash(w.channel, "story", prompt="In the year")
        said = w.refused(result, MutedError)
        (mute,) = await mutes(w)
        assert said.endswith(f"It ends {discord.utils.format_dt(mute.until, 'R')}.")
        # By a press no more than by a command; others are told stories.
        assert whisper(await w.aki.click(told, label="Again")) == said
        # Nor is anything of theirs shown to others in its stead.
        result = await w.aki.slash(w.channel, "openings propose", text="In the year of my shop")
        assert w.refused(result, MutedError) == said
        result = await w.aki.click(await menu(w, 1, "post"), label="post")
        assert whisper(result) == said
        await w.story(by=w.ben)
        # Outside of the server the server's mute means nothing.
        await w.services.admit(None, w.aki.id)
        await w.services.admit(1, w.aki.id)
        result = await w.mod.slash(w.channel, "unmute", member=w.aki)
        assert whisper(result) == f"I tell {w.aki.mention} stories again."
        await w.story(by=w.aki)
        result = await w.mod.slash(w.channel, "unmute", member=w.aki)
        assert whisper(result) == f"{w.aki.mention} is not muted."


async def test_a_bot_is_not_muted(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        robot = w.env.guild.add_member(w.env.create_user("robot", bot=True))
        result = await w.mod.slash(w.channel, "mute", member=robot, time="day")
        assert w.refused(result, BotMutedError).startswith("A bot asks me for no stories")
        assert await mutes(w) == []


async def test_a_second_mute_takes_the_place_of_the_first(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for time in ("week", "minutes_10"):
            await w.mod.slash(w.channel, "mute", member=w.aki, time=time)
        (mute,) = await mutes(w)
        assert mute.until < now() + dt.timedelta(minutes=11)


async def test_a_mute_that_has_ended_holds_nobody_and_is_forgotten(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for member in (w.aki, w.ben):
            await w.mod.slash(w.channel, "mute", member=member, time="day")
        async with w.sessions.begin() as session:
            past = now() - dt.timedelta(seconds=1)
            await session.execute(update(Mute).where(Mute.member_id == w.aki.id).values(until=past))
        await w.story(by=w.aki)
        await w.services.tidy()
        assert [mute.member_id for mute in await mutes(w)] == [w.ben.id]


async def test_members_neither_mute_nor_look(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        hidden = {"mute", "unmute", "audit", "asked"}
        assert hidden.isdisjoint(w.aki.available_commands(w.channel))
        assert hidden <= set(w.mod.available_commands(w.channel))
        for name, options in (
            ("mute", {"member": w.ben, "time": "day"}),
            ("unmute", {"member": w.ben}),
            ("audit", {}),
            ("asked", {}),
        ):
            commands = await w.client.tree.fetch_commands()
            command = next(c for c in commands if c.name == name)
            w.env.guild.set_command_permissions(command, {w.aki: True})
            result = await w.aki.slash(w.channel, name, **options)
            assert w.refused(result, NotModeratorError).startswith("That is for moderators")
        assert await mutes(w) == []


async def test_the_trail_says_who_did_what(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.mod.slash(
            w.channel, "model use", model="lstm-starter", channel=w.channel, reason="a *trial*"
        )
        await w.services.guilds.change(w.env.guild.id, w.mod.id, cooldown=60)
        await w.mod.slash(w.channel, "mute", member=w.aki, time="day", reason="spam")
        await w.mod.slash(w.channel, "unmute", member=w.aki)
        shown = reply(await w.mod.slash(w.channel, "audit"))
        assert shown.ephemeral
        mod, aki = w.mod.mention, w.aki.mention
        unmuted, muted, why, settings, model, trial = lines(shown)
        assert unmuted == f"{mod} · **unmuted** {aki}"
        assert re.fullmatch(rf"{mod} · \*\*muted\*\* {aki} until <t:\d+:f>", muted)
        assert settings == f"{mod} · **settings** pause between two stories: 60 s"
        assert model == f"{mod} · **who tells** lstm-starter in {w.channel.mention}"
        assert (why, trial) == ("", "")
        assert "-# spam" in page(shown)
        assert r"-# a \*trial\*" in page(shown)


async def test_the_trail_shows_settings_as_people_read_them(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        here = w.channel.id
        shown: dict[str, dict[str, Any]] = {
            "story channels: none": {"story_channels": ()},
            f"story channels: <#{here}>, <#77>": {"story_channels": (here, 77)},
            f"log channel: {w.channel.mention}": {"log_channel": here},
            "change of teller said aloud: Off": {"announce_model": False},
            "moods: all": {"moods": ()},
            "moods: calm, wild": {"moods": ("calm", "wild")},
            "length: Saga, until it ends by itself": {"length": "saga"},
            "length: My host's choice": {"length": None},
            "look: Plain text": {"plain": True},
            "pause between two stories: none": {"cooldown": 0},
            "stories of a member on one day: 1,200": {"quota": 1200},
            "stories of a member on one day: as many as they like": {"quota": 0},
            "quotas of roles: <@&5>: 30": {"role_quotas": {5: 30}},
            "a member's stories at a time: 2": {"per_member": 2},
            "the server's stories at a time: My host's choice": {"per_server": None},
            "words not told here: 2": {"filter_words": ("moon", "fox")},
            f"channel of the daily beginning: {w.channel.mention}": {"daily_channel": here},
            "hour of the daily beginning: 7:00 UTC": {"daily_hour": 7},
            "learning from ratings: On": {"learning": True},
            "language: Japanese (日本語)": {"language": "ja"},
            "language: The server's language in Discord": {"language": None},
        }
        others: dict[str, Any] = {"moods": ("calm",), "cooldown": 9, "quota": 7, "per_server": 9}
        others |= {"length": "long", "language": "en", "story_channels": (1,)}
        for expected, change in shown.items():
            (name,) = change
            if name in others:  # so that it is a change
                await w.services.guilds.change(w.env.guild.id, w.mod.id, **{name: others[name]})
            await w.services.guilds.change(w.env.guild.id, w.mod.id, **change)
            newest, *_ = lines(reply(await w.mod.slash(w.channel, "audit")))
            assert newest == f"{w.mod.mention} · **settings** {expected}"
        # Nor does a value that no bot of today writes keep the page from being read.
        kept = {
            Act.SETTINGS: ("cooldown = soon", "length = 7", "quota = *", "novelty = 1"),
            Act.MODEL: ("default",),
            Act.KEEP: ("story 12",),
        }
        said = (
            *("pause between two stories: soon", "length: 7"),
            *("stories of a member on one day: \\*", "novelty = 1"),
            *("My host's choice", "story #12"),
        )
        async with w.sessions.begin() as session:
            for act, details in kept.items():
                for detail in details:
                    session.add(entry(w.env.guild.id, w.mod.id, act, detail))
        page_ = lines(reply(await w.mod.slash(w.channel, "audit")))
        assert [line.partition("** ")[2] for line in page_[5::-1]] == list(said)


async def test_the_trail_is_paged_and_filtered(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        guild_id = w.env.guild.id
        for hour in range(12):
            await w.services.guilds.change(guild_id, w.mod.id, daily_hour=hour)
        await w.services.mutes.mute(guild_id, w.ben.id, dt.timedelta(days=1), w.aki.id, "")
        await w.services.guilds.change(1, w.mod.id, daily_hour=3)  # another server's
        shown = reply(await w.mod.slash(w.channel, "audit"))
        assert len(lines(shown)) == 10
        assert labels(shown.message) == ["Older"]
        await w.mod.click(shown, label="Older")
        assert len(lines(shown)) == 3
        assert labels(shown.message) == []
        shown = reply(await w.mod.slash(w.channel, "audit", act="settings"))
        await w.mod.click(shown, label="Older")
        assert len(lines(shown)) == 2
        shown = reply(await w.mod.slash(w.channel, "audit", moderator=w.aki))
        assert len(lines(shown)) == 1
        shown = reply(await w.mod.slash(w.channel, "audit", act="remove"))
        assert page(shown) == "Nothing yet."


async def test_long_words_in_the_trail_stay_within_discords_limits(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        async with w.sessions.begin() as session:
            for _ in range(12):
                session.add(
                    Audit(
                        guild_id=w.env.guild.id,
                        moderator_id=2**62,
                        act=Act.MUTE,
                        detail="*" * 3000,
                        reason="_" * 300,
                        channel_id=2**62,
                        member_id=2**62,
                        at=now(),
                    )
                )
        shown = reply(await w.mod.slash(w.channel, "audit"))
        assert page(shown).count("**muted**") == 10


async def test_moderators_see_who_asked_for_what_but_nothing_private(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        everyone, hidden = w.env.guild.default_role, discord.PermissionOverwrite(view_channel=False)
        secret = w.env.guild.create_text_channel("secret", overwrites={everyone: hidden})
        first = await w.story(by=w.aki, prompt="In the year")
        second = await w.story(by=w.ben, prompt="A knock")
        await w.story(by=w.ben, prompt="Hidden")
        async with w.sessions.begin() as session:
            await session.execute(update(Story).where(Story.id == 3).values(private=True))
        shown = reply(await w.mod.slash(w.channel, "asked"))
        here = f"in {w.channel.mention}"
        by_ben = f"{w.ben.mention} {here} [A knock a fox found the moon.]({second.jump_url})"
        by_aki = f"{w.aki.mention} {here} [In the year a fox found the moon.]({first.jump_url})"
        assert lines(shown) == [by_ben, by_aki]
        shown = reply(await w.mod.slash(w.channel, "asked", member=w.aki))
        assert len(lines(shown)) == 1
        async with w.sessions.begin() as session:
            await session.execute(update(Story).where(Story.id == 1).values(text=" and" * 30))
        (cut,) = lines(reply(await w.mod.slash(w.channel, "asked", member=w.aki)))
        assert f"and…]({first.jump_url})" in cut
        # Of a channel that the moderator does not see, no word shows.
        async with w.sessions.begin() as session:
            await session.execute(update(Story).values(channel_id=secret.id))
        shown = reply(await w.mod.slash(w.channel, "asked", member=w.aki))
        assert lines(shown) == [f"{w.aki.mention} in {secret.mention}"]


async def test_who_asked_is_paged(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for member in [w.aki] * 11 + [w.ben]:
            await w.story(by=member)
        shown = reply(await w.mod.slash(w.channel, "asked", member=w.aki))
        assert len(lines(shown)) == 10
        await w.mod.click(shown, label="Older")
        assert len(lines(shown)) == 1


def test_nobody_who_is_forgotten_is_mentioned() -> None:
    story = Story(id=1, prompt="", text="", member_id=NOBODY, asked_at=now(), channel_id=1)
    for kept in (True, False):
        story.withheld = None if kept else Removed.BY_MODERATOR
        decided = Report(id=1, reason="rude", member_id=7, kept=kept, moderator_id=None)
        said = str(reported(story, [decided], "").embed.to_dict())
        assert said.count("*somebody*") == 2
        assert "<@7>" in said
        assert not any(other in said for other in ("<@0>", "<@None>", say("report.deleted")))
    act = Audit(id=1, act="mute", detail="", reason="", moderator_id=NOBODY, member_id=7, at=now())
    for shown in (trail_page([act]), asked_page([story], lambda _: None)):
        assert "*somebody*" in str(shown.embed.description)
        assert "<@0>" not in str(shown.embed.description)
