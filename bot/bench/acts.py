"""What the members of a crowd do: commands that they type, and buttons under what stands there."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.playground import composing
from bot.playground.composing import InputError
from bot.playground.interactions import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.bench.crowd import Crowd
    from bot.playground.world import Member

Json = dict[str, Any]

WRITING = 1.0
"""Seconds that a member needs at least to fill in a form."""

WORDS = ("fox", "moon", "school", "robot", "summer", "sea", "knight", "village")
OWN_WORDS = "and then the lanterns went out"


@dataclass(frozen=True, slots=True)
class Typed:
    """A command."""

    line: str
    """Its name, then the subcommand's if there is one."""
    options: tuple[tuple[str, str], ...] = ()
    wish: bool = False
    """It asks for a story."""

    async def do(self, crowd: Crowd, member: Member) -> bool:
        """Type it."""
        name, *path = self.line.split()
        command = command_of(crowd, name)
        values = dict(self.options)
        if self.wish:
            values["prompt"] = beginning(next(crowd.numbers))
        data = composing.command_data(crowd.discord.world, command, path, values)
        await crowd.act(f"/{self.line}", Kind.COMMAND, member, data, wish=self.wish)
        return True


@dataclass(frozen=True, slots=True)
class Suggested:
    """The start of a command, for which the bot suggests how it goes on."""

    line: str
    focus: str

    async def do(self, crowd: Crowd, member: Member) -> bool:
        """Type a word, and wait for suggestions."""
        word = random.choice(WORDS)
        command = command_of(crowd, self.line)
        data = composing.autocomplete_data(command, [], {self.focus: word}, self.focus)
        await crowd.act(f"/{self.line} {self.focus}…", Kind.AUTOCOMPLETE, member, data)
        return True


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button under one of the newest messages."""

    what: str
    starts: str
    """How its custom id begins."""
    wish: bool = False

    async def do(self, crowd: Crowd, member: Member) -> bool:
        """Press it, and fill in the form if one opens; False: nobody has such a button now."""
        found = crowd.buttons(self.starts, member)
        if not found:
            return False
        message, component = random.choice(found)
        try:
            data = composing.component_data(crowd.discord.world, component, [])
        except InputError:
            return False  # it cannot be used now
        pressed = await crowd.act(
            self.what, Kind.COMPONENT, member, data, wish=self.wish, message=message
        )
        if (modal := pressed.result.result().modal) is not None:
            # discord.py hears a form only once Discord's answer to its opening has come: sent at
            # once, as nobody writes, it would now and then be one that the bot does not know.
            await asyncio.sleep(WRITING)
            await crowd.act(
                f"{self.what}: sent",
                Kind.MODAL_SUBMIT,
                member,
                composing.modal_data(crowd.discord.world, modal, _filled(modal)),
                message=message,
                parent=pressed,
                wish=True,
            )
        return True


Act = Typed | Suggested | Pressed

ACTS: Mapping[Act, int] = {
    Typed("story", wish=True): 10,
    Suggested("story", "prompt"): 8,
    Typed("duel", wish=True): 2,
    Pressed("star", "kataribe:rate:"): 14,
    Pressed("duel vote", "kataribe:duel:"): 6,
    Pressed("Continue", "kataribe:continue:", wish=True): 6,
    Pressed("My turn", "kataribe:turn:"): 3,
    Pressed("Again", "kataribe:again:", wish=True): 2,
    Pressed("Variations", "kataribe:variations:", wish=True): 1,
    Pressed("Stop", "kataribe:cancel:"): 1,
    Pressed("⋯", "kataribe:more:"): 5,
    Pressed("⋯ Read", "kataribe:read:"): 3,
    Pressed("⋯ Details", "kataribe:details:"): 3,
    Pressed("⋯ Share as a picture", "kataribe:picture:"): 1,
    Typed("stories top"): 3,
    Typed("stories new"): 3,
    Typed("stories mine"): 2,
    Typed("stories random"): 2,
    Typed("stories search", (("words", "moon"),)): 3,
    Typed("ranking"): 3,
    Typed("stats"): 2,
    Typed("model list"): 2,
    Typed("openings list"): 2,
    Typed("help"): 2,
    Typed("about"): 1,
    Typed("privacy"): 1,
}
"""How often each is done, of all together."""


def command_of(crowd: Crowd, name: str) -> Json:
    """A command as the bot registered it."""
    return next(one for one in crowd.discord.commands.registered() if one["name"] == name)


def beginning(number: int) -> str:
    """What a story shall begin with; each is another."""
    return f"In the year {1000 + number} the {WORDS[number % len(WORDS)]}"


def _filled(modal: Json) -> dict[str, str]:
    """A form with words in each of its fields, by their custom ids."""
    fields = [part.get("component", part) for part in modal["components"]]
    return {field["custom_id"]: OWN_WORDS for field in fields if "custom_id" in field}
