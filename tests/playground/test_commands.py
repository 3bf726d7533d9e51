"""Registering commands: what Discord takes, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
import pytest
from discord import app_commands

from bot.playground.visitor import VisitError, visit
from tests.playground.echo_bot import EchoBot, connected
from tests.playground.test_rest import APPLICATION, Client, as_bot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.playground import Playground
    from bot.playground.errors import Json

COMMANDS = f"/applications/{APPLICATION}/commands"


@pytest.fixture
async def client(playground: Playground) -> AsyncIterator[Client]:
    async with as_bot(playground) as client:
        yield client


def _command(**fields: Any) -> Json:
    return {"name": "tell", "description": "Tell it"} | fields


def _option(**fields: Any) -> Json:
    return {"type": 3, "name": "text", "description": "What"} | fields


WRONG: list[tuple[Json, list[str], str]] = [
    (_command(name="Tell"), ["0"], "APPLICATION_COMMAND_INVALID_NAME"),
    (_command(name="te ll"), ["0"], "STRING_TYPE_REGEX"),
    (_command(name="x" * 33), ["0", "name"], "BASE_TYPE_MAX_LENGTH"),
    (_command(description=""), ["0"], "BASE_TYPE_REQUIRED"),
    (_command(description="x" * 101), ["0", "description"], "BASE_TYPE_MAX_LENGTH"),
    (_command(type=9), ["0", "type"], "BASE_TYPE_CHOICES"),
    (_command(type=3), ["0"], "BASE_TYPE_BAD_LENGTH"),
    (_command(options=[_option(type=12)]), ["0", "options", "0", "type"], "BASE_TYPE_CHOICES"),
    (
        _command(options=[_option(choices=[{"name": str(n), "value": "v"} for n in range(26)])]),
        ["0", "options", "0", "choices"],
        "BASE_TYPE_MAX_LENGTH",
    ),
    (
        _command(options=[_option(), _option(name="other", required=True)]),
        ["0"],
        "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
    ),
    (
        _command(options=[_option(), _option()]),
        ["0"],
        "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS",
    ),
    (_command(options=[_option(), _option(type=1, name="sub")]), ["0"], "BASE_TYPE_CHOICES"),
    (
        _command(
            options=[
                _option(
                    name=f"o{n}",
                    description="x" * 100,
                    choices=[{"name": "n" * 100, "value": f"{m}" + "v" * 99} for m in range(10)],
                )
                for n in range(5)
            ]
        ),
        ["0"],
        "APPLICATION_COMMAND_TOO_LARGE",
    ),
]


@pytest.mark.parametrize(("command", "path", "code"), WRONG, ids=[case[2] for case in WRONG])
async def test_a_wrong_command_is_refused(
    client: Client, command: Json, path: list[str], code: str
) -> None:
    status, answer = await client("PUT", COMMANDS, json=[command])
    assert (status, answer["code"]) == (400, 50035)
    place = answer["errors"]
    for step in path:
        place = place[step]
    assert code in {error["code"] for error in place["_errors"]}


async def test_one_wrong_command_replaces_none(client: Client) -> None:
    await client("PUT", COMMANDS, json=[_command()])
    status, _ = await client("PUT", COMMANDS, json=[_command(name="other"), _command(name="B A D")])
    assert status == 400
    _, kept = await client("GET", COMMANDS)
    assert [command["name"] for command in kept] == ["tell"]


async def test_a_command_keeps_its_id_while_its_name_stays(client: Client) -> None:
    _, (first,) = await client("PUT", COMMANDS, json=[_command()])
    _, (second, _) = await client(
        "PUT", COMMANDS, json=[_command(description="Tell it better"), _command(name="other")]
    )
    assert second["id"] == first["id"]
    assert int(second["version"]) > int(first["version"])
    _, (fetched, _) = await client("GET", COMMANDS)
    assert fetched == second


async def test_two_commands_of_one_name_are_refused(client: Client) -> None:
    status, answer = await client("PUT", COMMANDS, json=[_command(), _command()])
    assert status == 400
    (error,) = answer["errors"]["_errors"]
    assert error["code"] == "APPLICATION_COMMANDS_DUPLICATE_NAME"


async def test_groups_in_groups_arrive_as_they_were_registered(playground: Playground) -> None:
    bot = EchoBot()
    stories = app_commands.Group(name="stories", description="What was told")
    best = app_commands.Group(name="best", description="What was liked", parent=stories)

    @best.command(description="Of this week")
    async def week(interaction: discord.Interaction, least: float, loud: bool = False) -> None:
        await interaction.response.send_message(f"{least} {loud}")

    bot.tree.add_command(stories)
    async with connected(playground, bot), visit(playground.url) as haru:
        with pytest.raises(VisitError, match="Choose what /stories should do"):
            await haru.command("stories")
        await haru.command("stories", {"least": "3.5", "loud": "true"}, "best", "week")
        assert (await haru.message("created"))["content"] == "3.5 True"
