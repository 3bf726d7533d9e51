"""/duel and /contrast: two tellings of a beginning, blind and with names, and the votes."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

import discord
import pytest
from discord import ui
from sqlalchemy import select, update

from bot.apologies import SameTellerError
from bot.config import Settings
from bot.database.clock import now
from bot.database.duels import Choice, DuelClosedError, Duels, DuelUndecidedError, Tally
from bot.database.figures import Figures
from bot.database.stories import Stories
from bot.database.tables import Asked, Duel, Form, State, Story
from bot.messages.closing import Closing
from tests.bot.rows import change
from tests.bot.wishes import queue_of, wish
from tests.bot.world import World, labels, page, reply, texts, whisper, world

if TYPE_CHECKING:
    from pathlib import Path

    import simcord

    from bot.database import Database

GONE = "I no longer have that story."
VOTES = ["A", "B", "Tie", "Close"]
MODELS = {"gpt2-starter", "lstm-starter"}


async def duel_of(w: World) -> Duel:
    async with w.sessions() as session:
        duel = await session.scalar(select(Duel).order_by(Duel.id.desc()))
    assert duel is not None
    return duel


async def fought(w: World, **options: Any) -> tuple[simcord.InteractionResult, discord.Message]:
    """Ask for a duel, and wait until it can be voted on."""
    options.setdefault("prompt", "In the year")
    result = await w.aki.slash(w.channel, "duel", **options)
    await w.until(lambda: labels(w.message(reply(result).id)) == VOTES)
    return result, w.message(reply(result).id)


async def test_a_duel_is_told_side_by_side_and_nobody_knows_by_whom(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        w.teller.each = 1
        result = await w.aki.slash(w.channel, "duel", prompt="In the *year*")
        begun = r"**In the \*year\*** a fox▌"
        await w.until(lambda: texts(w.message(reply(result).id)).count(begun) == 2)
        assert labels(w.message(reply(result).id)) == ["Stop"]
        await w.teller.release()
        await w.until(lambda: labels(w.message(reply(result).id)) == VOTES)
        head, *rest, votes = texts(w.message(reply(result).id))
        assert head == f"{w.aki.mention} lets two storytellers tell it: which is better?"
        told = r"**In the \*year\*** a fox found the moon."
        assert rest == ["**A**", told, "**B**", told]
        assert votes.startswith("-# Votes: 0 · closes <t:")
        # Of the same beginning and the same seed, by both models at once.
        one, two = w.teller.asked
        assert {one["model"], two["model"]} == MODELS
        assert (one["seed"], one["prompt"]) == (two["seed"], two["prompt"])
        everything = str(w.message(reply(result).id).components)
        assert not any(model in everything for model in MODELS)
        async with w.sessions() as session:
            stories = list(await session.scalars(select(Story)))
            (asked,) = await session.scalars(select(Asked))
        assert {(s.form, s.message_id) for s in stories} == {(Form.DUEL, reply(result).id)}
        assert asked.count == 1


async def test_the_order_of_two_that_were_named_is_nobodys(tmp_path: Path) -> None:
    async with world(tmp_path, queue={"per_member": 100}) as w:
        orders = set()
        for _ in range(40):
            await w.aki.slash(
                w.channel, "duel", prompt="One", model="LSTM-starter", against="gpt2-starter"
            )
            duel = await duel_of(w)
            orders.add((duel.model_a, duel.model_b))
            if len(orders) == 2:
                break
        assert {frozenset(order) for order in orders} == {frozenset(MODELS)}
        assert len(orders) == 2


async def test_names_are_shown_to_who_voted_and_to_all_at_the_close(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        _, message = await fought(w)
        duel = await duel_of(w)
        voted = await w.ben.click(message, label="A")
        (said,) = voted.followups
        assert said.ephemeral
        names = f"A is {duel.model_a}, B is {duel.model_b}."
        assert said.content.startswith(f"You chose A. {names} The duel closes <t:")
        await w.until(lambda: "Votes: 1 ·" in texts(w.message(message.id))[-1])
        # Whoever asked may vote too, and everybody may change their mind.
        await w.aki.click(w.message(message.id), label="B")
        await w.ben.click(w.message(message.id), label="Tie")
        await w.until(lambda: "Votes: 2 ·" in texts(w.message(message.id))[-1])
        assert duel.model_a not in str(w.message(message.id).components)
        await w.aki.click(w.message(message.id), label="Close")
        result = f"**A** {duel.model_a}: 0 · **B** {duel.model_b}: 1 · tie: 1"
        await w.until(lambda: texts(w.message(message.id))[-1] == result)
        shown = texts(w.message(message.id))
        assert {f"**A** · {duel.model_a}", f"**B** · {duel.model_b}"} <= set(shown)
        assert labels(w.message(message.id)) == ["Continue", "⋯", "Continue", "⋯"]
        ballots = await Figures(w.sessions).ballots()
        assert {(b.member_id, b.choice) for b in ballots} == {
            (w.aki.id, Choice.B),
            (w.ben.id, Choice.TIE),
        }
        onward = await w.ready(
            await w.ben.click(w.message(message.id), custom_id="kataribe:continue:2")
        )
        assert page(onward) == "… a fox found the moon."


async def test_others_do_not_close_a_duel_and_after_its_close_no_vote_counts(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        _, message = await fought(w)
        refused = await w.ben.click(message, label="Close")
        said = "Only the member who asked for it, or a moderator, can close it."
        assert whisper(refused) == said
        await w.mod.click(w.message(message.id), label="Close")
        with pytest.raises(DuelClosedError):
            await w.services.duels.vote((await duel_of(w)).interaction_id, w.ben.id, Choice.A, 1)
        assert await Figures(w.sessions).ballots() == []


async def test_a_duel_closes_when_its_time_has_come_over_a_restart_too(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        _, message = await fought(w)
        await w.ben.click(message, label="A")
        await w.idle()
        await w.stop()
        async with w.sessions.begin() as session:
            await session.execute(update(Duel).values(closes_at=now()))
        await w.restart()
        await w.until(lambda: texts(w.message(message.id))[-1].startswith("**A** "))
        assert (await duel_of(w)).closed_at is not None
        refused = await w.services.duels.of((await duel_of(w)).interaction_id)
        assert refused is not None
        assert refused[1] == Tally(a=1)


async def test_a_close_is_shown_though_the_database_was_away_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(Stories):
        asked = 0

        async def together(self, interaction_id: int) -> list[Story]:
            self.asked += 1
            if self.asked == 1:
                raise ConnectionResetError(104, "Connection reset by peer")
            return await super().together(interaction_id)

    monkeypatch.setattr("bot.messages.closing.LOOKED_AT_EVERY", 3600.0)
    async with world(tmp_path) as w:
        _, message = await fought(w)
        await w.ben.click(message, label="A")
        await w.idle()
        async with w.sessions.begin() as session:
            await session.execute(update(Duel).values(closes_at=now()))
        closing = Closing(w.services.duels, Away(w.sessions), w.services.messages)
        with pytest.raises(ConnectionResetError):
            await closing.close_due()
        await closing.close_due()
        await w.until(lambda: texts(w.message(message.id))[-1].startswith("**A** "))


async def test_an_open_duel_takes_votes_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        _, message = await fought(w)
        await w.idle()
        await w.stop()
        await w.restart()
        voted = await w.ben.click(message, label="Tie")
        assert voted.followups[0].content.startswith("You called it a tie.")
        await w.until(lambda: "Votes: 1 ·" in texts(w.message(message.id))[-1])


async def test_enough_votes_close_a_duel(tmp_path: Path) -> None:
    async with world(tmp_path, duels={"votes": 2}) as w:
        _, message = await fought(w)
        await w.ben.click(message, label="A")
        await w.aki.click(w.message(message.id), label="A")
        await w.until(lambda: ": 2 · **B** " in texts(w.message(message.id))[-1])
        assert labels(w.message(message.id)) == ["Continue", "⋯", "Continue", "⋯"]


async def test_a_duel_of_which_one_was_not_told_takes_no_votes(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.unknown = {"lstm-starter"}
        result = await w.aki.slash(w.channel, "duel", prompt="In the year")
        await w.until(
            lambda: texts(w.message(reply(result).id))[-1].startswith("-# One of the two")
        )
        await w.idle()
        duel = await duel_of(w)
        with pytest.raises(DuelUndecidedError):
            await w.services.duels.vote(duel.interaction_id, w.ben.id, Choice.A, 1)


async def test_stop_ends_both_stories_of_a_duel(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        result = await w.aki.slash(w.channel, "duel", prompt="In the year")
        await w.teller.wished(2)
        await w.aki.click(reply(result).message, label="Stop")
        await w.idle()
        async with w.sessions() as session:
            states = list(await session.scalars(select(Story.state)))
        assert states == [State.CANCELLED] * 2


MADE_UP = ("continue", "turn", "variations", "again", "tellers", "more")
"""Buttons of a story that none in an open duel has."""


async def made_up(w: World, story_id: int, channel: simcord.ChannelHandle) -> discord.Message:
    """Buttons that a client could make up: they name a story that, by its row, may stand there."""
    async with w.sessions.begin() as session:
        await session.execute(update(Story).values(message_id=None))
    view = ui.View(timeout=None)
    for what in (*MADE_UP, "duel-read"):
        view.add_item(ui.Button(label=what, custom_id=f"kataribe:{what}:{story_id}"))
    view.add_item(ui.Button(label="rate", custom_id=f"kataribe:rate:{story_id}:1"))
    there = w.client.get_channel(channel.id)
    assert isinstance(there, discord.TextChannel)
    return await there.send("menu", view=view)


async def stand_in(w: World, channel: simcord.ChannelHandle) -> None:
    """Every story, as if it had been told there."""
    async with w.sessions.begin() as session:
        await session.execute(update(Story).values(channel_id=channel.id))


async def test_no_press_and_no_list_says_who_tells_in_an_open_duel(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        _, message = await fought(w)
        buttons = await made_up(w, 1, w.channel)
        for what in {*MADE_UP, "rate"} - {"more"}:
            assert whisper(await w.ben.click(buttons, label=what)) == GONE
        menu = await w.ben.click(buttons, label="more")
        # Nor how fast it was told, and in how many tokens.
        assert {"Told after", "Size"}.isdisjoint(one.name for one in reply(menu).embeds[0].fields)
        listed = await w.ben.slash(w.channel, "stories new")
        found = await w.ben.slash(w.channel, "stories search", words="moon")
        for result in (menu, listed, found):
            assert not any(model in str(reply(result).embeds[0].to_dict()) for model in MODELS)
        assert len(w.teller.asked) == 2
        # Once it is closed, both stories go on as others do.
        await w.aki.click(message, label="Close")
        told = await w.ready(await w.ben.click(buttons, label="continue"))
        assert any(model in str(told.embeds[0].to_dict()) for model in MODELS)


async def test_what_a_duel_without_a_rival_left_goes_on_at_once(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.unknown = {"lstm-starter"}
        result = await w.aki.slash(w.channel, "duel", prompt="In the year")
        await w.until(lambda: "Continue" in labels(w.message(reply(result).id)))
        async with w.sessions() as session:
            told = await session.scalar(select(Story.id).where(Story.state == State.TOLD))
        message = w.message(reply(result).id)
        menu = await w.ben.click(message, custom_id=f"kataribe:more:{told}")
        assert "gpt2-starter" in str(reply(menu).embeds[0].to_dict())
        await w.ready(await w.ben.click(message, custom_id=f"kataribe:continue:{told}"))


async def test_no_press_reads_what_stands_in_a_channel_that_is_closed_to_the_member(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        everyone, hidden = w.env.guild.default_role, discord.PermissionOverwrite(view_channel=False)
        open_to_all = w.env.guild.create_text_channel("open")
        secret = w.env.guild.create_text_channel("secret", overwrites={everyone: hidden})
        await fought(w)
        buttons = await made_up(w, 1, w.channel)
        await stand_in(w, open_to_all)
        read = await w.ben.click(buttons, label="duel-read")
        assert page(reply(read)).startswith("**In the year**")
        await stand_in(w, secret)
        for what in (*MADE_UP, "duel-read"):
            assert whisper(await w.ben.click(buttons, label=what)) == GONE


async def test_nobody_duels_themselves(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        result = await w.aki.slash(
            w.channel, "duel", prompt="One", model="gpt2-starter", against="GPT2-starter"
        )
        assert w.refused(result, SameTellerError) == "A duel takes two different storytellers."


async def test_a_duel_in_private_messages_works_there(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        result = await w.aki.user.slash("duel", prompt="In the year")
        await w.until(lambda: labels(reply(result).message) == VOTES)
        await w.aki.user.click(reply(result).message, label="A")
        await w.until(lambda: "Votes: 1 ·" in texts(reply(result).message)[-1])


# On the database alone.


async def opened(database: Database, *, votes: int = 0) -> tuple[Duels, int]:
    """A duel whose stories are told."""
    queue = queue_of(database)
    first = wish(form=Form.DUEL)
    second = wish(form=Form.DUEL, nth=1, interaction_id=first.interaction_id, model="lstm")
    stories = await queue.enqueue_together([first, second], duel_lasts=60.0)
    for story in stories:
        await change(database, story.id, state=State.TOLD)
    return Duels(database.sessions, votes=votes), first.interaction_id


async def test_two_hundred_presses_at_once_end_in_the_right_count(database: Database) -> None:
    duels, interaction_id = await opened(database)
    # A hundred members press twice each; the later press of each counts.
    presses = [(member, press) for press in (1, 2) for member in range(1, 101)]
    choices = {1: (Choice.A, Choice.B), 2: (Choice.B, Choice.TIE, Choice.A)}
    await asyncio.gather(
        *(
            duels.vote(interaction_id, member, choices[press][member % len(choices[press])], press)
            for member, press in reversed(presses)
        )
    )
    found = await duels.of(interaction_id)
    assert found is not None
    assert found[1] == Tally(b=33, tie=34, a=33)
    assert found[1].votes == 100


async def test_no_vote_counts_after_enough_have(database: Database) -> None:
    duels, interaction_id = await opened(database, votes=5)
    answers = await asyncio.gather(
        *(duels.vote(interaction_id, member, Choice.A, 1) for member in range(20)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, DuelClosedError) for answer in answers) == 15
    assert len(await Figures(database.sessions).ballots()) == 5


async def test_a_duel_that_is_due_closes_once(database: Database) -> None:
    duels, interaction_id = await opened(database)
    closes_at = await duels.next_close()
    assert closes_at is not None
    assert now() < closes_at <= now() + dt.timedelta(seconds=60)
    assert await duels.close_due() == []
    async with database.sessions.begin() as session:
        await session.execute(update(Duel).values(closes_at=now()))
    with pytest.raises(DuelClosedError):
        await duels.vote(interaction_id, 7, Choice.B, 1)
    assert await duels.close_due() == [interaction_id]
    assert (await duels.close_due(), await duels.next_close()) == ([], None)


async def test_a_duel_lasts_from_when_both_its_stories_are_told(database: Database) -> None:
    queue, duels = queue_of(database), Duels(database.sessions, votes=0)
    first = wish(form=Form.DUEL)
    second = wish(form=Form.DUEL, nth=1, interaction_id=first.interaction_id, model="lstm")
    stories = await queue.enqueue_together([first, second], duel_lasts=60.0)
    asked, hour = now(), dt.timedelta(hours=1)
    async with database.sessions.begin() as session:
        past = {"opened_at": asked - hour, "closes_at": asked - hour + dt.timedelta(minutes=1)}
        await session.execute(update(Duel).values(**past))
    # While they wait or are told nothing is closed, and nobody looks for its close.
    for story in stories:
        assert (await duels.close_due(), await duels.next_close()) == ([], None)
        with pytest.raises(DuelUndecidedError):
            await duels.vote(first.interaction_id, 7, Choice.B, 1)
        assert await queue.claim("me", only=[story.id]) is not None
    # Told at once, by two tasks.
    await asyncio.gather(*(queue.told(story, "me", " went on.", 3) for story in stories))
    closes_at = await duels.next_close()
    assert closes_at is not None
    assert dt.timedelta() <= closes_at - asked - dt.timedelta(minutes=1) < hour
    assert await duels.close_due() == []
    await duels.vote(first.interaction_id, 7, Choice.B, 1)


def test_a_duel_lasts_an_hour_unless_the_host_says_otherwise() -> None:
    assert Settings().duels.lasts == 3600
