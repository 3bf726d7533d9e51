"""What a member does and how the bot answers, over real sockets with discord.py's own client."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING

import discord
import pytest
from aiohttp import ClientSession

from bot.playground import Playground
from bot.playground.visitor import VisitError, Visitor, visit
from tests.playground.echo_bot import EchoBot, connected, soon

if TYPE_CHECKING:
    from bot.playground.errors import Json


echoing = pytest.mark.usefixtures("echo_bot")


async def _echo(visitor: Visitor, text: str) -> Json:
    await visitor.command("echo", {"text": text})
    return await visitor.message("edited")


@echoing
async def test_a_command_is_deferred_then_told_by_edits(playground: Playground) -> None:
    async with visit(playground.url) as haru:
        await haru.command("echo", {"text": "hello", "times": "2", "voice": "loud"})
        thinking = await haru.message("created")
        told = await haru.message("edited")
    assert (thinking["content"], thinking["flags"]) == ("", 1 << 7)
    assert thinking["interaction"]["name"] == "echo"
    assert told["id"] == thinking["id"]
    assert told["flags"] == 0
    assert told["edited_timestamp"] is None, "the first words are not an edit"
    assert told["embeds"][0]["description"] == "HELLO HELLO"
    assert told["embeds"][0]["author"]["name"] == "for Haru"


@echoing
async def test_everyone_sees_a_button_pressed(playground: Playground) -> None:
    async with visit(playground.url, "haru") as haru, visit(playground.url, "mika") as mika:
        told = await _echo(haru, "hello")
        await mika.press(told["id"], "again")
        seen = await haru.message("edited", lambda message: message["content"] != "")
    assert seen["content"] == "again, says Mika"
    assert seen["edited_timestamp"] is not None


async def test_a_button_works_with_a_bot_that_came_later(playground: Playground) -> None:
    async with visit(playground.url) as haru:
        async with connected(playground):
            told = await _echo(haru, "hello")
        async with connected(playground, sync=False):
            await haru.press(told["id"], "again")
            await haru.message("edited", lambda message: message["content"] == "again, says Haru")


@echoing
async def test_only_its_addressee_sees_an_ephemeral_answer(playground: Playground) -> None:
    async with visit(playground.url, "haru") as haru, visit(playground.url, "mika") as mika:
        await haru.command("whisper", {"text": "psst"})
        secret = await haru.message("created")
        assert (secret["content"], secret["flags"]) == ("psst", 1 << 6)
        await haru.say("and now aloud")
        first_for_mika = await mika.message("created")
        assert first_for_mika["content"] == "and now aloud"
        with pytest.raises(VisitError):
            await mika.ask(do="delete", message=secret["id"])
        await haru.begin(do="delete", message=secret["id"])
        await haru.message("deleted", lambda message: message["id"] == secret["id"])


@echoing
async def test_a_modal_goes_out_and_comes_back(playground: Playground) -> None:
    async with visit(playground.url) as haru:
        told = await _echo(haru, "hello")
        opened = await haru.press(told["id"], "report")
        row, label = opened["modal"]["components"]
        reason, kind = row["components"][0]["custom_id"], label["component"]["custom_id"]
        with pytest.raises(VisitError, match="Fill this in") as empty:
            await haru.ask(do="submit", modal=opened["opened"], values={})
        assert empty.value.field == reason
        await haru.ask(
            do="submit",
            modal=opened["opened"],
            values={reason: "too good", kind: ["Rude"]},
        )
        answer = await haru.message("created", lambda message: message["flags"] == 1 << 6)
    assert answer["content"] == "Rude: too good"


@echoing
async def test_a_select_menu_is_used(playground: Playground) -> None:
    async with visit(playground.url) as haru:
        told = await _echo(haru, "hello")
        with pytest.raises(VisitError, match="Pick one of the options"):
            await haru.press(told["id"], "pick", "nobody")
        await haru.press(told["id"], "pick", "lstm-starter")
        answer = await haru.message("created", lambda message: message["content"] != "")
    assert answer["content"] == "picked lstm-starter"
    assert answer["message_reference"]["message_id"] == told["id"]


async def test_a_disabled_button_is_not_pressed(playground: Playground, echo_bot: EchoBot) -> None:
    async with visit(playground.url) as haru:
        told = await _echo(haru, "hello")
        while not echo_bot.seen.empty():
            echo_bot.seen.get_nowait()
        with pytest.raises(VisitError, match="This cannot be used now"):
            await haru.press(told["id"], "off")
        with pytest.raises(VisitError, match="This is no longer there"):
            await haru.press(told["id"], "never there")
    assert echo_bot.seen.empty()


@echoing
async def test_suggestions_come_while_one_types(playground: Playground) -> None:
    async with visit(playground.url, "aoi") as aoi:
        suggest = {"do": "suggest", "command": aoi.commands["model"]["id"], "path": ["use"]}
        result = await aoi.ask(**suggest, values={"name": "lst"}, focus="name")
        assert [choice["value"] for choice in result["choices"]] == ["lstm-starter"]
        await aoi.command("model", {"name": "lstm-starter", "where": "lounge"}, "use")
        answer = await aoi.message("created")
    assert answer["content"] == "lstm-starter speaks #lounge"
    assert answer["interaction"]["name"] == "model use"


@echoing
async def test_moderators_commands_are_offered_to_moderators(playground: Playground) -> None:
    async with visit(playground.url, "haru") as haru, visit(playground.url, "aoi") as aoi:
        command = aoi.commands["model"]["id"]
        assert "model" not in haru.commands
        with pytest.raises(VisitError, match="This command is not offered to you"):
            await haru.ask(do="command", command=command, path=["use"], values={"name": "x"})


@echoing
async def test_context_menus_reach_messages_and_members(playground: Playground) -> None:
    async with visit(playground.url, "haru") as haru:
        await haru.say("a fine day")
        said = await haru.message("created")
        await haru.ask(do="command", command=haru.commands["Quote"]["id"], message=said["id"])
        assert (await haru.message("created"))["content"] == "> a fine day"
        mika = next(one["id"] for one in haru.room["members"] if one["username"] == "mika")
        await haru.ask(do="command", command=haru.commands["Greet"]["id"], member=mika)
        assert (await haru.message("created"))["content"] == "Hello Mika"


@pytest.mark.parametrize(
    ("values", "field", "sentence"),
    [
        ({}, "text", "Fill in text."),
        ({"text": "x" * 101}, "text", "text has 100 characters or fewer; these are 101."),
        ({"text": "hi", "times": "many"}, "times", "times is a whole number."),
        ({"text": "hi", "times": "6"}, "times", "times is 5 or less."),
        ({"text": "hi", "voice": "shrill"}, "voice", "voice is one of: loud, soft."),
    ],
)
async def test_a_wrong_option_is_named_before_the_bot_hears_of_it(
    playground: Playground, echo_bot: EchoBot, values: dict[str, str], field: str, sentence: str
) -> None:
    async with visit(playground.url) as haru:
        with pytest.raises(VisitError) as refused:
            await haru.command("echo", values)
    assert (refused.value.field, str(refused.value)) == (field, sentence)
    assert echo_bot.seen.empty()


async def test_without_a_bot_nobody_answers(playground: Playground) -> None:
    async with connected(playground):
        pass
    async with visit(playground.url) as haru:
        with pytest.raises(VisitError, match="No bot is connected, so nobody can answer"):
            await haru.command("echo", {"text": "hello"})


async def test_a_late_answer_is_an_unknown_interaction() -> None:
    async with Playground(port=0, deadline=0.05) as playground, connected(playground) as bot:
        async with visit(playground.url) as haru:
            with pytest.raises(VisitError, match="The application did not respond"):
                await haru.command("slow")
            late = await soon(bot.seen.get())
            with pytest.raises(discord.NotFound) as refused:
                await late.response.send_message("here I am")
        assert (refused.value.status, refused.value.code) == (404, 10062)
        bot.let_go.set()


async def test_an_interaction_is_acknowledged_once(
    playground: Playground, echo_bot: EchoBot
) -> None:
    async with visit(playground.url) as haru:
        began = await haru.begin(
            do="command", command=haru.commands["slow"]["id"], path=[], values={}
        )
        interaction = await soon(echo_bot.seen.get())
        await interaction.response.send_message("first")
        interaction.response._response_type = None  # as another process of the bot would
        with pytest.raises(discord.HTTPException) as refused:
            await interaction.response.send_message("second")
        await haru.show("result", lambda shown: shown["nonce"] == began)
    assert (refused.value.status, refused.value.code) == (400, 40060)


async def test_a_token_dies_and_the_message_is_still_the_bots() -> None:
    async with (
        Playground(port=0, deadline=30, token_lifetime=0.0) as playground,
        connected(playground) as bot,
        visit(playground.url) as haru,
    ):
        channel = bot.get_channel(int(haru.room["channel"]))
        assert isinstance(channel, discord.TextChannel)
        await haru.begin(do="command", command=haru.commands["slow"]["id"])
        interaction = await soon(bot.seen.get())
        bot.let_go.set()
        message = await haru.message("created")
        with pytest.raises(discord.HTTPException) as refused:
            await interaction.edit_original_response(content="by the token")
        assert (refused.value.status, refused.value.code) == (401, 50027)
        await channel.get_partial_message(int(message["id"])).edit(content="by the bot")
        assert (await haru.message("edited"))["content"] == "by the bot"


async def test_follow_ups_are_written_read_and_deleted(
    playground: Playground, echo_bot: EchoBot
) -> None:
    async with visit(playground.url) as haru:
        await haru.begin(do="command", command=haru.commands["slow"]["id"])
        interaction = await soon(echo_bot.seen.get())
        await interaction.response.defer(thinking=True, ephemeral=True)
        first = await interaction.followup.send("takes the place of thinking", wait=True)
        second = await interaction.followup.send("comes after", wait=True)
        assert first.flags.ephemeral
        assert not second.flags.ephemeral
        await second.edit(content="changed")
        assert (await interaction.followup.fetch_message(second.id)).content == "changed"
        await second.delete()
        await haru.message("deleted", lambda message: message["id"] == str(second.id))
        with pytest.raises(discord.NotFound) as refused:
            await interaction.followup.fetch_message(second.id)
        assert refused.value.code == 10008


async def test_a_file_comes_with_an_answer(playground: Playground, echo_bot: EchoBot) -> None:
    async with visit(playground.url) as haru:
        await haru.begin(do="command", command=haru.commands["slow"]["id"])
        interaction = await soon(echo_bot.seen.get())
        exported = discord.File(io.BytesIO(b"[1, 2]"), filename="my stories.json")
        await interaction.response.send_message("Your data", file=exported, ephemeral=True)
        message = await haru.message("created")
        (attachment,) = (await interaction.original_response()).attachments
        assert await attachment.read() == b"[1, 2]"
    assert message["attachments"][0]["filename"] == "my stories.json"


@echoing
async def test_a_picture_comes_with_what_it_shows_and_is_served_as_one(
    playground: Playground, echo_bot: EchoBot
) -> None:
    png = b"\x89PNG\r\n\x1a\n and the rest"
    async with visit(playground.url) as haru, ClientSession() as session:
        await haru.begin(do="command", command=haru.commands["slow"]["id"])
        interaction = await soon(echo_bot.seen.get())
        drawn = discord.File(io.BytesIO(png), "chart.png", description="Three stories")
        await interaction.response.send_message(file=drawn)
        (picture,) = (await haru.message("created"))["attachments"]
        async with session.get(picture["url"]) as served:
            assert (served.content_type, await served.read()) == ("image/png", png)
    assert picture["description"] == "Three stories"
    assert picture["content_type"] == "image/png"


@echoing
async def test_several_members_act_at_once(playground: Playground) -> None:
    async with visit(playground.url) as haru:
        await asyncio.gather(*[haru.command("echo", {"text": str(n)}) for n in range(3)])
        told = {(await haru.message("edited"))["embeds"][0]["description"] for _ in range(3)}
    assert told == {"0", "1", "2"}
