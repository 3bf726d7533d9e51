"""What members do: ask for stories, duels and variations, vote, stop, go on."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.playground import composing
from bot.playground.errors import ApiError
from bot.playground.interactions import Kind
from bot.playground.layouts import parts_of
from bot.playground.limits import LOADING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from bot.playground.errors import Json
    from bot.playground.interactions import Interaction
    from bot.playground.messages import Message
    from bot.playground.world import Channel, Member
    from tests.chaos.discord import Discord

ACTS = {"story": 40, "private": 5, "saga": 2, "duel": 7, "continue": 7, "variations": 5, "again": 4}
ACTS |= {"vote": 20, "duel-vote": 7, "stop": 5}
"""How often each is done, beside the others."""
COMMANDS = {
    "story": ("story", {}),
    "private": ("story", {"private": "true"}),
    "saga": ("story", {"length": "saga"}),
    "duel": ("duel", {}),
}
"""Each by its name, with the options that are given beside the beginning."""
PRESSES = {
    "vote": r"kataribe:rate:\d+:[1-5]",
    "duel-vote": r"kataribe:duel:\d+:[012]",
    "stop": r"kataribe:cancel:\d+",
    "continue": r"kataribe:continue:\d+",
    "variations": r"kataribe:variations:\d+",
    "again": r"kataribe:again:\d+",
}
LOOKED_AT = 12
"""A member sees so many of a channel's latest messages."""
APART = 0.1
"""Seconds between two probes: the bot refuses a flood."""
TOO_MANY = "Too many ask at this moment"
RUSH_PASSES = 6.0
"""Seconds after which the bot says that it is worth another try, and some more."""
BEGINNINGS = (
    "In the year {number} a ship came back",
    "Nobody in the village of the {number} lanterns slept",
    "The {number}th letter was never sent",
    "Under a sky of {number} kites she waited",
)


@dataclass
class Members:
    """All of them, at a rate of their own."""

    discord: Discord
    rng: random.Random
    rate: float
    """Things done in a second, by all together."""
    done: dict[str, int] = field(default_factory=dict)
    _number: int = 100
    _waiting: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Do things until cancelled."""
        while True:
            await asyncio.sleep(self.rng.expovariate(self.rate))
            self.act(self.rng.choices(list(ACTS), list(ACTS.values()))[0])

    def act(self, act: str) -> None:
        """Have somebody do one thing, where there is something to do it with."""
        member = self.rng.choice(self.discord.village.villagers)
        places = self.discord.village.places_of(member)
        if not places:
            return
        channel = self.rng.choice(places)
        interaction = (
            self._press(member, channel, PRESSES[act])
            if act in PRESSES
            else self._command(member, channel, act)
        )
        if interaction is None:
            return
        self.done[act] = self.done.get(act, 0) + 1
        self._await(interaction)

    def _await(self, interaction: Interaction) -> None:
        task = asyncio.create_task(self._answered(interaction))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def probe(self, members: Iterable[Member]) -> None:
        """Have one after the other ask for a story, which a bot that is well tells.

        Returns when each is answered, by more than that the bot thinks: only then it is saved. Who
        is told that too many ask at this moment asks once more, when it says: what came just
        before the last fault was over may still be in its hands.
        """
        if turned_away := await self._probe(members):
            await asyncio.sleep(RUSH_PASSES)
            await self._probe(turned_away)

    async def _probe(self, members: Iterable[Member]) -> list[Member]:
        """Give those who were turned away since too many ask."""
        before, asked = set(self._waiting), []
        for member in members:
            places = self.discord.village.places_of(member)
            if not places:
                continue  # the server is no more
            if interaction := self._command(member, places[0], "story", probe=True):
                self._await(interaction)
                asked.append((member, interaction))
            await asyncio.sleep(APART)
        if probes := self._waiting - before:
            await asyncio.wait(probes)
        changed, listeners = asyncio.Event(), self.discord.messages.listeners
        listeners.append(hear := lambda *_: changed.set())
        while any(one.original and one.original.flags & LOADING for _, one in asked):
            changed.clear()
            await changed.wait()
        listeners.remove(hear)
        return [
            member
            for member, one in asked
            if one.original and one.original.content.startswith(TOO_MANY)
        ]

    async def answered(self) -> None:
        """Wait until everybody was answered, or gave up."""
        while self._waiting:
            await asyncio.wait(self._waiting)

    def _command(
        self, member: Member, channel: Channel, act: str, **noted: Any
    ) -> Interaction | None:
        name, options = COMMANDS[act]
        found = (one for one in self.discord.commands.registered() if one["name"] == name)
        command = next(found, None)
        if command is None:
            return None
        self._number += 1
        beginning = self.rng.choice(BEGINNINGS).format(number=self._number)
        given = {"prompt": beginning, **options}
        data = composing.command_data(self.discord.village, command, [], given)
        return self._start(Kind.COMMAND, member, channel, data, name=act, prompt=beginning, **noted)

    def _press(self, member: Member, channel: Channel, wanted: str) -> Interaction | None:
        messages = list(self.discord.messages.history(channel.id))[-LOOKED_AT:]
        offered = [
            (message, component)
            for message in messages
            for component in parts_of(message.components)
            if re.fullmatch(wanted, component.get("custom_id", ""))
        ]
        if not offered:
            return None
        message, component = self.rng.choice(offered)
        data = composing.component_data(self.discord.village, component, [])
        custom_id = component["custom_id"]
        return self._start(
            Kind.COMPONENT, member, channel, data, message=message, custom_id=custom_id
        )

    def _start(
        self,
        kind: Kind,
        member: Member,
        channel: Channel,
        data: Json,
        *,
        message: Message | None = None,
        **noted: Any,
    ) -> Interaction | None:
        try:
            interaction = self.discord.interactions.start(
                kind, member, channel, data, message=message
            )
        except ApiError:
            return None
        self.discord.history.add(
            "asked",
            id=interaction.id,
            kind=kind.name,
            member=member.user.id,
            young=member.user.id in self.discord.village.young,
            guild=channel.guild_id,
            channel=channel.id,
            message=message and message.id,
            **noted,
        )
        return interaction

    async def _answered(self, interaction: Interaction) -> None:
        result = await interaction.result
        shown = interaction.original
        self.discord.history.add(
            "answered",
            id=interaction.id,
            outcome=result.outcome.value,
            message=shown and shown.id,
        )
