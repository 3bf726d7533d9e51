"""/privacy as members meet it: what is kept, all of it as a file, and everything deleted."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any, Literal

import pytest
from sqlalchemy import select, update

from bot.apologies import ExportTooLargeError
from bot.config import RemoteModel, Settings
from bot.database.holdings import NOBODY
from bot.database.ratings import Stars
from bot.database.tables import State, Story
from bot.forgetting import draw_forgotten, exported
from bot.forgetting import forget as forget_all
from bot.messages.privacy import what_is_kept
from bot.services import Services
from tests.bot.world import World, labels, page, reply, whisper, world

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import discord
    import simcord


async def stories(w: World) -> list[Story]:
    async with w.sessions() as session:
        return list(await session.scalars(select(Story).order_by(Story.id)))


def shown(result: simcord.InteractionResult) -> Any:
    """The message that only the member sees."""
    assert reply(result).ephemeral
    return reply(result)


async def export(w: World, by: simcord.MemberActor) -> dict[str, Any]:
    """Everything that the member gets."""
    kept = shown(await by.slash(w.channel, "privacy"))
    result = await by.click(kept, label="Export")
    (file,) = shown(result).message.attachments
    assert file.filename == "kataribe.json"
    given: dict[str, Any] = json.loads(await file.read())
    return given


async def forget(w: World, by: simcord.MemberActor, how: str) -> simcord.InteractionResult:
    kept = shown(await by.slash(w.channel, "privacy"))
    sure = await by.click(kept, label="Delete all of mine")
    assert "cannot be undone" in page(shown(sure))
    return await by.click(shown(sure), label=how)


async def test_privacy_says_to_the_member_alone_what_is_kept(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for result in (await w.aki.slash(w.channel, "privacy"), await w.aki.user.slash("privacy")):
            assert "Stars and votes" in page(shown(result))
            assert "30 days" in page(shown(result))


@pytest.mark.parametrize("where", ["generator", "models"])
def test_privacy_says_that_another_server_hears_what_is_asked_for(where: str) -> None:
    here = Settings()
    url = "http://127.0.0.1:9"
    there = (
        here.model_copy(update={"generator": here.generator.model_copy(update={"url": url})})
        if where == "generator"
        else here.model_copy(update={"models": {"far": RemoteModel(url=url)}})
    )
    alone, told = (what_is_kept(settings).description or "" for settings in (here, there))
    assert "Nothing is passed on." in alone
    assert "nothing about who asked" not in alone
    assert "it gets your beginnings" in told


async def test_the_export_has_everything_of_the_member_and_nothing_of_others(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        await w.story(prompt="A fox of mine")
        message = await w.story(by=w.ben, prompt="A word of another")
        await w.aki.click(message, label="4 ★")
        await w.mod.slash(w.channel, "model use", model="lstm-starter")
        given = await export(w, w.aki)
        assert given["member_id"] == str(w.aki.id)
        (story,) = given["stories"]
        assert story["prompt"] == "A fox of mine"
        assert story["text"] == " a fox found the moon."
        (rating,) = given["ratings"]
        assert (rating["story_id"], rating["stars"]) == (2, 4)
        everything = json.dumps(given)
        assert "A word of another" not in everything
        assert str(w.ben.id) not in everything
        assert "token" not in everything
        assert [act["act"] for act in (await export(w, w.mod))["acts"]] == ["model use"]


async def test_the_export_does_not_say_who_tells_in_an_open_duel(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        models = {"gpt2-starter", "lstm-starter"}
        result = await w.aki.slash(w.channel, "duel", prompt="In the year")
        await w.until(lambda: "Close" in labels(w.message(reply(result).id)))
        given = await export(w, w.aki)
        assert len(given["stories"]) == 2
        assert not any(model in json.dumps(given) for model in models)
        await w.aki.click(w.message(reply(result).id), label="Close")
        given = await export(w, w.aki)
        assert {story["model"] for story in given["stories"]} == models
        (duel,) = given["duels"]
        assert {duel["model_a"], duel["model_b"]} == models


async def test_what_is_too_large_for_discord_is_packed_or_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for _ in range(3):
            await w.story(prompt="A fox of mine " * 20)
        _, plain = await exported(w.services, w.aki.id, 10**6)
        name, packed = await exported(w.services, w.aki.id, len(plain) - 1)
        assert name == "kataribe.json.zip"
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            assert len(json.loads(archive.read("kataribe.json"))["stories"]) == 3
        with pytest.raises(ExportTooLargeError):
            await exported(w.services, w.aki.id, 100)


async def test_of_a_members_presses_one_brings_a_file_and_others_wait_for_theirs(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:

        class Line(asyncio.Lock):
            """The client's, for whose end the village does not wait."""

            async def acquire(self) -> Literal[True]:
                turn = super().acquire()
                if self.locked():
                    await w.env.external_wait(turn, reason="another's file is collected")
                    return True
                return await turn

        kept = {by: shown(await by.slash(w.channel, "privacy")) for by in (w.aki, w.ben)}
        w.client.collecting = Line()
        async with w.client.collecting:  # somebody's is collected
            waiting = [await by.click(message, label="Export") for by, message in kept.items()]
            assert w.client.exporting == {w.aki.id, w.ben.id}
            again = await w.aki.click(kept[w.aki], label="Export")
            assert whisper(again).startswith("I am collecting it already.")
        await w.until(lambda: not w.client.exporting)
        for result in waiting:
            (file,) = shown(result).message.attachments
            assert file.filename == "kataribe.json"
        assert (await export(w, w.aki))["member_id"] == str(w.aki.id)


async def test_nothing_is_deleted_before_it_is_asked_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.story(prompt="A fox of mine")
        result = await forget(w, w.aki, "Delete nothing")
        assert "Stars and votes" in page(shown(result))
        (story,) = await stories(w)
        assert (story.member_id, story.prompt) == (w.aki.id, "A fox of mine")


async def test_a_sagas_part_that_comes_in_the_middle_of_a_deletion_is_called_off_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        await w.aki.slash(w.channel, "story", prompt="In the year", length="saga")
        call_off = Services.call_off

        async def as_the_part_is_shown(self: Services, story: Story) -> Story | None:
            if story.part == 1:
                told = update(Story).values(state=State.TOLD, ended_at=story.asked_at)
                async with w.sessions.begin() as session:
                    await session.execute(told.where(Story.id == story.id))
                await self.queue.shown(story.id, State.TOLD)
            return await call_off(self, story)

        monkeypatch.setattr(Services, "call_off", as_the_part_is_shown)
        await forget(w, w.aki, "Keep them without my name")
        first, second = await stories(w)
        assert (first.member_id, second.member_id) == (NOBODY, NOBODY)
        assert second.state is State.CANCELLED
        await w.teller.release()


async def test_a_member_who_leaves_their_stories_is_named_nowhere(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        mine = await w.story(prompt="A fox of mine")
        bens = await w.story(by=w.ben, prompt="Another")
        await w.ben.click(mine, label="5 ★")
        await w.aki.click(bens, label="1 ★")
        result = await forget(w, w.aki, "Keep them without my name")
        assert page(shown(result)).startswith("Done")
        first, second = await stories(w)
        assert (first.member_id, first.prompt) == (NOBODY, "A fox of mine")
        assert second.member_id == w.ben.id
        assert await w.services.ratings.stars(1) == Stars(1, 5.0)
        assert await w.services.ratings.stars(2) == Stars(0, 0.0)
        given = await export(w, w.aki)
        assert {name for name, rows in given.items() if isinstance(rows, list) and rows} <= {
            "asked"
        }


async def test_words_go_with_the_member_also_where_others_asked_with_them_again(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        mine = await w.story(prompt="A fox of mine")
        await w.ben.click(mine, label="Again")
        await w.idle()
        await w.story(by=w.ben, prompt="Words of Ben")
        await w.story(prompt="Words of Ben")
        await forget(w, w.aki, "Remove their words too")
        first, copy, bens, repeated = await stories(w)
        assert (first.prompt, first.text, first.member_id) == ("", "", NOBODY)
        assert first.removed_at is not None
        assert (copy.prompt, copy.member_id) == ("", w.ben.id)
        assert copy.text
        assert bens.prompt == "Words of Ben"
        assert (repeated.prompt, repeated.member_id) == ("", NOBODY)
        await w.until(lambda: all("fox of mine" not in page(m) for m in w.channel.history()))


async def tale(w: World) -> list[discord.Message]:
    """Aki's words, told anew for Aki, and gone on with by Ben in his own words and once more."""
    first = await w.story(prompt="A fox of mine")
    again = await w.ready(await w.aki.click(first, label="Again"))
    form = await w.ben.click(again, label="My turn")
    turn = await w.ready(await w.ben.submit_modal(form, {"words": "It rained."}))
    return [again, turn, await w.ready(await w.mod.click(turn, label="Continue"))]


def standing(w: World) -> str:
    """Everything that stands above the stories in the channel."""
    return "\n".join(message.content for message in w.channel.history())


@pytest.mark.parametrize("how", ["Keep them without my name", "Remove their words too"])
async def test_what_goes_on_from_a_forgotten_story_names_its_member_no_more(
    tmp_path: Path, how: str
) -> None:
    async with world(tmp_path) as w:
        _, turn, last = await tale(w)
        for message in (turn, last):
            assert "*A fox of mine*" in message.content
            assert f"by turns with {w.aki.mention}, {w.ben.mention}" in message.content
        await forget(w, w.aki, how)
        named = "…" if "words" in how else "A fox of mine"

        await w.until(lambda: w.aki.mention not in standing(w) and named in standing(w))
        before, link = w.message(last.id).content.splitlines()[:2]
        assert before == f"A story for {w.mod.mention}"
        assert link.startswith(f"-# Part 3 of *{named}*")
        assert w.message(last.id).content.endswith(f"by turns with {w.ben.mention}")


async def test_what_goes_on_from_a_deleted_story_names_its_words_no_more(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        again, _, last = await tale(w)
        story = next(one for one in await stories(w) if one.message_id == again.id)
        await w.services.remove(story)
        await w.until(lambda: "fox" not in standing(w))
        assert w.message(last.id).content.splitlines()[1].startswith("-# Part 3 of *…*")


async def test_what_waits_and_what_is_told_is_called_off_first(tmp_path: Path) -> None:
    async with world(tmp_path, queue={"tellers": 1}) as w:
        w.teller.hold(after=1)
        for prompt in ("First", "Second"):
            await w.aki.slash(w.channel, "story", prompt=prompt)
        await w.ben.slash(w.channel, "story", prompt="Another")
        await w.until(lambda: w.teller.asked)
        await forget(w, w.aki, "Remove their words too")
        await w.teller.release()
        await w.idle()
        first, second, bens = await stories(w)
        for gone in (first, second):
            assert (gone.state, gone.member_id) == (State.CANCELLED, NOBODY)
            assert (gone.prompt, gone.text) == ("", "")
        assert bens.state is State.TOLD


async def test_deleted_words_go_from_the_channel_though_the_bot_stops_in_the_middle(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        standing = await w.story(prompt="In the year")
        await w.idle()
        await w.stop()
        await forget_all(w.services, w.aki.id, words=True)  # of which nothing is drawn any more
        await w.restart()
        await draw_forgotten(w.services)
        gone = "-# Who asked for this story has deleted it."
        await w.until(lambda: page(w.message(standing.id)) == gone)
        assert w.message(standing.id).content == ""


async def known(w: World, *servers: int) -> None:
    """Wait until the bot knows itself in these servers, and in no others."""

    async def holds() -> bool:
        return await w.services.departures.known() == set(servers)

    await w.until(holds)


def invited(w: World, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let a further server invite the bot; gives its id."""
    emit = w.env.backend.emit

    def new(event: str, payload: Mapping[str, Any]) -> None:
        # Only of servers that it is in already Discord says whether they are available.
        emit(event, {name: of for name, of in payload.items() if name != "unavailable"})

    with monkeypatch.context() as patch:
        patch.setattr(w.env.backend, "emit", new)
        return w.env.create_guild("Another village").id


async def test_a_server_that_sends_the_bot_away_is_due_and_one_in_an_outage_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as w:
        server, other = invited(w, monkeypatch), invited(w, monkeypatch)
        await known(w, server, other)
        w.env.backend.emit("GUILD_DELETE", {"id": str(server), "unavailable": True})
        w.env.backend.remove_guild(other)
        await known(w, server)
        assert await w.services.departures.due(0) == other


async def test_a_server_that_sent_the_bot_away_while_it_slept_is_noticed_at_the_start(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        server = w.aki.guild.id
        await w.services.departures.joined([1, 2])
        await w.services.departures.left([2, server])
        await w.stop()
        await w.restart()
        await known(w, server)
        assert {await w.services.departures.due(0)} <= {1, 2}
