"""The channel over a restart: nothing that was answered is lost, whatever ends the playground."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import aiohttp
import pytest

from bot.playground import Playground, PlaygroundError
from bot.playground.rate_limits import RateLimits
from bot.playground.visitor import visit
from tests.playground.echo_bot import connected

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "playground.jsonl"


def _entries(state: Path) -> list[object]:
    return [json.loads(line) for line in state.read_text("utf-8").splitlines()]


def _permissions(state: Path) -> int:
    return state.stat().st_mode & 0o777


def _keep(state: Path, entry: object) -> None:
    state.write_text(json.dumps(entry) + "\n", "utf-8")


async def test_messages_buttons_and_commands_outlive_a_restart(state: Path) -> None:
    async with (
        Playground(port=0, state=state, deadline=30) as playground,
        connected(playground),
        visit(playground.url) as haru,
    ):
        await haru.command("echo", {"text": "once"})
        told = await haru.message("edited")
        await haru.command("whisper", {"text": "for now"})
    async with (
        Playground(port=0, state=state, deadline=30) as playground,
        connected(playground, sync=False),
        visit(playground.url) as haru,
    ):
        assert list(haru.messages.values()) == [told], "all of it, and nothing ephemeral"
        await haru.press(told["id"], "again")
        edited = await haru.message("edited")
        assert edited["content"] == "again, says Haru"
        await haru.command("echo", {"text": "twice"})
        newer = await haru.message("edited")
        assert int(newer["id"]) > int(told["id"])


async def test_whatever_ends_a_line_inside_a_message_outlives_a_restart(state: Path) -> None:
    said = "one\u2028two\u2029three\u0085four\x0bfive\x1csix\r\nseven"
    async with Playground(port=0, state=state) as playground, visit(playground.url) as haru:
        await haru.say(said)
    async with Playground(port=0, state=state) as playground, visit(playground.url) as haru:
        assert [message["content"] for message in haru.messages.values()] == [said]


async def test_what_was_said_is_its_owners_to_read(state: Path) -> None:
    async with Playground(port=0, state=state):
        pass
    assert _permissions(state) == 0o600


async def test_a_deleted_message_stays_deleted(state: Path) -> None:
    async with Playground(port=0, state=state) as playground, visit(playground.url) as haru:
        for text in ("goes", "stays"):
            await haru.say(text)
        gone = await haru.message("created", lambda message: message["content"] == "goes")
        await haru.ask(do="delete", message=gone["id"])
    async with Playground(port=0, state=state) as playground, visit(playground.url) as haru:
        assert [message["content"] for message in haru.messages.values()] == ["stays"]


async def test_a_kill_loses_nothing_that_was_answered(state: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.playground", "--port", "0", "--state", str(state),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = [(await process.stdout.readline()).decode().split() for _ in range(4)]
        address = dict(lines)
        assert list(address) == ["page", "api", "gateway", "token"]
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bot {address['token']}"}) as session,
            session.post(
                f"{address['api']}/channels/1325000000000000030/messages", json={"content": "kept"}
            ) as answer,
        ):
            assert answer.status == 200
    finally:
        process.kill()
        await process.wait()
    async with Playground(port=0, state=state) as playground, visit(playground.url) as haru:
        assert [message["content"] for message in haru.messages.values()] == ["kept"]


async def test_half_a_line_is_left_out_and_the_rest_kept(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Playground(port=0, state=state) as playground, visit(playground.url) as haru:
        await haru.say("whole")
    with state.open("a") as file:
        file.write('{"message": {"id": 12')
    async with Playground(port=0, state=state) as playground, visit(playground.url) as haru:
        assert [message["content"] for message in haru.messages.values()] == ["whole"]
    assert "is damaged and left out" in caplog.text
    assert len(_entries(state)) == 2, "the commands and one message"


async def test_a_file_from_before_commands_lost_their_scopes_is_read(
    state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Playground(port=0, state=state) as playground, connected(playground):
        registered = playground.commands.registered()
    _keep(state, {"commands": {"global": registered, "guild": []}})
    async with Playground(port=0, state=state) as playground:
        assert playground.commands.registered() == registered
    assert "is damaged" not in caplog.text


async def test_history_does_not_grow_with_edits(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.playground.journal._LINES_BEFORE_REWRITE", 10)
    async with (
        Playground(port=0, state=state, deadline=30, rate_limits=RateLimits(100)) as playground,
        connected(playground),
        visit(playground.url) as haru,
    ):
        await haru.command("count", {"upto": "30"})
        await haru.message("edited", lambda message: message["content"] == "30")
        assert len(_entries(state)) <= 11


async def test_a_file_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    playground = Playground(port=0, state=tmp_path)
    with pytest.raises(PlaygroundError, match="cannot keep its channel in"):
        await playground.__aenter__()
