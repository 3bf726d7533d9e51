"""/host: what whoever runs the bot sees and does."""

from __future__ import annotations

import asyncio
import functools
import io
import math
from typing import TYPE_CHECKING

import discord
from discord import app_commands, ui

from bot.announcing import story_channels
from bot.authority import require_host
from bot.commands.model import suggest
from bot.database.clock import now
from bot.database.tables import State
from bot.locales import say, say_list, say_number, spoken
from bot.pictures import draw_hours
from bot.safety.escaping import escaped
from bot.worker.completions import GeneratorDownError, GeneratorError
from bot.worker.completions_server import NAME_LIMIT  # noqa: TC001  # discord.py reads it

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.charts.course import Courses
    from bot.client import Kataribe
    from bot.database.processes import Process
    from bot.worker.gauges import Gauges

STARTED = now()
"""When this process began."""
ANNOUNCEMENT_LIMIT = 1500
"""Characters of what is said to everybody."""
LISTED = 2500
"""Characters of the models in memory; an embed takes 4,096."""
LISTED_PROCESSES = 900
"""Characters of the bots."""
ALT = 1024
"""Characters that Discord takes as what a picture shows."""


def _processes(found: Iterable[Process]) -> list[str]:
    """A line for each of several bots."""
    lines = [
        say("host.process", range=str(one.shards), place=escaped(one.place))
        if one.owner
        else say("host.no_process", range=str(one.shards))
        for one in found
    ]
    return [say_list(lines, "\n", LISTED_PROCESSES)]


def _alt(courses: Courses) -> str:
    """The chart in words: the newest and the largest of each."""
    parts: list[str] = []
    for name, values in courses.items():
        known = [value for value in values if value is not None]
        title = say(f"host.course.{name}")
        parts.append(
            say("host.course.alt_part", title=title, newest=known[-1], most=max(known))
            if known
            else say("host.course.alt_none", title=title)
        )
    return say("host.course.alt", parts="; ".join(parts))[:ALT]


@app_commands.default_permissions(administrator=True)
class Host(app_commands.Group, name="host", description=say("command.host.description")):
    """For the application's owner alone; that Discord shows it to others lets nobody in."""

    def __init__(self) -> None:
        super().__init__()
        self._looked: tuple[float, int] | None = None
        """When the generator's tokens were last looked at, by the event loop's time, and them."""

    @app_commands.command(name="status", description=say("command.host.status"))
    async def status(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Say how the bot and its generator are."""
        require_host(interaction)
        await interaction.response.defer(ephemeral=True, thinking=True)
        client, services = interaction.client, interaction.client.services
        live = await services.queue.live()
        lines = [
            say(
                "host.queue",
                waiting=live.get(State.QUEUED, 0),
                telling=live.get(State.TELLING, 0),
            ),
        ]
        if services.bell.others is not None:
            lines += _processes(await services.bell.others.processes())
        rests = [say("host.paused")] if services.bell.paused else []
        try:
            lines += self._measured(await services.completions.gauges())
        except GeneratorDownError as error:
            rests.append(say("host.down", reason=escaped(str(error))))
        except GeneratorError as error:
            lines.append(say("host.no_gauges", reason=escaped(str(error))))
        lines = (rests or [say("host.telling")]) + lines
        latency = client.latency
        lines.append(
            say(
                "host.gateway",
                latency="?" if math.isnan(latency) else say_number(latency * 1000),
                shards=client.shard_count or 1,
                servers=len(client.guilds),
                since=discord.utils.format_dt(STARTED, "R"),
            )
        )
        embed = discord.Embed(title=say("host.title"), description="\n".join(lines))
        await services.watching.look_again(latency)
        courses = services.watching.courses
        shown = ("host", spoken(), *courses.values())
        png = await services.pictures.get(shown, functools.partial(draw_hours, courses))
        file = discord.File(io.BytesIO(png), "host.png", description=_alt(courses))
        embed.set_image(url="attachment://host.png")
        await interaction.edit_original_response(embed=embed, attachments=[file])

    def _measured(self, gauges: Gauges) -> list[str]:
        """What the generator says of itself, a line for each model in memory."""
        moment, before = asyncio.get_running_loop().time(), self._looked
        self._looked = moment, gauges.written
        # Fewer than before: the generator was started anew meanwhile.
        if before is None or moment <= before[0] or gauges.written < before[1]:
            pace = say("host.no_pace")
        else:
            rate = (gauges.written - before[1]) / (moment - before[0])
            pace = say("host.pace", rate=rate, seconds=moment - before[0])
        models = [
            say(
                "host.model",
                model=escaped(model),
                megabytes=size / 1e6,
                telling=gauges.telling.get(model, 0),
            )
            for model, size in sorted(gauges.memory.items())
        ]
        replicas = gauges.replicas
        up = say("host.replicas", up=sum(replicas.values()), all=len(replicas))
        return [
            pace,
            *([up] if replicas else []),
            say_list(models, "\n", LISTED) or say("host.no_models"),
        ]

    @app_commands.command(name="load", description=say("command.host.load"))
    @app_commands.describe(model=say("command.host.model"))
    @app_commands.autocomplete(model=suggest)
    async def load(
        self,
        interaction: discord.Interaction[Kataribe],
        model: app_commands.Range[str, 1, NAME_LIMIT],
    ) -> None:
        """Take a model into memory before anybody asks for it."""
        require_host(interaction)
        await self._command(interaction, model, load=True)

    @app_commands.command(name="unload", description=say("command.host.unload"))
    @app_commands.describe(model=say("command.host.model"))
    @app_commands.autocomplete(model=suggest)
    async def unload(
        self,
        interaction: discord.Interaction[Kataribe],
        model: app_commands.Range[str, 1, NAME_LIMIT],
    ) -> None:
        """Let a model go; the next story that it shall tell loads it again."""
        require_host(interaction)
        await self._command(interaction, model, load=False)

    async def _command(
        self, interaction: discord.Interaction[Kataribe], model: str, *, load: bool
    ) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        services = interaction.client.services
        name = await services.catalogue.find(model)
        if name in services.completions.remote:
            said = say("host.elsewhere", model=escaped(name))
        else:
            act = services.completions.load if load else services.completions.unload
            try:
                await act(name)
            except GeneratorDownError as error:
                said = say("host.down", reason=escaped(str(error)))
            except GeneratorError as error:
                said = say("host.refused", reason=escaped(str(error)))
            else:
                said = say("host.loaded" if load else "host.unloaded", model=escaped(name))
        await interaction.edit_original_response(content=said)

    @app_commands.command(name="pause", description=say("command.host.pause"))
    async def pause(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Begin no story any more; what is being told is told to its end."""
        require_host(interaction)
        await interaction.client.services.bell.pause()
        await interaction.response.send_message(say("host.now_paused"), ephemeral=True)

    @app_commands.command(name="resume", description=say("command.host.resume"))
    async def resume(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Go on."""
        require_host(interaction)
        await interaction.client.services.bell.resume()
        await interaction.response.send_message(say("host.now_telling"), ephemeral=True)

    @app_commands.command(name="announce", description=say("command.host.announce"))
    @app_commands.describe(text=say("command.host.text"))
    async def announce(
        self,
        interaction: discord.Interaction[Kataribe],
        text: app_commands.Range[str, 1, ANNOUNCEMENT_LIMIT],
    ) -> None:
        """Show what would be said and where; nothing is said before a press."""
        require_host(interaction)
        places = await story_channels(interaction.client)
        servers = len({guild_id for guild_id, _ in places})
        view = ui.View(timeout=None)
        if places:
            custom_id = f"kataribe:announce:{len(places)}"
            view.add_item(ui.Button(label=say("host.say_it"), custom_id=custom_id))
        await interaction.response.send_message(
            say(
                "host.would_say",
                channels=say("host.channels", count=len(places)),
                servers=say("host.servers", count=servers),
            ),
            embed=discord.Embed(description=text),
            view=view,
            ephemeral=True,
        )
