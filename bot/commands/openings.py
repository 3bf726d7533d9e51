"""/openings: a server's own beginnings, proposed by members and accepted by moderators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands, ui

from bot.answering import Form, offer_again
from bot.apologies import NothingProposedError, NotModeratorError, OpeningGoneError
from bot.commands.help import Audience
from bot.locales import say, say_list
from bot.messages import notices
from bot.safety.beginnings import PromptRefusedError, Refusal, check_fit, checked_prompt
from bot.safety.escaping import escaped, units
from bot.safety.own_words import filter_of

if TYPE_CHECKING:
    from bot.client import Kataribe

LONGEST = 100
"""UTF-16 units of an opening: it has to fit into a suggestion."""
TYPED = 4000
"""Characters that a form's field takes: what is too long for an opening is shortened there."""
CHOICES = 25
LISTED = 3500
"""Characters of the list; an embed takes 4,096."""


async def suggest(
    interaction: discord.Interaction[Kataribe], typed: str
) -> list[app_commands.Choice[str]]:
    """The server's own openings that contain what was typed."""
    wanted = typed.strip().casefold()
    own = await interaction.client.services.openings.accepted(interaction.guild_id)
    fitting = [text for text in own if wanted in text.casefold()]
    return [app_commands.Choice(name=text, value=text) for text in fitting[:CHOICES]]


@app_commands.guild_only()
@app_commands.allowed_installs(guilds=True, users=False)
class OpeningsGroup(
    app_commands.Group, name="openings", description=say("command.openings.description")
):
    """What a server's members may begin with, beside the house's openings."""

    @app_commands.command(name="list", description=say("command.openings.list"))
    async def list(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Show the server's own openings to who asked."""
        openings = interaction.client.services.openings
        guild_id = _server(interaction)
        own = [escaped(text) for text in await openings.accepted(guild_id)]
        _, count = await openings.waiting(guild_id)
        text = say_list(own, "\n", LISTED) if own else say("opening.none")
        if count and interaction.permissions.manage_guild:
            text += "\n\n" + say("opening.waiting", count=count)
        embed = discord.Embed(title=say("opening.list"), description=text)
        await interaction.response.send_message(embed=embed, ephemeral=True)

    @app_commands.command(name="propose", description=say("command.openings.propose"))
    @app_commands.describe(text=say("command.openings.text"))
    async def propose(self, interaction: discord.Interaction[Kataribe], text: str) -> None:
        """Keep a member's opening until a moderator decides."""
        offer_again(interaction, ProposalForm(text[:TYPED]))
        await _propose(interaction, text)

    @app_commands.command(
        name="review",
        description=say("command.openings.review"),
        extras={"audience": Audience.MODERATORS},
    )
    async def review(self, interaction: discord.Interaction[Kataribe]) -> None:
        """Show a moderator the proposal that has waited longest."""
        guild_id = _moderated(interaction)
        opening, count = await interaction.client.services.openings.waiting(guild_id)
        if opening is None:
            await interaction.response.send_message(say("opening.review.done"), ephemeral=True)
            return
        embed, view = notices.proposal(opening, count)
        await interaction.response.send_message(embed=embed, view=view, ephemeral=True)

    @app_commands.command(
        name="remove",
        description=say("command.openings.remove"),
        extras={"audience": Audience.MODERATORS},
    )
    @app_commands.describe(opening=say("command.openings.which"))
    @app_commands.autocomplete(opening=suggest)
    async def remove(self, interaction: discord.Interaction[Kataribe], opening: str) -> None:
        """Take one of the server's openings back."""
        guild_id = _moderated(interaction)
        openings = interaction.client.services.openings
        # Words that no server has may be such as no database takes.
        accepted = await openings.accepted(guild_id)
        found = await openings.find(guild_id, opening) if opening in accepted else None
        if found is None or not await openings.decide(
            found.id, guild_id, interaction.user.id, accepted=False
        ):
            raise OpeningGoneError("no such opening in this server")
        await interaction.response.send_message(say("opening.removed"), ephemeral=True)


class ProposalForm(Form):
    """An opening that was refused, for its member to mend."""

    def __init__(self, text: str) -> None:
        super().__init__(title=say("opening.form"))
        self._text = text
        self._opening: ui.TextInput[Any] = ui.TextInput(default=text, max_length=TYPED)
        self.add_item(ui.Label(text=say("command.openings.text"), component=self._opening))

    def anew(self) -> ProposalForm:
        """Give it once more."""
        return ProposalForm(self._text)

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Propose what stands there now."""
        await _propose(interaction, self._opening.value)


async def _propose(interaction: discord.Interaction[Kataribe], text: str) -> None:
    services = interaction.client.services
    limit = min(LONGEST, services.settings.stories.prompt_limit)
    checked = checked_prompt(text, limit)
    if not checked:
        raise NothingProposedError("nothing to read in it")
    # One emoji may be eleven units, and one suggestion that is too long takes away all.
    if units(checked) > LONGEST:
        size = units(checked)
        raise PromptRefusedError(Refusal.TOO_LONG, limit=LONGEST, length=size)
    guild_id = _server(interaction)
    await services.heed_mute(guild_id, interaction.user.id)
    check_fit(checked, filter_of(await services.guilds.filter_words(guild_id)))
    await services.openings.propose(guild_id, interaction.user.id, checked)
    said = say("opening.proposed", opening=escaped(checked))
    await interaction.response.send_message(said, ephemeral=True)


def _server(interaction: discord.Interaction[Kataribe]) -> int:
    if interaction.guild_id is None:
        raise app_commands.NoPrivateMessage
    return interaction.guild_id


def _moderated(interaction: discord.Interaction[Kataribe]) -> int:
    """The server, if who asks is one of its moderators."""
    if not interaction.permissions.manage_guild:
        raise NotModeratorError(f"member {interaction.user.id} may not manage the server")
    return _server(interaction)
