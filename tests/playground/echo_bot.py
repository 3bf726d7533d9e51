"""A small bot on unmodified discord.py that uses everything the playground offers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import discord
import yarl
from discord import app_commands, ui

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from bot.playground import Playground

T = TypeVar("T")

MODELS = ("gpt2-starter", "lstm-starter")
OPENINGS = ("In the year of the comet", "On the last day of summer")


async def soon(awaited: Awaitable[T]) -> T:
    """Wait for what must come, and not for ever."""
    return await asyncio.wait_for(awaited, 20)


class Buttons(ui.View):
    """What stands under an echo."""

    def __init__(self) -> None:
        super().__init__(timeout=None)
        off: ui.Button[Buttons] = ui.Button(label="Off", custom_id="off", disabled=True)
        self.add_item(off)

    @ui.button(label="Again", custom_id="again", style=discord.ButtonStyle.primary)
    async def again(self, interaction: discord.Interaction, _: ui.Button[Buttons]) -> None:
        name = interaction.user.display_name
        await interaction.response.edit_message(content=f"again, says {name}")

    @ui.button(label="Whisper", custom_id="whisper")
    async def whisper(self, interaction: discord.Interaction, _: ui.Button[Buttons]) -> None:
        name = interaction.user.display_name
        await interaction.response.send_message(f"only for {name}", ephemeral=True)

    @ui.button(label="Report", custom_id="report", style=discord.ButtonStyle.danger)
    async def report(self, interaction: discord.Interaction, _: ui.Button[Buttons]) -> None:
        await interaction.response.send_modal(Report())

    @ui.select(custom_id="pick", options=[discord.SelectOption(label=name) for name in MODELS])
    async def pick(self, interaction: discord.Interaction, select: ui.Select[Buttons]) -> None:
        await interaction.response.send_message(f"picked {select.values[0]}")


class Telling(ui.View):
    """What stands under a story while it is told."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @ui.button(label="Call it off", custom_id="call off")
    async def call_off(self, interaction: discord.Interaction, _: ui.Button[Telling]) -> None:
        await interaction.response.edit_message(view=Buttons())


class Report(ui.Modal, title="Report this"):
    """A form with a text field in the older layout and a labelled menu in the newer one."""

    reason: ui.TextInput[Report] = ui.TextInput(label="Reason", max_length=50)
    kind: ui.Label[Report] = ui.Label(
        text="Kind",
        component=ui.Select(options=[discord.SelectOption(label=n) for n in ("Rude", "Broken")]),
    )

    async def on_submit(self, interaction: discord.Interaction) -> None:
        assert isinstance(self.kind.component, ui.Select)
        answer = f"{self.kind.component.values[0]}: {self.reason.value}"
        await interaction.response.send_message(answer, ephemeral=True)


class EchoBot(discord.Client):
    """Registers its commands and answers them; `heard` is what it saw members write."""

    def __init__(self, *, intents: discord.Intents | None = None) -> None:
        intents = intents or discord.Intents(guilds=True, guild_messages=True)
        super().__init__(
            intents=intents,
            guild_ready_timeout=0.05,
            activity=discord.CustomActivity("Echoing"),
            allowed_mentions=discord.AllowedMentions.none(),
        )
        self.tree = app_commands.CommandTree(self)
        self.is_up = asyncio.Event()
        self.has_resumed = asyncio.Event()
        self.heard: asyncio.Queue[discord.Message] = asyncio.Queue()
        self.seen: asyncio.Queue[discord.Interaction] = asyncio.Queue()
        self.let_go = asyncio.Event()
        """What `/slow` waits for before it answers."""
        self.let_suggest = asyncio.Event()
        """What suggestions wait for; a test clears it to make them late."""
        self.let_suggest.set()
        self.words: asyncio.Queue[str] = asyncio.Queue()
        """What `/story` tells, one edit for each; an empty one ends it."""
        _add_commands(self)
        _add_story(self)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Discord wants five seconds before a second login; the playground does not."""

    async def setup_hook(self) -> None:
        self.add_view(Buttons())
        self.add_view(Telling())

    async def on_ready(self) -> None:
        self.is_up.set()

    async def on_resumed(self) -> None:
        self.has_resumed.set()

    async def on_message(self, message: discord.Message) -> None:
        if message.author != self.user:
            self.heard.put_nowait(message)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self.seen.put_nowait(interaction)


def _add_commands(bot: EchoBot) -> None:
    tree = bot.tree

    @tree.command(description="Say it again")
    @app_commands.describe(text="What to say", times="How often", voice="In what voice")
    @app_commands.choices(voice=[app_commands.Choice(name=n, value=n) for n in ("loud", "soft")])
    async def echo(
        interaction: discord.Interaction,
        text: app_commands.Range[str, 1, 100],
        times: app_commands.Range[int, 1, 5] = 1,
        voice: str = "soft",
    ) -> None:
        await interaction.response.defer(thinking=True)
        said = " ".join([text.upper() if voice == "loud" else text] * times)
        embed = discord.Embed(title="Echo", description=said, color=0xB5485D)
        embed.set_author(name=f"for {interaction.user.display_name}").set_footer(text="an echo")
        embed.add_field(name="times", value=str(times))
        await interaction.edit_original_response(embed=embed, view=Buttons())

    @tree.command(description="Say it to you alone")
    async def whisper(interaction: discord.Interaction, text: str) -> None:
        await interaction.response.send_message(text, ephemeral=True)

    @tree.command(description="Take one's time")
    async def slow(interaction: discord.Interaction) -> None:
        await bot.let_go.wait()
        await interaction.response.send_message("at last")

    @tree.command(description="Count, one edit at a time")
    async def count(interaction: discord.Interaction, upto: int) -> None:
        await interaction.response.send_message("0")
        message = await interaction.original_response()
        channel = interaction.channel
        assert isinstance(channel, discord.TextChannel)
        for number in range(1, upto + 1):
            await channel.get_partial_message(message.id).edit(content=str(number))

    @tree.context_menu(name="Quote")
    async def quote(interaction: discord.Interaction, message: discord.Message) -> None:
        await interaction.response.send_message(f"> {message.content}")

    @tree.context_menu(name="Greet")
    async def greet(interaction: discord.Interaction, member: discord.Member) -> None:
        await interaction.response.send_message(f"Hello {member.display_name}")

    model = app_commands.Group(
        name="model",
        description="Who speaks",
        default_permissions=discord.Permissions(manage_guild=True),
    )

    @model.command(description="Choose who speaks")
    @app_commands.describe(name="The model", where="Where it speaks")
    async def use(
        interaction: discord.Interaction, name: str, where: discord.TextChannel | None = None
    ) -> None:
        place = f"#{where.name}" if where else "everywhere"
        await interaction.response.send_message(f"{name} speaks {place}", ephemeral=True)

    @use.autocomplete("name")
    async def models(_: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        await bot.let_suggest.wait()
        return [app_commands.Choice(name=n, value=n) for n in MODELS if current in n]

    tree.add_command(model)


def _add_story(bot: EchoBot) -> None:
    @bot.tree.command(description="Tell a story")
    async def story(interaction: discord.Interaction, prompt: str) -> None:
        embed = discord.Embed(description=prompt)
        await interaction.response.send_message(embed=embed, view=Telling())
        while word := await bot.words.get():
            embed.description = f"{embed.description} {word}"
            await interaction.edit_original_response(embed=embed)
        await interaction.edit_original_response(embed=embed, view=Buttons())

    @story.autocomplete("prompt")
    async def openings(_: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        await bot.let_suggest.wait()
        known = [one for one in OPENINGS if current.lower() in one.lower()]
        offered = [current, *known] if current else ["Surprise me", *known]
        return [app_commands.Choice(name=name, value=name) for name in offered]


@asynccontextmanager
async def connected(
    playground: Playground, bot: EchoBot | None = None, *, sync: bool = True
) -> AsyncIterator[EchoBot]:
    """A bot that is ready; discord.py is pointed at the playground meanwhile."""
    bot = bot or EchoBot()
    base, gateway = discord.http.Route.BASE, discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY
    discord.http.Route.BASE = playground.api_url
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(playground.gateway_url)
    running: asyncio.Task[Any] = asyncio.create_task(bot.start(playground.token))
    try:
        up = asyncio.create_task(bot.is_up.wait())
        await asyncio.wait({up, running}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if running.done():
            running.result()
        if sync:
            await bot.tree.sync()
        yield bot
    finally:
        await bot.close()
        await asyncio.gather(running, return_exceptions=True)
        discord.http.Route.BASE = base
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = gateway
