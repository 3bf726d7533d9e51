"""/stories: what is found again, by whom, and where."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any

import discord
import pytest
import simcord

from bot.apologies import NoStoryOfNumberError, NothingSearchedError
from bot.browsing.lists import Listing
from bot.database.browsing import PER_PAGE, Found, Page
from bot.database.clock import now
from bot.database.tables import State, Story
from bot.locales import LANGUAGES, speaking
from bot.safety.escaping import units
from tests.bot.world import page, reply, thread_in, whisper, world

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bot.world import World


def no_story(number: int) -> str:
    """What is said whether or not there is a story of that number for others."""
    return f"There is no story #{number} that you may see. Lists and **Details** show the numbers."


_interactions = itertools.count(1)


async def put(w: World, prompt: str, **changes: Any) -> int:
    """A story of Aki's that was told by the fireside, each a second after the one before."""
    number = next(_interactions)
    given: dict[str, Any] = {
        "interaction_id": number,
        "guild_id": w.env.guild.id,
        "channel_id": w.channel.id,
        "message_id": 1000 + number,
        "member_id": w.aki.id,
        "prompt": prompt,
        "house_opening": True,
        "model": "gpt2-starter",
        "seed": 7,
        "text": f" and {prompt} on.",
        "state": State.TOLD,
        "asked_at": now(),
        "told_at": now() - dt.timedelta(hours=1) + dt.timedelta(seconds=number),
        "ended_at": now(),
        "shown_at": now(),
    }
    story = Story(**given | changes)
    async with w.sessions.begin() as session:
        session.add(story)
    return story.id


async def seen(w: World, who: Any, what: str, **options: Any) -> str:
    """What a list says to a member."""
    result = await who.slash(w.channel, f"stories {what}", **options)
    assert result.ephemeral
    return page(reply(result))


async def everything(w: World, who: Any) -> str:
    """All lists that show others' stories, and one by chance."""
    lists = [await seen(w, who, "top", span="all"), await seen(w, who, "new")]
    lists.append(await seen(w, who, "search", words="on"))
    result = await who.slash(w.channel, "stories random")
    lists.append(page(reply(result)) if reply(result).embeds else reply(result).content)
    return "\n".join(lists)


BEST = {"votes": 3, "stars": 15, "score": 4.1}


async def test_the_best_the_newest_and_ones_own_are_listed(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await put(w, "Old *and* good", told_at=now() - dt.timedelta(days=20), **BEST)
        await put(w, "Of Ben", member_id=w.ben.id, votes=4, stars=18, score=3.9)
        await put(w, "Unloved")
        newest = await seen(w, w.ben, "new")
        assert newest.index("Unloved") < newest.index("Of Ben") < newest.index("Old")
        assert r"**Old \*and\* good** a" in newest  # one line reads on from the other
        assert "★ 4.5 from 4 · gpt2-starter · <t:" in newest
        assert f"/{w.env.guild.id}/{w.channel.id}/10" in newest
        assert "Old" not in await seen(w, w.ben, "top")
        best = await seen(w, w.ben, "top", span="month")
        assert best.index("Old") < best.index("Of Ben")
        assert "Unloved" not in best
        mine = await seen(w, w.aki, "mine")
        assert "Unloved" in mine
        assert "Of Ben" not in mine


async def test_there_may_be_none(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert (
            await seen(w, w.aki, "top") == "None has 3 votes yet. The stars under a story rate it."
        )
        assert await seen(w, w.aki, "search", words="fox") == (
            "No story that you may see has all of these words."
        )
        result = await w.aki.slash(w.channel, "stories search", words="?! …")
        assert w.refused(result, NothingSearchedError).startswith("There is no word in it")
        assert whisper(await w.aki.slash(w.channel, "stories random")) == "There is none yet."
        result = await w.aki.slash(w.channel, "stories show", number=9999)
        assert w.refused(result, NoStoryOfNumberError) == no_story(9999)


async def test_channels_that_the_asker_may_not_see_never_show(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        guild = w.env.guild
        everyone = discord.utils.get(w.client.guilds[0].roles, name="@everyone")
        assert everyone is not None
        closed = discord.PermissionOverwrite(view_channel=False)
        forgetful = discord.PermissionOverwrite(read_message_history=False)
        staff = guild.create_text_channel(
            "staff",
            overwrites={everyone: closed, w.mod: discord.PermissionOverwrite(view_channel=True)},
        )
        past = guild.create_text_channel("past", overwrites={everyone: forgetful})
        threads = {
            kind: w.env.backend.create_thread(parent.id, kind, w.mod.id, type=number).id
            for kind, parent, number in (
                ("open", w.channel, 11), ("staff's", staff, 11), ("private", w.channel, 12),
            )
        }  # fmt: skip
        await w.env.settle()
        places = {"staff": staff.id, "past": past.id, "deleted": 5, **threads}
        ids = {
            name: await put(w, f"In {name}", channel_id=place, **BEST)
            for name, place in places.items()
        }
        for who, visible in ((w.ben, {"open"}), (w.mod, {"open", "staff", "staff's"})):
            said = await everything(w, who)
            assert {name for name in places if f"In {name}" in said} == visible
            for name, story_id in ids.items():
                result = await who.slash(w.channel, "stories show", number=story_id)
                if name in visible:
                    assert f"In {name}" in page(reply(result))
                else:
                    assert w.refused(result, NoStoryOfNumberError) == no_story(story_id)
        # Her own are hers, wherever they stand.
        page_one = await seen(w, w.aki, "mine")
        assert "In private" in page_one


@pytest.mark.parametrize(
    "hidden", [{"private": True}, {"guild_id": 1}, {"guild_id": None}, {"removed_at": now()}]
)
async def test_private_removed_and_other_servers_stories_never_show(
    tmp_path: Path, hidden: dict[str, Any]
) -> None:
    async with world(tmp_path) as w:
        story_id = await put(w, "Hidden", **BEST, **hidden)
        for who in (w.ben, w.mod):
            assert "Hidden" not in await everything(w, who)
            result = await who.slash(w.channel, "stories show", number=story_id)
            assert w.refused(result, NoStoryOfNumberError) == no_story(story_id)
        assert ("Hidden" in await seen(w, w.aki, "mine")) == ("private" in hidden)
        assert "Hidden" not in await everything(w, w.aki)


async def test_outside_of_servers_one_finds_ones_own_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        dm = w.aki.user.dm_channel.id
        await put(w, "Mine in private", guild_id=None, channel_id=dm, **BEST)
        await put(w, "Another's", guild_id=None, member_id=w.ben.id, **BEST)
        await put(w, "Of the village", **BEST)
        for what, options in (("new", {}), ("mine", {}), ("top", {}), ("search", {"words": "on"})):
            said = page(reply(await w.aki.user.slash(f"stories {what}", **options)))
            assert "Mine in private" in said
            assert "Another" not in said
            assert "village" not in said
        assert "Mine in private" not in await everything(w, w.aki)


async def test_pages_turn_and_stories_open_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        ids = [await put(w, f"Story-{number:02}") for number in range(12)]
        result = await w.ben.slash(w.channel, "stories search", words="story and")
        listed = reply(result)
        await w.stop()
        await w.restart()
        pages = [page(listed)]
        for _ in range(2):
            listed = reply(await w.ben.click(listed, label="On ▶"))
            pages.append(page(listed))
        found = [
            f"Story-{n:02}" for text in pages for n in range(11, -1, -1) if f"Story-{n:02}" in text
        ]
        assert found == [f"Story-{number:02}" for number in range(11, -1, -1)]
        turned = reply(await w.ben.click(listed, label="◀ Back"))
        assert page(turned) == pages[1]
        chosen = reply(await w.ben.select(turned, [str(ids[5])], custom_id="kataribe:open"))
        assert chosen.ephemeral
        assert page(chosen) == "**Story-05** and Story-05 on."


async def test_the_span_is_changed_by_a_press(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await put(w, "Old", told_at=now() - dt.timedelta(days=20), **BEST)
        listed = reply(await w.ben.slash(w.channel, "stories top"))
        assert page(listed).startswith("None has 3 votes yet.")
        listed = reply(await w.ben.click(listed, label="Month"))
        assert listed.embeds[0].title == "The best of this month"
        assert "Old" in page(listed)
        # Of several pages, too, each has buttons of its own.
        for number in range(10):
            await put(w, f"Story-{number}", told_at=now() - dt.timedelta(days=19), **BEST)
        for label in ("All", "Month", "On ▶", "All"):
            listed = reply(await w.ben.click(listed, label=label))


async def test_what_was_told_in_a_thread_that_is_archived_now_is_found_by_its_channels_readers(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        thread = await thread_in(w)
        await w.ready(await w.aki.slash(thread, "story", prompt="In the year"))
        await w.idle()
        known = w.client.get_channel(thread.id)
        assert isinstance(known, discord.Thread)
        await known.edit(archived=True)
        guild = known.guild
        await w.until(lambda: guild.get_thread(thread.id) is None)
        elsewhere = w.env.guild.create_text_channel("elsewhere")
        listed = reply(await w.ben.slash(elsewhere, "stories new"))
        assert "In the year" in page(listed)
        shown = await w.ben.slash(elsewhere, "stories show", number=1)
        assert "a fox found the moon" in page(reply(shown))
        # Nobody asks Discord for it; and who may not see the channel sees nothing of its threads.
        channel = w.client.get_channel(w.channel.id)
        assert isinstance(channel, discord.TextChannel)
        await channel.set_permissions(guild.default_role, view_channel=False)
        listed = reply(await w.ben.slash(elsewhere, "stories new"))
        assert page(listed) == "There is none yet."
        shown = await w.ben.slash(elsewhere, "stories show", number=1)
        assert w.refused(shown, NoStoryOfNumberError) == no_story(1)


async def test_a_press_is_answered_by_what_the_presser_may_see_now(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        story_id = await put(w, "Here")
        listed = reply(await w.ben.slash(w.channel, "stories new"))
        async with w.sessions.begin() as session:
            (await session.get_one(Story, story_id)).private = True
        result = await w.ben.select(listed, [str(story_id)], custom_id="kataribe:open")
        assert whisper(result) == "I no longer have that story."


async def test_a_part_is_shown_where_it_begins(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = await put(w, "Long", text=" word" * 1500)
        second = await put(w, "", text=" And then.", parent_id=first, part=2)
        shown = reply(await w.ben.slash(w.channel, "stories show", number=second))
        assert page(shown).endswith("-# Part 2\nAnd then.")
        assert str(shown.embeds[0].footer.text).startswith("Page ")
        listed = reply(await w.ben.slash(w.channel, "stories new"))
        assert page(listed).startswith("… And then.\n-# ")  # it has no beginning of its own


async def test_a_search_shows_where_its_words_stand(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await put(w, "Once", text=f" {'long ' * 50}before the *two* foxes of dawn {'slept ' * 50}")
        (line, _) = (await seen(w, w.ben, "search", words="fox")).split("\n")
        assert line == (
            r"**Once** … long long long long before the \*two\* **foxes** of dawn "
            "slept slept slept slept slept slept slept slept slept slept slept…"
        )
        # What is shown as it begins needs no second look, and of two words the hidden one does.
        for words in ("once", "long", "once long"):
            assert (await seen(w, w.ben, "search", words=words)).startswith("**Once** long long")
        assert "**dawn** slept" in await seen(w, w.ben, "search", words="once dawn")
        await put(w, "", part=2, text=f" {'山が笑う。' * 40}狐が眠る。夜が明ける。")
        assert "**狐が**眠る。" in await seen(w, w.ben, "search", words="狐が")
        await put(w, "", text=" A café.")
        assert (await seen(w, w.ben, "search", words="cafe")).startswith("… A café.")


async def test_a_search_is_no_longer_than_a_button_can_hold(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        with pytest.raises(simcord.SetupError, match="60"):
            await w.ben.slash(w.channel, "stories search", words="x" * 61)
        words = "\U00020000 " * 30
        for _ in range(6):
            await put(w, words)
        listed = reply(await w.ben.slash(w.channel, "stories search", words=words.strip()))
        assert page(listed) != "There is none yet."
        turned = reply(await w.ben.click(listed, label="On ▶"))
        assert str(turned.embeds[0].footer.text) == "Page 2"


def test_a_page_is_a_message_whatever_its_stories_and_their_tellers_are_called() -> None:
    snowflake = 2**63 - 1
    story = Found(
        id=snowflake,
        prompt="_" * 400,
        opening="_" * 200,
        part=1000,
        model="m_" * 50,
        guild_id=snowflake,
        channel_id=snowflake,
        message_id=snowflake,
        told_at=now(),
        votes=10**6,
        stars=5 * 10**6,
        text=f"{'_' * 300}{'a' * 50} {'_' * 300}",
    )
    for language in LANGUAGES:
        with speaking(language):
            embed = Listing.search("a" * 50).embed(Page([story] * PER_PAGE, 100, more=True))
        assert units(embed.description or "") <= 4096
