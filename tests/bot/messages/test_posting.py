"""A message that is posted, as Discord's wire sees it: the playground's."""

from __future__ import annotations

import math
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import discord
import pytest
from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from bot.client import Kataribe
from bot.config import Discord
from bot.config import Queue as QueueSettings
from bot.database.connection import CUT_OFF
from bot.database.server_lock import ASKED_EVERY
from bot.database.stories import Stories
from bot.database.tables import Story
from bot.messages import embeds, views
from bot.messages.drawing import Drawing
from bot.messages.message import StoryMessage, Token
from bot.messages.pacing import Pace
from bot.messages.posting import REFUSED, Posts
from bot.messages.presenter import SURE_FOR
from bot.messages.schedule import RouteLostError
from bot.playground import Playground
from bot.worker.fleet import UNSERVED_FOR
from bot.worker.presenter import MessageGoneError, OutOfReachError
from tests.bot.wishes import queue_of, wish
from tests.playground.test_rest import STORIES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.database import Database
    from bot.database.queue import Queue


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kataribe]:
    """Our client, logged in to a Discord of its own."""
    async with Playground(port=0) as playground:
        monkeypatch.setattr(discord.http.Route, "BASE", playground.api_url)
        pace = Pace()
        async with Kataribe(
            Discord(api_url=playground.api_url, gateway_url=playground.gateway_url), pace
        ) as client:
            await client.login(playground.token)
            yield client


async def asked(queue: Queue) -> Story:
    """A story whose wish could not be answered."""
    return await queue.enqueue(wish(channel_id=STORIES))


def drawing(story: Story) -> Drawing:
    return Drawing(views.unfinished(story), embeds.waiting(story, 1))


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has it not")
async def test_what_was_sent_while_cut_off_is_given_up_before_another_bot_tells_on(
    client: Kataribe,
) -> None:
    _, gateway_url, _ = await client.http.get_bot_gateway()
    async with client.webhook("token").session.ws_connect(gateway_url) as line:
        ours: socket.socket = line.get_extra_info("socket")
        given_up_after = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    # When the server gives the bot's lock up at the soonest, and how long its heir waits then.
    tells_on_after = int(CUT_OFF["tcp_user_timeout"]) / 1000 - ASKED_EVERY + UNSERVED_FOR
    assert 0 < given_up_after <= 1000 * (tells_on_after - SURE_FOR)
    assert given_up_after < 1000 * QueueSettings().lease


async def test_what_could_not_be_written_down_is_written_down_at_the_next_edit(
    database: Database, client: Kataribe
) -> None:
    queue, stories = queue_of(database), Stories(database.sessions)
    story = await queue.enqueue(wish(channel_id=STORIES, interaction_id=10**18))
    message, posts = StoryMessage.of(story), Posts(client, stories, queue)
    full = "CREATE TRIGGER full BEFORE UPDATE OF message_id ON stories BEGIN "
    full += "SELECT RAISE(FAIL, 'database or disk is full'); END"
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(full)
    with pytest.raises(DBAPIError):
        await posts.write(message, drawing(story), None)
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("DROP TRIGGER full")
    await posts.write(message, drawing(story), None)
    known = await stories.get(story.id)
    assert known is not None
    assert known.message_id == message.message_id is not None


@pytest.mark.parametrize("interaction_id", [10**18, -7], ids=["a wish", "a saga's part"])
async def test_a_crash_between_sending_and_writing_down_posts_once(
    database: Database, client: Kataribe, interaction_id: int
) -> None:
    queue = queue_of(database)
    story = await queue.enqueue(wish(channel_id=STORIES, interaction_id=interaction_id))
    ids = []
    for _ in range(2):
        message = StoryMessage.of(story)
        await Posts(client, Stories(database.sessions), queue).write(message, drawing(story), None)
        ids.append(message.message_id)
        async with database.sessions.begin() as session:  # it died before this was written
            await session.execute(update(Story).values(message_id=None))
    assert ids[0] is not None
    assert ids[0] == ids[1]


async def test_what_was_posted_before_a_crash_is_brought_up_to_date(
    database: Database, client: Kataribe
) -> None:
    queue = queue_of(database)
    story = await asked(queue)
    posts = Posts(client, Stories(database.sessions), queue)
    await posts.write(StoryMessage.of(story), drawing(story), None)
    async with database.sessions.begin() as session:  # it died before this was written
        await session.execute(update(Story).values(message_id=None))
    again = StoryMessage.of(story)
    further = Drawing(views.unfinished(story), embeds.telling(story, " 2100 it rained"))
    stood = [await posts.write(again, further, None) for _ in range(2)]
    assert stood == [False, True]
    assert again.message_id is not None
    stands = await client.get_partial_messageable(STORIES).fetch_message(again.message_id)
    assert stands.embeds == [further.embed]


@pytest.mark.parametrize(("status", "code"), [(403, 50013), (403, 40333), (400, 50083), (404, 0)])
async def test_while_it_cannot_be_looked_for_nothing_is_posted_a_second_time(
    database: Database,
    client: Kataribe,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: int,
) -> None:
    async def refused(token: str) -> int:
        del token
        response: Any = SimpleNamespace(status=status, reason="")
        raise discord.HTTPException(response, {"code": code, "message": ""})

    monkeypatch.setattr(client, "answer_of", refused)
    queue = queue_of(database)
    story = await asked(queue)
    message = StoryMessage.of(story)
    with pytest.raises(OutOfReachError):
        await Posts(client, Stories(database.sessions), queue).find(message, "token")
    history = client.get_partial_messageable(STORIES).history()
    assert (message.message_id, [one async for one in history]) == (None, [])


async def test_what_the_edge_knows_nothing_of_may_stand_in_the_channel(
    database: Database, client: Kataribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown_to_the_edge(*_: object, **__: object) -> None:
        response: Any = SimpleNamespace(status=404, reason="")
        raise discord.NotFound(response, "404: Not Found")

    queue = queue_of(database)
    message = StoryMessage.of(await asked(queue))
    monkeypatch.setattr(client.http, "logs_from", unknown_to_the_edge)
    with pytest.raises(OutOfReachError):
        await Posts(client, Stories(database.sessions), queue).find(message, None)


async def test_a_story_that_was_never_posted_is_gone_with_its_channel(
    database: Database, client: Kataribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_of(database)
    story = await queue.enqueue(wish(channel_id=5))  # there is no such channel
    posts = Posts(client, Stories(database.sessions), queue)
    monkeypatch.setattr(client, "get_guild", lambda _: discord.Object(1))  # and we are a member
    with pytest.raises(MessageGoneError):
        await posts.write(StoryMessage.of(story), drawing(story), None)


async def test_a_deleted_message_is_gone_for_good_and_a_channel_unknown_to_us_is_not(
    database: Database, client: Kataribe
) -> None:
    queue = queue_of(database)
    story = await asked(queue)
    posts = Posts(client, Stories(database.sessions), queue)
    message = StoryMessage.of(story)
    await posts.write(message, drawing(story), None)
    assert message.message_id is not None
    channel = client.get_partial_messageable(story.channel_id)
    await channel.get_partial_message(message.message_id).delete()
    with pytest.raises(MessageGoneError):
        await posts.write(message, drawing(story), None)
    story.channel_id = 5  # not one of ours: a user installed the bot there
    with pytest.raises(OutOfReachError):
        await posts.write(message, drawing(story), None)


async def test_what_stands_there_is_not_taken_for_nothing_because_it_may_not_be_read_now(
    database: Database, client: Kataribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_of(database)
    story = await asked(queue)
    posts = Posts(client, Stories(database.sessions), queue)
    message = StoryMessage.of(story)
    await posts.write(message, drawing(story), None)
    assert message.message_id is not None
    # The token died early, as after a restart of Discord's: the channel itself is asked next.
    message.token = Token("dead", math.inf)
    with pytest.raises(RouteLostError):
        await posts.read(message, message.message_id, "dead")
    assert message.live_token(0) is None
    read = await posts.read(message, message.message_id, None)
    assert read is not None
    assert read.id == message.message_id

    async def refused(*_: object) -> None:
        response: Any = SimpleNamespace(status=403, reason="")
        raise discord.Forbidden(response, {"code": 50001, "message": ""})

    monkeypatch.setattr(client.http, "get_message", refused)
    for _ in range(REFUSED):
        with pytest.raises(OutOfReachError):
            await posts.read(message, message.message_id, None)
        message.out_of_reach(0)
    assert await posts.read(message, message.message_id, None) is None
