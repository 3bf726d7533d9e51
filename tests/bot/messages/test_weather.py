"""Discord's weather: what fails for a while is told once, in its message, when it is over."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import pytest
from discord.webhook.async_ import async_context
from sqlalchemy import update

from bot import answering
from bot.config import Log
from bot.database.tables import State, Story
from bot.hosting.log import open_log
from bot.messages import embeds, views
from tests.bot.world import World, footer, labels, page, reply, world

if TYPE_CHECKING:
    from pathlib import Path

    from bot.database.limits import Limits
    from bot.database.wishes import Wish

CHANNEL, TOKEN = "/channels/*/messages/*", "/webhooks/*/messages/*"
THINKING = discord.InteractionResponseType.deferred_channel_message.value
TOLD = "**Zero** a fox found the moon."


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, 50001),  # the permission is withdrawn for a minute
        (403, 50013),
        (403, 40333),  # Discord's edge
        (400, 50083),  # the thread is archived
        (400, 50035),
        (500, 0),
        (502, 0),
    ],
)
async def test_a_story_is_told_once_in_its_message_when_the_weather_is_over(
    tmp_path: Path, status: int, code: int
) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        answer = reply(await w.aki.slash(w.channel, "story", prompt="Zero"))
        for path in (CHANNEL, TOKEN):
            w.env.inject_error("PATCH", path, status=status, code=code, times=2)
        await w.teller.release()
        assert page(await w.told(answer.id)) == TOLD
        await w.idle()
        assert len(w.channel.history()) == 1
        assert len(w.teller.asked) == 1


async def test_a_failed_update_of_a_place_costs_nothing_but_time(tmp_path: Path) -> None:
    async with world(tmp_path, queue={"tellers": 1}) as w:
        w.teller.hold()
        for prompt in ("First", "Second", "Third"):
            answer = reply(await w.aki.slash(w.channel, "story", prompt=prompt))
        for path in (CHANNEL, TOKEN):
            w.env.inject_error("PATCH", path, status=403, code=50001, times=1)
        await w.services.queue.cancel(2, w.aki.id)
        w.services.bell.ring()
        await w.until(lambda: footer(w.message(answer.id)) == "Next to be told")
        await w.teller.release()
        assert page(await w.told(answer.id)) == "**Third** a fox found the moon."


class Line:
    """SimCord's connection to Discord, which may be reset after Discord has acted."""

    def __init__(self) -> None:
        self._adapter = async_context.get()
        self._request = self._adapter.request

    async def _reset(self, route: Any, *given: Any, **options: Any) -> Any:
        answer = await self._request(route, *given, **options)
        if route.path.endswith("/callback"):
            raise aiohttp.ClientOSError(104, "Connection reset by peer")
        return answer

    def break_answers(self) -> None:
        self._adapter.request = self._reset  # type: ignore[method-assign]  # its wire, not its mind


async def test_an_answer_whose_connection_was_reset_is_no_reason_to_try_again(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        Line().break_answers()
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await w.teller.release()
        # Discord had it: the story is told in that message, found by the interaction's token.
        assert page(await w.told()) == TOLD
        await w.idle()
        assert len(w.channel.history()) == 1


async def test_no_token_is_logged_at_any_level(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    libraries = [logging.getLogger(name) for name in ("aiosqlite", "discord")]
    levels = [library.level for library in libraries]
    open_log(Log(level="DEBUG"))
    try:
        with caplog.at_level(logging.DEBUG):
            async with world(tmp_path) as w:
                w.teller.hold()
                Line().break_answers()  # so that the answer is looked for by its token
                await w.aki.slash(w.channel, "story", prompt="Zero")
                story = await w.services.stories.get(1)
                await w.teller.release()
                await w.told()
        # Nor is what comes from Discord: the token is in each event of an interaction.
        assert not logging.getLogger("discord.gateway").isEnabledFor(logging.DEBUG)
    finally:
        for library, level in zip(libraries, levels, strict=True):
            library.setLevel(level)
    assert story is not None
    assert story.answer_token
    assert story.answer_token not in caplog.text


@pytest.mark.parametrize("fault", [aiohttp.ClientOSError(104, "reset"), OSError(5, "disk")])
async def test_after_a_wish_is_saved_no_error_tells_the_member_to_try_again(
    tmp_path: Path, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as w:

        async def broken(_story_id: int) -> int:
            raise fault

        monkeypatch.setattr(w.services.queue, "position", broken)
        result = await w.aki.slash(w.channel, "story", prompt="Zero")
        assert result.response is None
        assert result.followups == []
        message = await w.told()
        assert (page(message), message.content) == (TOLD, f"A story for {w.aki.mention}")


async def test_a_wish_that_is_saved_while_discord_takes_no_word_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "ANSWERED_WITHIN", 0.0)
    async with world(tmp_path) as w:
        w.env.inject_error("POST", "/interactions/*", status=500, times=None)
        result = await w.aki.slash(w.channel, "story", prompt="Zero")
        assert not w.env.errors
        assert result.response is None
        assert result.followups == []
        assert page(await w.told()) == TOLD


async def test_a_busy_database_is_waited_for_and_the_member_sees_that_the_bot_thinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "ANSWERED_WITHIN", 0.0)
    async with world(tmp_path) as w:
        enqueue, free = w.services.queue.enqueue_together, asyncio.Event()

        async def slow(wishes: list[Wish], limits: Limits, **rest: Any) -> list[Story]:
            await free.wait()
            return await enqueue(wishes, limits, **rest)

        monkeypatch.setattr(w.services.queue, "enqueue_together", slow)
        asked = asyncio.create_task(w.aki.slash(w.channel, "story", prompt="Zero"))
        await w.until(lambda: w.env.http_requests[-1].path.endswith("/callback"))
        assert (w.env.http_requests[-1].json or {})["type"] == THINKING
        free.set()
        await asked
        assert page(await w.told()) == TOLD
        assert len(w.channel.history()) == 1


async def test_a_restart_within_fifteen_minutes_finishes_where_the_bot_may_not_look(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.teller.hold(after=1)
        answer = reply(await w.aki.slash(w.channel, "story", prompt="Zero"))
        await w.until(lambda: page(w.message()).endswith("a fox▌"))
        await w.stop()
        await _shut_out(w)
        await w.restart()
        await w.teller.release()
        assert page(await w.told(answer.id)) == TOLD
        await w.idle()
        story = await w.services.stories.get(1)
        assert story is not None
        assert (story.state, story.answer_token) == (State.TOLD, None)


async def test_words_of_before_a_kill_stay_though_the_edge_does_not_find_their_message(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.teller.hold(after=2)
        await w.aki.slash(w.channel, "story", prompt="Zero")
        await w.until(lambda: page(w.message()).endswith("a fox found the moon▌"))
        await w.stop()
        async with w.sessions.begin() as session:
            await session.execute(update(Story).values(text="", answer_token=None))
        w.env.inject_error("GET", "/channels/*/messages/*", status=404)
        before = len(w.env.http_requests)
        await w.restart()
        await w.teller.release(1)
        await w.until(
            lambda: any(
                one.path.endswith(str(w.message().id)) for one in w.env.http_requests[before:]
            )
        )
        await w.teller.release()
        assert page(await w.told()) == TOLD
        asked = w.env.http_requests[before:]
        drawn = [
            (one.json or {})["embeds"][0]["description"] for one in asked if one.method == "PATCH"
        ]
        assert all("a fox found the moon" in text for text in drawn)


async def test_after_that_a_press_finishes_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        answer = reply(await w.aki.slash(w.channel, "story", prompt="Zero"))
        await w.stop()
        await _shut_out(w)
        async with w.sessions.begin() as session:
            await session.execute(update(Story).values(answer_token=None, answer_until=None))
        await w.restart()
        await w.teller.release()

        async def told() -> bool:
            story = await w.services.stories.get(1)
            return story is not None and story.state is State.TOLD

        await w.until(told)
        # Its message still says that it waits; the one button that it has brings it up to date.
        assert labels(w.message(answer.id)) == ["Stop"]
        await w.ben.click(w.message(answer.id), label="Stop")
        assert page(await w.told(answer.id)) == TOLD
        await w.idle()


async def test_the_edges_refusals_do_not_cost_the_one_way_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as w:
        w.teller.hold()
        answer = reply(await w.aki.slash(w.channel, "story", prompt="Zero"))
        await _shut_out(w)
        monkeypatch.setattr(w.client, "get_guild", lambda _: None)
        w.env.inject_error("PATCH", TOKEN, status=403, code=40333, times=1)
        await w.teller.release()
        assert page(await w.told(answer.id)) == TOLD


async def test_a_press_on_a_message_that_stands_wrong_draws_it_anew(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="Zero")
        await w.idle()
        # As if its last edit had been lost: it shows a place, and the one button of who waits.
        story = await w.services.stories.get(1)
        assert story is not None
        await message.edit(embed=embeds.waiting(story, 3), view=views.unfinished(story))
        await w.aki.click(w.message(message.id), label="Stop")
        assert page(await w.told(message.id)) == TOLD
        again = await w.services.stories.get(1)
        assert again is not None
        assert again.state is State.TOLD


async def _shut_out(w: World) -> None:
    """Let the bot be no member of the server: only interactions reach its messages."""
    for method, path in (("PATCH", CHANNEL), ("GET", "/channels/*"), ("POST", "/channels/*")):
        w.env.inject_error(method, path, status=403, code=50001, times=None)
