"""The server around it: where it opens, whom it lets in, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import aiohttp
import pytest

from bot.playground import Playground, PlaygroundError
from bot.playground.limits import MessageBody
from bot.playground.visitor import VisitError, visit
from tests.playground.echo_bot import EchoBot, connected, soon

if TYPE_CHECKING:
    from collections.abc import Mapping


async def test_a_taken_port_is_one_clear_error(playground: Playground) -> None:
    port = int(playground.url.rpartition(":")[2])
    with pytest.raises(PlaygroundError, match=f"127.0.0.1:{port}: something else listens there"):
        await Playground(port=port).__aenter__()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "example.org"])  # noqa: S104  # refused
async def test_it_opens_to_this_machine_only(host: str) -> None:
    with pytest.raises(PlaygroundError, match="not a loopback address"):
        await Playground(host, 0).__aenter__()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:80"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "attacker.example"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": "127.0.0.1.attacker.example"}, 403),
        ({"Origin": "https://attacker.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/v10/gateway"])
async def test_other_sites_are_kept_out(
    playground: Playground, headers: Mapping[str, str], status: int, path: str
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(playground.url + path, headers=headers) as answer,
    ):
        assert answer.status == status


@pytest.mark.parametrize("path", ["/live", "/gw/"])
async def test_another_sites_page_cannot_open_a_socket(playground: Playground, path: str) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(playground.url + path, origin="https://attacker.example")
    assert refused.value.status == 403


@pytest.mark.parametrize("name", ["../page.py", "%2e%2e%2fpage.py", "nothing.js", "page.js%00"])
async def test_only_the_pages_own_files_are_served(playground: Playground, name: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{playground.url}/static/{name}") as answer,
    ):
        assert answer.status in {400, 404}


async def test_the_page_may_load_nothing_from_elsewhere(playground: Playground) -> None:
    async with aiohttp.ClientSession() as session, session.get(playground.url) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_nonsense_from_the_page_is_answered_and_survived(playground: Playground) -> None:
    async with visit(playground.url) as haru:
        for nonsense in ({"do": "fly"}, {"do": "use"}, {"do": "submit", "modal": [], "values": 1}):
            with pytest.raises(VisitError):
                await haru.ask(**nonsense)
        await haru._socket.send_str("[")
        await haru.show("result", lambda shown: shown["nonce"] is None)
        with pytest.raises(VisitError, match="Invalid Form Body"):
            await haru.say("x" * 2001)
        await haru.say("still there")


async def test_a_page_that_falls_behind_is_sent_away_and_then_sees_everything(
    playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.playground.actions._UNREAD", 10)
    channel, author = next(iter(playground.world.channels)), playground.world.bot
    async with visit(playground.url) as haru:
        for number in range(20):
            playground.messages.create(channel, author, MessageBody(content=str(number)))
        with pytest.raises(VisitError, match="closed"):
            await haru.until(lambda: len(haru.messages) == 20)
    async with visit(playground.url) as haru:
        assert len(haru.messages) == 20


async def test_members_delete_their_own_and_moderators_any(playground: Playground) -> None:
    async with visit(playground.url, "haru") as haru, visit(playground.url, "aoi") as aoi:
        await aoi.say("by the moderator")
        theirs = await haru.message("created")
        with pytest.raises(VisitError):
            await haru.ask(do="delete", message=theirs["id"])
        await haru.say("mine")
        mine = await haru.message("created", lambda message: message["content"] == "mine")
        await aoi.ask(do="delete", message=mine["id"])
        await haru.message("deleted")


async def test_a_bot_finds_back_to_a_playground_that_restarted(playground: Playground) -> None:
    port = int(playground.url.rpartition(":")[2])
    async with connected(playground) as bot:
        bot.is_up.clear()
        await playground.__aexit__(None, None, None)
        async with Playground(port=port, deadline=30) as again:
            await soon(bot.is_up.wait())
            await bot.tree.sync()
            async with visit(again.url) as haru:
                await haru.command("whisper", {"text": "back"})
                assert (await haru.message("created"))["content"] == "back"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_command_ends_when_told_to(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.playground", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    for _ in range(4):
        await process.stdout.readline()
    process.send_signal(number)
    assert await process.wait() == 0


async def test_the_command_says_in_one_line_that_it_cannot_open(playground: Playground) -> None:
    port = playground.url.rpartition(":")[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.playground", "--port", port,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, told = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert told.decode().count("\n") == 1


async def test_closing_lets_everyone_go(echo_bot: EchoBot, playground: Playground) -> None:
    async with visit(playground.url) as haru:
        await haru.begin(do="command", command=haru.commands["slow"]["id"])
        await soon(echo_bot.seen.get())
        await asyncio.wait_for(playground.__aexit__(None, None, None), 60)
