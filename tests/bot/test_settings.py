"""What a server's moderators choose in /settings, and what it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
import pytest
from discord import ui
from sqlalchemy import select

from bot.apologies import NotModeratorError, NumberRefusedError, TooManyError
from bot.database.guild_settings import GuildSettings
from bot.database.limits import QueueFullError
from bot.database.tables import Audit, Guild, Length
from bot.safety.own_words import WordRefusedError
from bot.services import NoStoriesHereError, UnknownMoodError
from tests.bot.world import World, reply, thread_in, whisper, world

if TYPE_CHECKING:
    from pathlib import Path

    import simcord


def texts(message: simcord.ResponseMessage) -> str:
    """Everything that a message of laid-out components says."""
    found: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, list):
            for one in part:
                walk(one)
        elif isinstance(part, dict):
            if isinstance(said := part.get("content"), str):
                found.append(said)
            for inner in part.values():
                walk(inner)

    walk(message.components)
    return "\n".join(found)


def control(what: str) -> str:
    return f"kataribe:settings:{what}"


async def opened(w: World, page: str = "places") -> simcord.ResponseMessage:
    """A page of the settings, as the moderator sees it."""
    message = reply(await w.mod.slash(w.channel, "settings"))
    assert message.ephemeral
    if page != "places":
        await w.mod.click(message, custom_id=control(f"page:{page}"))
    return message


async def chosen(w: World) -> GuildSettings:
    return await w.services.guilds.settings(w.env.guild.id)


async def test_members_do_not_see_the_command(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert "settings" not in w.aki.available_commands(w.channel)
        assert "settings" in w.mod.available_commands(w.channel)


async def test_stories_are_told_in_the_story_channels_only(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        stories = w.env.guild.create_text_channel("stories")
        message = await opened(w)
        await w.mod.select(message, [stories], custom_id=control("story_channels"))
        assert (await chosen(w)).story_channels == (stories.id,)
        result = await w.aki.slash(w.channel, "story", prompt="In the year")
        assert w.refused(result, NoStoriesHereError) == (
            f"Stories are told elsewhere in this server: {stories.mention}."
        )
        await w.aki.slash(stories, "story", prompt="In the year")
        await w.idle()
        assert len(stories.history()) == 1
        # None chosen: everywhere again.
        await w.mod.select(message, [], custom_id=control("story_channels"))
        await w.story(by=w.aki)


@pytest.mark.parametrize("what", ["story_channels", "log_channel", "daily_channel"])
async def test_no_channel_of_another_server_is_chosen(tmp_path: Path, what: str) -> None:
    async with world(tmp_path) as w:
        before = await chosen(w)
        elsewhere = w.env.create_guild("Another village").create_text_channel("theirs")
        # A menu that none of ours is: a client of somebody's own sends what it likes.
        theirs = discord.SelectOption(label="theirs", value=str(elsewhere.id))
        made_up: ui.Select[ui.View] = ui.Select(custom_id=control(what), options=[theirs])
        there = w.client.get_channel(w.channel.id)
        assert isinstance(there, discord.TextChannel)
        message = await there.send("menu", view=ui.View(timeout=None).add_item(made_up))
        result = await w.mod.select(message, [theirs.value], custom_id=control(what))
        assert whisper(result).startswith("That cannot be chosen.")
        assert await chosen(w) == before


async def test_a_thread_belongs_to_its_channel(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        thread = await thread_in(w)
        other = w.env.guild.create_text_channel("other")
        await w.services.guilds.change(w.env.guild.id, w.mod.id, story_channels=(w.channel.id,))
        await w.aki.slash(thread, "story", prompt="In the year")
        await w.idle()
        assert thread.history()
        with pytest.raises(NoStoriesHereError):
            await w.services.admit(w.env.guild.id, w.aki.id, other.id, None)


async def test_the_page_redraws_itself_with_what_was_chosen(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await opened(w, "words")
        assert "Learning from ratings: Off" in texts(message)
        await w.mod.click(message, custom_id=control("learning:on"))
        assert "Learning from ratings: On" in texts(message)
        assert (await chosen(w)).learning
        # Another moderator's page, drawn before, has the old button: it changes nothing.
        await w.services.guilds.change(w.env.guild.id, w.mod.id, learning=True)
        assert (await chosen(w)).learning


async def test_every_menu_saves_what_is_chosen(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.story()  # by now the models are known
        for page, what, values in (
            ("places", "language", ["en"]),
            ("stories", "length", ["long"]),
            ("stories", "plain", ["plain"]),
            ("stories", "model", ["lstm-starter"]),
            ("daily", "daily_hour", ["7"]),
        ):
            message = await opened(w, page)
            await w.mod.select(message, values, custom_id=control(what))
        for page, what in (("places", "log_channel"), ("daily", "daily_channel")):
            message = await opened(w, page)
            await w.mod.select(message, [w.channel], custom_id=control(what))
        settings = await chosen(w)
        assert settings == GuildSettings(
            language="en",
            length=Length.LONG,
            plain=True,
            daily_hour=7,
            log_channel=w.channel.id,
            daily_channel=w.channel.id,
        )
        assert "\n-# lstm-starter · seed" in (await w.story()).content
        async with w.sessions() as session:
            acts = list(await session.scalars(select(Audit).order_by(Audit.id)))
        assert [act.act for act in acts] == ["settings"] * 3 + ["model use"] + ["settings"] * 3
        assert [act.detail for act in acts][:2] == ["language = en", "length = long"]
        said = [message.content for message in w.channel.history()]
        assert said.count("From now on **lstm-starter** tells the stories here.") == 1
        # Where the server does not want it said, nobody but the moderator hears.
        await w.services.guilds.change(w.env.guild.id, w.mod.id, announce_model=False)
        await w.mod.select(await opened(w, "stories"), ["-"], custom_id=control("model"))
        assert len(w.channel.history()) == len(said)
        # The choice of nothing of one's own goes back.
        await w.mod.select(await opened(w, "stories"), ["-"], custom_id=control("length"))
        assert (await chosen(w)).length is None


async def test_settings_outlive_the_bot(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await opened(w, "words")
        await w.stop()
        await w.restart()
        await w.mod.click(message, custom_id=control("learning:on"))
        await w.stop()
        await w.restart()
        assert (await chosen(w)).learning


async def test_limits_are_typed_into_a_form(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await opened(w, "limits")
        form = await w.mod.click(message, custom_id=control("limits"))
        await submit(w, form, ["90", "5", "", "20"])
        settings = await chosen(w)
        assert (settings.cooldown, settings.quota) == (90, 5)
        assert (settings.per_member, settings.per_server) == (None, 20)
        assert "**Pause between two stories of a member**: 90 s" in texts(message)
        # Above the host's own limit nobody goes.
        form = await w.mod.click(message, custom_id=control("limits"))
        result = await submit(w, form, ["90", "5", "4", "20"])
        assert w.refused(result, NumberRefusedError) == (
            "“4” does not fit: it takes a whole number from 1 to 3."
        )
        assert (await chosen(w)) == settings


async def test_a_role_has_a_quota_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as w:
        fans = w.env.guild.create_role("Fans")
        message = await opened(w, "limits")
        form = await w.mod.select(message, [fans], custom_id=control("role_quota"))
        await submit(w, form, ["30"])
        settings = await chosen(w)
        assert settings.role_quotas == {fans.id: 30}
        assert f"{fans.mention}: 30" in texts(message)
        form = await w.mod.select(message, [fans], custom_id=control("role_quota"))
        # What another moderator sets while the form is open stays.
        await w.services.guilds.change(w.env.guild.id, w.mod.id, role_quotas={fans.id: 30, 7: 9})
        await submit(w, form, [""])
        assert (await chosen(w)).role_quotas == {7: 9}
        # And what one saves at the very moment in which it is sent.
        change_by = w.services.guilds.change_by

        async def second(*given: Any) -> GuildSettings:
            await change_by(
                w.env.guild.id, w.mod.id, lambda of: {"role_quotas": {**of.role_quotas, 8: 1}}
            )
            return await change_by(*given)

        monkeypatch.setattr(w.services.guilds, "change_by", second)
        form = await w.mod.select(message, [fans], custom_id=control("role_quota"))
        await submit(w, form, ["3"])
        assert (await chosen(w)).role_quotas == {7: 9, 8: 1, fans.id: 3}


@pytest.mark.parametrize(
    ("quota", "quotas", "roles", "expected"),
    [
        (5, {}, {1}, 5),
        (5, {1: 30}, {2}, 5),
        (5, {1: 30, 2: 3}, {1, 2}, 30),
        (5, {1: 3}, {1}, 3),
        (0, {1: 3}, {9}, 0),
    ],
)
def test_of_several_roles_the_most_generous_counts(
    quota: int, quotas: dict[int, int], roles: set[int], expected: int
) -> None:
    assert GuildSettings(quota=quota, role_quotas=quotas).quota_of(roles) == expected


async def test_what_was_typed_limits_what_members_ask_for(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        fans = w.env.guild.create_role("Fans")
        eri = w.env.guild.add_member(w.env.create_user("eri"), roles=[fans])
        await w.services.guilds.change(
            w.env.guild.id, w.mod.id, quota=1, role_quotas={fans.id: 2}, per_server=4
        )
        for member in (w.aki, eri, eri):
            await w.story(by=member)
        for member in (w.aki, eri):
            result = await member.slash(w.channel, "story", prompt="In the year")
            assert w.refused(result, QueueFullError).startswith("You have asked as often")
        limits = await w.services.limits(w.env.guild.id, [fans.id])
        assert (limits.daily, limits.per_server, limits.per_member) == (2, 4, 3)
        # Another server has its own.
        assert (await w.services.limits(1, [fans.id])).daily == 0
        await w.services.guilds.change(w.env.guild.id, w.mod.id, quota=0, cooldown=3600)
        result = await w.aki.slash(w.channel, "story", prompt="In the year")
        assert "<t:" in w.refused(result, QueueFullError)


async def test_filter_words_are_typed_one_on_each_line(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await opened(w, "words")
        form = await w.mod.click(message, custom_id=control("filter_words"))
        await submit(w, form, ["moon\n\n  red   fox \nmoon\n"])
        assert (await chosen(w)).filter_words == ("moon", "red fox")
        assert "2 of 100" in texts(message)
        form = await w.mod.click(message, custom_id=control("filter_words"))
        result = await submit(w, form, ["x" * 33])
        long = w.refused(result, WordRefusedError)
        assert long == f"A word of the filter has at most 32 characters: “{'x' * 33}” is too long."
        form = await w.mod.click(message, custom_id=control("filter_words"))
        result = await submit(w, form, ["\n".join(f"word{number}" for number in range(101))])
        assert w.refused(result, TooManyError).startswith("At most 100 words of 1 to 32")
        async with w.sessions() as session:
            act = (await session.scalars(select(Audit))).one()
        assert act.detail == "filter_words = 2"


async def test_who_is_no_moderator_any_more_changes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await opened(w, "words")
        form = await w.mod.click(message, custom_id=control("filter_words"))
        w.env.backend.get_guild(w.env.guild.id).members[w.mod.id].role_ids.clear()
        result = await w.mod.click(message, custom_id=control("learning:on"))
        assert whisper(result).startswith("That is for moderators")
        result = await submit(w, form, ["moon"])
        assert w.refused(result, NotModeratorError).startswith("That is for moderators")
        assert await chosen(w) == GuildSettings()


async def test_every_page_stays_within_discords_limits(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        guild = w.env.guild
        w.teller.models = tuple(f"model-{number}" + "_" * 91 for number in range(60))
        roles = [guild.create_role(f"role {number}") for number in range(20)]
        channels = [guild.create_text_channel(f"channel-{number}") for number in range(25)]
        await w.services.guilds.change(
            guild.id,
            w.mod.id,
            story_channels=tuple(channel.id for channel in channels),
            role_quotas={role.id: 10_000 for role in roles},
            filter_words=tuple(f"{number:032}" for number in range(100)),
        )
        for page in ("places", "stories", "limits", "words", "daily"):
            message = await opened(w, page)
            assert len(texts(message)) <= 4000
        form = await w.mod.click(await opened(w, "words"), custom_id=control("filter_words"))
        assert form.modal is not None


async def test_a_channel_that_is_gone_is_not_shown(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.services.guilds.change(w.env.guild.id, w.mod.id, log_channel=123)
        message = await opened(w)
        assert "123" not in str(message.components)


async def test_what_is_wrong_in_the_database_falls_back_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as w:
        saved = '{"cooldown": "soon", "novelty": 1, "quota": 4}'
        async with w.sessions.begin() as session:
            session.add(Guild(guild_id=w.env.guild.id, settings=saved))
        await w.story()
        await w.story()
        assert await chosen(w) == GuildSettings(quota=4)
        said = [r.message for r in caplog.records if "their defaults hold" in r.message]
        assert len(said) == 1
        assert said[0].endswith("and their defaults hold: cooldown, novelty")


@pytest.mark.parametrize("saved", ["", "[]", "null", "{", '"x"'])
def test_settings_that_are_no_object_are_the_defaults(saved: str) -> None:
    assert GuildSettings.read(saved, 1) == GuildSettings()


def test_only_what_differs_is_saved_and_it_comes_back() -> None:
    settings = GuildSettings(role_quotas={7: 3}, story_channels=(1, 2), length=Length.SAGA)
    assert GuildSettings.read(settings.saved(), 1) == settings
    assert GuildSettings().saved() == "{}"


async def test_two_moderators_do_not_undo_each_other(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first, second = await opened(w, "words"), await opened(w, "daily")
        await w.mod.click(first, custom_id=control("learning:on"))
        await w.mod.select(second, ["3"], custom_id=control("daily_hour"))
        settings = await chosen(w)
        assert (settings.learning, settings.daily_hour) == (True, 3)


async def submit(
    w: World, form: simcord.InteractionResult, values: list[str]
) -> simcord.InteractionResult:
    """Fill in a form's fields, in order."""
    assert form.modal is not None
    fields = [label["component"]["custom_id"] for label in form.modal["components"]]
    return await w.mod.submit_modal(form, dict(zip(fields, values, strict=True)))


async def test_a_server_has_its_moods_length_and_language(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await opened(w, "stories")
        await w.mod.select(message, ["calm", "wild"], custom_id=control("moods"))
        await w.mod.select(message, ["long"], custom_id=control("length"))
        result = await w.aki.slash(w.channel, "story", prompt="In the year", mood="lively")
        assert "calm, wild" in w.refused(result, UnknownMoodError)
        offered = await w.aki.autocomplete(w.channel, "story", "mood", "")
        assert [choice["value"] for choice in offered] == ["calm", "wild"]
        await w.story(prompt="In the year", mood="wild")
        story = await w.services.stories.get(1)
        assert story is not None
        assert (story.mood, story.length, story.language) == ("wild", Length.LONG, "en")
        # A mood that is not wanted any more does not come again by a press.
        await w.services.guilds.change(w.env.guild.id, w.mod.id, moods=("calm",))
        await w.aki.click(w.message(story.message_id), label="Again")
        await w.idle()
        again = await w.services.stories.get(2)
        assert again is not None
        assert again.mood is None
