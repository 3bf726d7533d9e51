"""The REST API: Discord's limits in Discord's error shape, rate limits, and what is not there."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import pytest

from bot.playground import Playground
from bot.playground.rate_limits import RateLimits
from bot.playground.visitor import visit
from tests.playground.echo_bot import EchoBot, connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.playground.errors import Json

STORIES = 1_325_000_000_000_000_030
APPLICATION = 1_325_000_000_000_000_010
MESSAGES = f"/channels/{STORIES}/messages"


class Client:
    """Requests as the bot, without a library."""

    def __init__(self, session: aiohttp.ClientSession, playground: Playground) -> None:
        self._session = session
        self._playground = playground

    async def __call__(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bot {self._playground.token}"}
        options = {"headers": headers} | options
        async with self._session.request(
            method, self._playground.api_url + path, **options
        ) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None


@asynccontextmanager
async def as_bot(playground: Playground) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(session, playground)


@pytest.fixture
async def quick() -> AsyncIterator[Client]:
    """A client of a playground that lets everything through at once."""
    async with (
        Playground(port=0, rate_limits=RateLimits(10_000)) as playground,
        as_bot(playground) as client,
    ):
        yield client


def _row(*components: Json) -> list[Json]:
    return [{"type": 1, "components": list(components)}]


def _button(**fields: Any) -> Json:
    return {"type": 2, "style": 1, "label": "Press", "custom_id": "press"} | fields


def _embed(**fields: Any) -> list[Json]:
    return [{"title": "Told"} | fields]


LIMITS: list[tuple[str, Json, list[str], str]] = [
    ("content", {"content": "x" * 2001}, ["content"], "BASE_TYPE_MAX_LENGTH"),
    (
        "embed description",
        {"embeds": _embed(description="x" * 4097)},
        ["embeds", "0", "description"],
        "BASE_TYPE_MAX_LENGTH",
    ),
    ("embeds", {"embeds": _embed() * 11}, ["embeds"], "BASE_TYPE_MAX_LENGTH"),
    (
        "embeds together",
        {"embeds": _embed(description="x" * 3000) * 2},
        ["embeds"],
        "MAX_EMBED_SIZE_EXCEEDED",
    ),
    (
        "embed field",
        {"embeds": _embed(fields=[{"name": "n"}])},
        ["embeds", "0", "fields", "0", "value"],
        "BASE_TYPE_REQUIRED",
    ),
    (
        "embed link",
        {"embeds": _embed(url="javascript:alert(1)")},
        ["embeds", "0", "url"],
        "STRING_TYPE_REGEX",
    ),
    (
        "custom id",
        {"content": "x", "components": _row(_button(custom_id="x" * 101))},
        ["components", "0", "components", "0", "custom_id"],
        "BASE_TYPE_MAX_LENGTH",
    ),
    (
        "buttons in a row",
        {"content": "x", "components": _row(*[_button(custom_id=str(n)) for n in range(6)])},
        ["components", "0", "components"],
        "BASE_TYPE_MAX_LENGTH",
    ),
    (
        "rows",
        {"content": "x", "components": [*_row(_button())] * 6},
        ["components"],
        "BASE_TYPE_MAX_LENGTH",
    ),
    (
        "same custom id",
        {"content": "x", "components": _row(_button(), _button())},
        ["components"],
        "COMPONENT_CUSTOM_ID_DUPLICATED",
    ),
    (
        "button without a face",
        {"content": "x", "components": _row(_button(label=None))},
        ["components", "0", "components", "0"],
        "BASE_TYPE_REQUIRED",
    ),
    (
        "button style",
        {"content": "x", "components": _row(_button(style=9))},
        ["components", "0", "components", "0", "style"],
        "BASE_TYPE_CHOICES",
    ),
    (
        "components v2",
        {"components": [{"type": 10, "content": "x"}]},
        ["components"],
        "BASE_TYPE_CHOICES",
    ),
]


@pytest.mark.parametrize(
    ("body", "path", "code"), [pytest.param(*case[1:], id=case[0]) for case in LIMITS]
)
async def test_a_limit_is_refused_where_it_is_broken(
    quick: Client, body: Json, path: list[str], code: str
) -> None:
    status, answer = await quick("POST", MESSAGES, json=body)
    assert (status, answer["code"], answer["message"]) == (400, 50035, "Invalid Form Body")
    place = answer["errors"]
    for step in path:
        place = place[step]
    assert [error["code"] for error in place["_errors"]] == [code]


@pytest.mark.parametrize("body", [{}, {"content": " \n"}, {"components": _row(_button())}])
async def test_an_empty_message_is_refused(quick: Client, body: Json) -> None:
    status, answer = await quick("POST", MESSAGES, json=body)
    assert (status, answer["code"]) == (400, 50006)


async def test_an_edit_changes_only_what_it_names(quick: Client) -> None:
    body = {"content": "one", "embeds": _embed(), "components": _row(_button())}
    _, posted = await quick("POST", MESSAGES, json=body)
    _, edited = await quick("PATCH", f"{MESSAGES}/{posted['id']}", json={"content": "two"})
    assert edited["content"] == "two"
    assert (edited["embeds"], edited["components"]) == (posted["embeds"], posted["components"])
    assert edited["edited_timestamp"] is not None
    cleared: Json = {"content": None, "embeds": []}
    status, answer = await quick("PATCH", f"{MESSAGES}/{posted['id']}", json=cleared)
    assert (status, answer["code"]) == (400, 50006)
    _, kept = await quick("GET", f"{MESSAGES}/{posted['id']}")
    assert kept["content"] == "two"


async def test_history_comes_newest_first_and_in_pages(quick: Client) -> None:
    ids = [(await quick("POST", MESSAGES, json={"content": str(n)}))[1]["id"] for n in range(5)]
    assert ids == sorted(ids, key=int)
    _, newest = await quick("GET", f"{MESSAGES}?limit=2")
    assert [message["content"] for message in newest] == ["4", "3"]
    _, older = await quick("GET", f"{MESSAGES}?limit=2&before={ids[3]}")
    assert [message["content"] for message in older] == ["2", "1"]
    _, after = await quick("GET", f"{MESSAGES}?limit=2&after={ids[0]}")
    assert [message["content"] for message in after] == ["2", "1"]


async def test_a_bot_edits_only_its_own_messages(playground: Playground) -> None:
    async with as_bot(playground) as client, visit(playground.url) as haru:
        await haru.say("mine")
        said = await haru.message("created")
        path = f"{MESSAGES}/{said['id']}"
        status, answer = await client("PATCH", path, json={"content": "yours"})
        assert (status, answer["code"]) == (403, 50005)
        assert (await client("DELETE", path))[0] == 403
        assert (await client("GET", f"{MESSAGES}/1"))[1]["code"] == 10008


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/users/@me", {"headers": {}}, 401, 0),
        ("GET", "/users/@me", {"headers": {"Authorization": "Bot other"}}, 401, 0),
        ("GET", "/there/is/none", {}, 404, 0),
        ("GET", "/channels/1", {}, 404, 10003),
        ("GET", "/channels/abc", {}, 404, 10003),
        ("GET", f"{MESSAGES}/1", {}, 404, 10008),
        ("POST", MESSAGES, {"data": "{not json"}, 400, 50109),
        ("POST", "/interactions/1/none/callback", {"json": {"type": 4}}, 404, 10062),
        ("PATCH", f"/webhooks/{APPLICATION}/none/messages/@original", {"json": {}}, 401, 50027),
        ("GET", "/applications/1/commands", {}, 404, 10002),
    ],
)
async def test_what_is_not_there_says_so_as_discord_does(
    quick: Client, method: str, path: str, options: Json, status: int, code: int
) -> None:
    answered, answer = await quick(method, path, **options)
    assert (answered, answer["code"]) == (status, code)


async def test_json_is_labelled_as_discord_py_expects(playground: Playground) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{playground.api_url}/gateway") as answer,
    ):
        assert answer.headers["Content-Type"] == "application/json"
        assert await answer.json() == {"url": playground.gateway_url}


async def test_edits_beyond_the_rate_are_refused_with_the_time_to_wait() -> None:
    async with (
        Playground(port=0, rate_limits=RateLimits(2, 60)) as playground,
        aiohttp.ClientSession() as session,
    ):
        headers = {"Authorization": f"Bot {playground.token}"}
        url = playground.api_url + MESSAGES

        async def post() -> tuple[int, Any, Any]:
            async with session.post(url, headers=headers, json={"content": "x"}) as answer:
                return answer.status, answer.headers, await answer.json()

        remaining = []
        for _ in range(2):
            status, told, _ = await post()
            assert status == 200
            remaining.append(told["X-RateLimit-Remaining"])
        assert remaining == ["1", "0"]
        status, told, answer = await post()
        assert (status, answer["global"]) == (429, False)
        assert 0 < answer["retry_after"] <= 60
        assert told["Via"], "without it discord.py takes the answer for a ban"


async def test_a_naive_stream_of_edits_is_slowed_but_arrives(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "discord.http")
    async with (
        Playground(port=0, deadline=30, rate_limits=RateLimits(2, 1)) as playground,
        connected(playground),
        visit(playground.url) as haru,
    ):
        await haru.command("count", {"upto": "3"})
        await haru.message("edited", lambda message: message["content"] == "3")
    assert "Pre-emptively rate limiting" in caplog.text


async def test_old_messages_take_three_edits_in_six_seconds_in_a_channel() -> None:
    now = 0.0
    limits = RateLimits(10_000, old_after=0, clock=lambda: now)
    async with Playground(port=0, rate_limits=limits) as playground, as_bot(playground) as client:
        ids = [(await client("POST", MESSAGES, json={"content": "x"}))[1]["id"] for _ in range(4)]
        for id_ in ids[:3]:
            assert (await client("PATCH", f"{MESSAGES}/{id_}", json={"content": "y"}))[0] == 200
        last = f"{MESSAGES}/{ids[3]}"
        status, answer = await client("PATCH", last, json={"content": "y"})
        assert (status, answer["code"], answer["retry_after"]) == (429, 30046, 6)
        assert (await client("GET", last))[1]["content"] == "x"
        now += answer["retry_after"]
        assert (await client("PATCH", last, json={"content": "y"}))[0] == 200


async def test_a_bot_sends_fifty_requests_a_second_and_its_interactions_beside_them() -> None:
    limits = RateLimits(clock=lambda: 0.0)
    async with Playground(port=0, rate_limits=limits) as playground, as_bot(playground) as client:
        statuses = [(await client("GET", "/users/@me"))[0] for _ in range(50)]
        assert set(statuses) == {200}
        status, answer = await client("GET", "/users/@me")
        assert (status, answer["global"], answer["retry_after"]) == (429, True, 1)
        assert (await client("POST", "/interactions/1/none/callback", json={}))[0] == 404


async def test_a_message_that_enforces_its_nonce_is_posted_once(quick: Client) -> None:
    body: Json = {"content": "once", "nonce": "story-7", "enforce_nonce": True}
    _, first = await quick("POST", MESSAGES, json=body)
    status, again = await quick("POST", MESSAGES, json=body | {"content": "twice"})
    assert (status, again) == (200, first)
    others: list[Json] = [{"nonce": "story-8"}, {"enforce_nonce": False}, {"nonce": None}]
    for other in others:
        _, posted = await quick("POST", MESSAGES, json=body | other)
        assert posted["id"] != first["id"]
    elsewhere = MESSAGES.replace(str(STORIES), str(STORIES + 1))
    _, posted = await quick("POST", elsewhere, json=body)
    assert posted["id"] != first["id"]
    assert len((await quick("GET", MESSAGES))[1]) == 4


async def test_a_nonce_is_forgotten_after_some_minutes(
    quick: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    body: Json = {"content": "once", "nonce": 7, "enforce_nonce": True}
    _, first = await quick("POST", MESSAGES, json=body)
    monkeypatch.setattr("bot.playground.messages._NONCE_KNOWN", -1.0)
    assert (await quick("POST", MESSAGES, json=body))[1]["id"] != first["id"]


async def test_the_oldest_message_leaves_a_full_channel() -> None:
    async with (
        Playground(port=0, rate_limits=RateLimits(10_000), kept=3) as playground,
        as_bot(playground) as client,
    ):
        for number in range(5):
            await client("POST", MESSAGES, json={"content": str(number)})
        _, kept = await client("GET", MESSAGES)
    assert [message["content"] for message in kept] == ["4", "3", "2"]


async def test_mentions_call_only_whom_the_bot_allows(quick: Client) -> None:
    haru = 1_325_000_000_000_000_022
    body: Json = {"content": f"<@{haru}> @everyone"}
    _, free = await quick("POST", MESSAGES, json=body)
    _, none = await quick("POST", MESSAGES, json=body | {"allowed_mentions": {"parse": []}})
    named = {"allowed_mentions": {"users": [str(haru)]}}
    _, one = await quick("POST", MESSAGES, json=body | named)
    called = [[user["username"] for user in answer["mentions"]] for answer in (free, none, one)]
    assert called == [["haru"], [], ["haru"]]
    assert [answer["mention_everyone"] for answer in (free, none, one)] == [True, False, False]


async def test_discord_py_reads_every_error_as_its_own(
    playground: Playground, echo_bot: EchoBot
) -> None:
    channel = echo_bot.get_channel(STORIES)
    assert isinstance(channel, discord.TextChannel)
    with pytest.raises(discord.HTTPException, match="Must be 2000 or fewer in length") as refused:
        await channel.send("x" * 2001)
    assert refused.value.code == 50035
    async with channel.typing():
        message = await channel.send("short", view=discord.ui.View())
    assert await channel.fetch_message(message.id) == message
    assert [found.id async for found in channel.history()] == [message.id]
    await message.delete()
    with pytest.raises(discord.NotFound):
        await channel.fetch_message(message.id)
    assert playground.rest.exchanges[-1].status == 404
