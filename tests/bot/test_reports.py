"""A story is reported, kept, removed or deleted; what went is neither shown nor read again."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import discord
import pytest
from discord import ui
from sqlalchemy import select, update

from bot.apologies import NoStoryThereError, StoryGoneError
from bot.database.clock import now
from bot.database.reports import ReportedError
from bot.database.tables import Asked, Audit, Report, State, Story
from bot.locales import say, speaking
from tests.bot.world import World, labels, page, reply, whisper, world

if TYPE_CHECKING:
    from pathlib import Path

    import simcord


async def menu(w: World, story_id: int, *whats: str) -> discord.Message:
    """A message with the buttons of a story's menu, as ⋯ shows them."""
    view = ui.View(timeout=None)
    for what in whats:
        view.add_item(ui.Button(label=what, custom_id=f"kataribe:{what}:{story_id}"))
    channel = w.client.get_channel(w.channel.id)
    assert isinstance(channel, discord.TextChannel)
    return await channel.send("menu", view=view)


async def log_channel(w: World) -> simcord.ChannelHandle:
    channel = w.env.guild.create_text_channel("log")
    await w.services.guilds.change(w.env.guild.id, w.mod.id, log_channel=channel.id)
    return channel


async def fill_in(
    form: simcord.InteractionResult, by: simcord.MemberActor, reason: str
) -> simcord.InteractionResult:
    """Give a reason in a form that has nothing else."""
    assert form.modal is not None
    (label,) = form.modal["components"]
    return await by.submit_modal(form, {label["component"]["custom_id"]: reason})


async def report(
    w: World, by: simcord.MemberActor, reason: str = "rude", story_id: int = 1
) -> simcord.InteractionResult:
    form = await by.click(await menu(w, story_id, "report"), label="report")
    return await fill_in(form, by, reason)


async def rows(w: World, table: type[Any]) -> list[Any]:
    async with w.sessions() as session:
        return list(await session.scalars(select(table)))


async def gone(w: World, message_id: int) -> discord.Message:
    """Wait until a story's message has no buttons any more."""
    await w.until(lambda: not labels(w.message(message_id)))
    return w.message(message_id)


async def test_a_report_reaches_the_log_channel_and_is_removed_there_once(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        log = await log_channel(w)
        told = await w.story(prompt="In the year")
        assert whisper(await report(w, w.ben, "it is *rude*")).startswith("Thank you.")
        shown = log.history()[-1]
        (embed,) = shown.embeds
        assert embed.url == told.jump_url
        assert embed.description is None  # its words stand where they can be deleted
        assert embed.fields[0].value == rf"{w.ben.mention}: it is \*rude\*"
        assert labels(shown) == ["Keep", "Remove"]
        # A second report of it waits with the first.
        await report(w, w.mod, "me too")
        assert len(log.history()) == 1
        await w.mod.click(shown, label="Remove")
        redrawn = await gone(w, told.id)
        assert page(redrawn) == "-# A moderator has removed this story."
        decided = next(message for message in log.history() if message.id == shown.id)
        assert labels(decided) == []
        assert decided.embeds[0].fields[-1].value == f"{w.mod.mention} removed it."
        assert decided.embeds[0].description == "-# Its words are gone."
        assert len(log.history()) == 1  # it says so itself
        assert [(r.kept, r.moderator_id) for r in await rows(w, Report)] == [(False, w.mod.id)] * 2
        (act,) = [act for act in await rows(w, Audit) if act.act == "remove"]
        assert (act.moderator_id, act.member_id) == (w.mod.id, w.aki.id)
        assert (act.detail, act.reason) == ("story 1", "it is *rude*")
        # A second moderator's press on what they still see changes nothing and shows who decided.
        await w.mod.click(await _with_button(w, log, "kataribe:reported:1:keep"), label="Keep")
        assert [r.kept for r in await rows(w, Report)] == [False, False]


async def test_a_log_channel_is_told_in_the_servers_language(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        log = await log_channel(w)
        _, other = await w.story(), await w.story()
        await w.services.guilds.change(w.env.guild.id, w.mod.id, language="ja")
        await report(w, w.ben)
        shown = log.history()[-1]
        await w.mod.click(shown, label=labels(shown)[1])
        with speaking("ja"):
            assert shown.embeds[0].title == say("report.title")
            # Who decided speaks English; all moderators read what stands there.
            decided = log.history()[0].embeds[0]
            assert decided.title == say("report.title")
            assert decided.fields[-1].value == say("report.removed", moderator=w.mod.mention)
        await fill_in(await w.mod.context_menu(w.channel, "Remove story", other), w.mod, "")
        with speaking("ja"):
            who = {"moderator": w.mod.mention, "member": w.aki.mention, "link": other.jump_url}
            assert log.history()[-1].content == say("remove.log", **who)


async def test_of_a_removal_elsewhere_the_log_channel_hears_once(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        log = await log_channel(w)
        await w.story()
        await report(w, w.ben)
        await w.mod.click(reply(await w.mod.slash(w.channel, "reports")), label="Remove")
        two = reply(await w.aki.slash(w.channel, "contrast", prompt="In the year")).id
        await w.until(lambda: labels(w.message(two)).count("Continue") == 2)
        form = await w.mod.context_menu(w.channel, "Remove story", w.message(two))
        await fill_in(form, w.mod, "too wet")
        first, second = [message.content for message in log.history() if message.content]
        assert first.startswith(f"{w.mod.mention} removed a story that {w.aki.mention} had asked")
        assert second.endswith("\nReason: too wet")
        assert [act.act for act in await rows(w, Audit)].count("remove") == 3


async def _with_button(w: World, channel: simcord.ChannelHandle, custom_id: str) -> discord.Message:
    there = w.client.get_channel(channel.id)
    assert isinstance(there, discord.TextChannel)
    button: ui.Button[ui.View] = ui.Button(label="Keep", custom_id=custom_id)
    return await there.send("old", view=ui.View(timeout=None).add_item(button))


async def test_a_reported_story_is_kept(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        log = await log_channel(w)
        told = await w.story(prompt="In the year")
        await report(w, w.ben)
        await w.mod.click(log.history()[-1], label="Keep")
        shown = log.history()[-1]
        assert labels(shown) == []
        assert shown.embeds[0].fields[-1].value == f"{w.mod.mention} lets it stand."
        assert page(w.message(told.id)) == "**In the year** a fox found the moon."
        assert [r.kept for r in await rows(w, Report)] == [True]
        assert [act.act for act in await rows(w, Audit)] == ["settings", "keep"]


async def test_without_a_log_channel_reports_wait_in_their_command(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.story(prompt="First")
        await w.story(prompt="Second")
        nothing = await w.mod.slash(w.channel, "reports")
        assert whisper(nothing) == "No reported story waits for you."
        await report(w, w.ben, story_id=1)
        await report(w, w.ben, story_id=2)
        first = reply(await w.mod.slash(w.channel, "reports"))
        assert first.content == "Reported stories that wait: 2"
        assert page(first) == "First a fox found the moon."
        await w.mod.click(first, label="Next")
        assert page(first) == "Second a fox found the moon."
        await w.mod.click(first, label="Keep")
        assert first.embeds[0].fields[-1].value == f"{w.mod.mention} lets it stand."
        assert first.content == "Reported stories that wait: 1"
        await w.mod.click(first, label="Next")  # after the last comes the first
        assert page(first) == "First a fox found the moon."
        left = reply(await w.mod.slash(w.channel, "reports"))
        assert left.content == "Reported stories that wait: 1"
        assert page(left) == "First a fox found the moon."
        assert "reports" not in w.aki.available_commands(w.channel)


async def test_a_log_channel_out_of_reach_loses_no_report(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await log_channel(w)
        await w.story()
        button = await menu(w, 1, "report")
        form = await w.ben.click(button, label="report")
        w.env.inject_error("POST", "/channels/*/messages", status=403, code=50013)
        assert whisper(await fill_in(form, w.ben, "rude")).startswith("Thank you.")
        waiting = reply(await w.mod.slash(w.channel, "reports"))
        assert waiting.content == "Reported stories that wait: 1"


async def test_a_member_reports_a_story_once(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.story()
        await report(w, w.ben)
        again = w.refused(await report(w, w.ben), ReportedError)
        assert again.startswith("You have reported this story already.")
        assert len(await rows(w, Report)) == 1


async def test_members_decide_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        log = await log_channel(w)
        await w.story()
        await report(w, w.ben)
        for label in ("Keep", "Remove"):
            result = await w.ben.click(log.history()[-1], label=label)
            assert whisper(result).startswith("That is for moderators")
        assert [r.kept for r in await rows(w, Report)] == [None]


async def test_another_servers_story_can_neither_be_reported_nor_removed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        told = await w.story(prompt="In the year")
        await report(w, w.ben)
        async with w.sessions.begin() as session:  # as if it had been told elsewhere
            await session.execute(update(Story).values(guild_id=1))
            await session.execute(update(Report).values(guild_id=1))
        buttons = await menu(w, 1, "report", "delete")
        for label in ("report", "delete"):
            result = await w.mod.click(buttons, label=label)
            assert whisper(result) == "I no longer have that story."
        decision = await _with_button(w, w.channel, "kataribe:reported:1:remove")
        result = await w.mod.click(decision, label="Keep")
        assert whisper(result) == "I no longer have that story."
        result = await w.mod.context_menu(w.channel, "Remove story", told)
        assert w.refused(result, NoStoryThereError) == "No story of mine stands in that message."
        assert (await _story(w, 1)).removed_at is None


async def test_what_stands_in_a_channel_that_is_closed_to_them_nobody_reports_or_removes(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        everyone, hidden = w.env.guild.default_role, discord.PermissionOverwrite(view_channel=False)
        secret = w.env.guild.create_text_channel("secret", overwrites={everyone: hidden})
        await w.story()
        form = await w.ben.click(await menu(w, 1, "report"), label="report")
        async with w.sessions.begin() as session:
            await session.execute(update(Story).values(channel_id=secret.id))
        # Nor with a form that was opened before the channel was closed.
        late = await fill_in(form, w.ben, "rude")
        assert w.refused(late, StoryGoneError) == "I no longer have that story."
        for what, who in (("report", w.ben), ("delete", w.ben), ("delete", w.mod)):
            result = await who.click(await menu(w, 1, what), label=what)
            assert whisper(result) == "I no longer have that story."
        assert await rows(w, Report) == []
        # It is still its own member's to delete.
        asked = reply(await w.aki.click(await menu(w, 1, "delete"), label="delete"))
        await w.aki.click(asked, label="Delete it")
        assert (await _story(w, 1)).removed_at is not None


async def test_a_private_story_is_nobody_elses(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.story(prompt="In the year")
        async with w.sessions.begin() as session:
            await session.execute(update(Story).values(private=True))
        buttons = await menu(w, 1, "report", "delete")
        for label in ("report", "delete"):
            result = await w.mod.click(buttons, label=label)
            assert whisper(result) == "I no longer have that story."
        result = await w.aki.click(buttons, label="report")
        assert whisper(result).startswith("Nobody but you sees that story.")


async def test_who_asked_for_a_story_deletes_it_after_a_second_press(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        log = await log_channel(w)
        told = await w.story(prompt="In the year")
        await report(w, w.ben)
        asked = reply(await w.aki.click(await menu(w, 1, "delete"), label="delete"))
        assert asked.ephemeral
        assert page(w.message(told.id)).startswith("**In the year**")
        await w.aki.click(asked, label="Delete it")
        assert asked.content == "It is deleted. Its message says so in a moment."
        assert page(await gone(w, told.id)) == "-# Who asked for this story has deleted it."
        story = await _story(w, 1)
        assert (story.prompt, story.text, story.state) == ("", "", State.CANCELLED)
        assert story.told_at is not None
        # It stays counted, and the report of it is settled without a moderator.
        assert [row.count for row in await rows(w, Asked)] == [1]
        await w.mod.click(log.history()[-1], label="Keep")
        assert log.history()[-1].embeds[0].fields[-1].value == "Who had asked for it deleted it."
        assert [act.act for act in await rows(w, Audit)] == ["settings"]


async def test_others_delete_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.story()
        result = await w.ben.click(await menu(w, 1, "delete"), label="delete")
        assert whisper(result).startswith("Only the member who asked for it")
        yes = await _with_button(w, w.channel, "kataribe:delete:1:yes")
        for member in (w.ben, w.mod):  # a moderator says why, in a form
            result = await member.click(yes, label="Keep")
            assert whisper(result).startswith("Only the member who asked for it")
        assert (await _story(w, 1)).removed_at is None


async def test_a_moderator_removes_by_the_messages_menu_and_says_why(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        log = await log_channel(w)
        told = await w.story(prompt="In the year")
        form = await w.mod.context_menu(w.channel, "Remove story", told)
        result = await fill_in(form, w.mod, "a real *person*")
        assert whisper(result) == "It is removed. Its message says so in a moment."
        assert page(await gone(w, told.id)) == "-# A moderator has removed this story."
        assert log.history()[-1].content.endswith("\nReason: a real \\*person\\*")
        # Old buttons of it answer no more.
        old = await _with_button(w, w.channel, "kataribe:continue:1")
        assert whisper(await w.ben.click(old, label="Keep")) == "I no longer have that story."
        result = await w.mod.context_menu(w.channel, "Remove story", told)
        assert w.refused(result, NoStoryThereError).startswith("No story of mine")
        said = await w.aki.send(w.channel, "no story")
        result = await w.mod.context_menu(w.channel, "Remove story", said)
        assert w.refused(result, NoStoryThereError).startswith("No story of mine")


async def test_a_moderator_deletes_by_the_storys_menu(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        told = await w.story(prompt="In the year")
        form = await w.mod.click(await menu(w, 1, "delete"), label="delete")
        await fill_in(form, w.mod, "")
        assert page(await gone(w, told.id)) == "-# A moderator has removed this story."


async def test_two_moderators_remove_it_once(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        told = await w.story(prompt="In the year")
        first = await w.mod.context_menu(w.channel, "Remove story", told)
        second = await w.mod.context_menu(w.channel, "Remove story", told)
        await fill_in(first, w.mod, "")
        result = await fill_in(second, w.mod, "")
        assert w.refused(result, StoryGoneError) == "I no longer have that story."
        assert [act.act for act in await rows(w, Audit)] == ["remove"]


@pytest.mark.parametrize("words", [0, 1])
async def test_a_story_is_removed_while_it_waits_or_is_told(tmp_path: Path, words: int) -> None:
    async with world(tmp_path) as w:
        w.teller.hold(after=words)
        await w.aki.slash(w.channel, "story", prompt="In the year")
        await w.until(lambda: "a fox▌" in page(w.message()) if words else w.teller.asked)
        message_id = w.message().id
        asked = reply(await w.aki.click(await menu(w, 1, "delete"), label="delete"))
        await w.aki.click(asked, label="Delete it")
        await gone(w, message_id)
        await w.teller.release()
        await w.idle()
        assert page(w.message(message_id)) == "-# Who asked for this story has deleted it."
        story = await w.services.stories.get(1)
        assert story is not None
        assert (story.state, story.prompt, story.text) == (State.CANCELLED, "", "")


async def test_what_is_told_after_a_removal_reads_none_of_its_words(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await w.story(prompt="In the year")
        w.teller.pieces = [" It was cold."]
        result = await w.ben.click(first, label="Continue")
        onward = await w.told(reply(result).id)
        assert await w.services.remove(await _story(w, 1), moderator_id=w.mod.id)
        await gone(w, first.id)
        assert page(w.message(onward.id)) == "… It was cold."
        result = await w.aki.click(onward, label="Continue")
        await w.told(reply(result).id)
        assert w.teller.asked[-1]["prompt"] == "It was cold."


async def _story(w: World, story_id: int) -> Story:
    story = await w.services.stories.get(story_id)
    assert story is not None
    return story


async def test_removed_words_are_nowhere_in_the_database(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        told = await w.story(prompt="Xylophones at dawn")
        assert await w.services.remove(await _story(w, 1))
        await gone(w, told.id)
        assert await w.services.remove(await _story(w, 1)) is None
        async with w.sessions() as session:
            dump = str([vars(story) for story in await session.scalars(select(Story))])
        assert "Xylophones" not in dump
        assert "fox" not in dump


async def test_a_removal_is_shown_although_the_bot_stopped_before(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        told = await w.story(prompt="In the year")
        await w.idle()
        await w.stop()
        async with w.sessions.begin() as session:  # a story that ended months ago
            await session.execute(update(Story).values(ended_at=now() - dt.timedelta(days=90)))
        assert await w.services.remove(await _story(w, 1), moderator_id=w.mod.id)
        assert page(w.message(told.id)).startswith("**In the year**")
        await w.restart()
        assert page(await gone(w, told.id)) == "-# A moderator has removed this story."
