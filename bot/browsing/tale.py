"""A whole tale from its first part on, in pages and as a text file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import discord

from bot.browsing.visible import readable, viewer
from bot.locales import say
from bot.safety.escaping import cut, escaped, units
from bot.safety.graphemes import length
from bot.safety.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discord import Interaction

    from bot.client import Kataribe
    from bot.database.tables import Story

PARTS = 500
"""Parts before a story that are read with it."""
ROOM = 1800
"""UTF-16 units of a page before it is escaped, which may double it; an embed takes 4,096."""
TITLE = 120
"""Graphemes of a beginning that stands in bold, and units of a title."""


@dataclass(frozen=True, slots=True)
class Tale:
    """The parts of a tale that a member may read; None stands for one that they may not."""

    parts: Sequence[Story | None]
    blind: bool = False
    """Its last part stands in a duel that is not closed: who told it is not said."""

    @property
    def last(self) -> Story:
        """The one that was asked about."""
        story = self.parts[-1]
        assert story is not None  # noqa: S101  # it was looked at before
        return story

    @property
    def title(self) -> str:
        """What it begins with."""
        first = next(part for part in self.parts if part is not None)
        return title_of(first.prompt or first.text, TITLE)

    def pages(self) -> tuple[list[str], int]:
        """Its text in pages of an embed, and the page (from 0 on) where its last part begins."""
        pages, last_part = [""], 0
        for number, part in enumerate(self.parts, start=1):
            heading = f"-# {say('tale.part', part=number)}\n" if len(self.parts) > 1 else ""
            beginning, rest = ("", "") if part is None else _opening(part)
            if part is None:
                heading += f"*{say('tale.missing')}*"
            for place, piece in enumerate(_pieces(rest)):
                block = escaped(piece) if place else heading + beginning + escaped(piece)
                if pages[-1] and len(pages[-1]) + len(block) > ROOM:
                    pages.append("")
                if not place:
                    last_part = len(pages) - 1
                pages[-1] += ("\n\n" if pages[-1] else "") + block
        return pages, last_part

    def file(self) -> discord.File:
        """Its text to keep."""
        blocks = [self.title]
        for number, part in enumerate(self.parts, start=1):
            if len(self.parts) > 1:
                blocks.append(f"— {say('tale.part', part=number)} —")
            text = say("tale.missing") if part is None else f"{part.prompt}{part.text}"
            blocks.append(visible(text, lines=True).strip())
        blocks.append(f"{self.attribution}\n")
        data = io.BytesIO("\n\n".join(blocks).encode(errors="replace"))
        return discord.File(data, f"story-{self.last.id}.txt", description=say("tale.file"))

    @property
    def attribution(self) -> str:
        """Who told it."""
        if self.blind:
            return say("tale.blind")
        models = dict.fromkeys(part.model for part in self.parts if part is not None)
        return say("tale.told_by", models=", ".join(models))


async def tale_of(interaction: Interaction[Kataribe], story: Story) -> Tale:
    """Give a story with everything it follows, as far as the member may read it."""
    channels = viewer(interaction).channels
    services = interaction.client.services
    parts = await services.stories.thread(story, depth=PARTS)
    seen = [part if readable(interaction, part, channels) else None for part in parts]
    return Tale(seen, await services.browsing.is_blind(story))


def title_of(text: str, room: int) -> str:
    """The first words of a text, on one line of so many UTF-16 units."""
    line = " ".join(visible(text[: 20 * room]).split())
    kept = cut(line, room)
    return kept if kept == line else f"{kept}…"


def _opening(part: Story) -> tuple[str, str]:
    """What stands before the text in bold, and the text: as the story's own message has it."""
    prompt = part.prompt.strip()
    if not prompt:
        return "", part.text.strip()
    if length(part.prompt) <= TITLE and "\n" not in prompt:
        return f"**{escaped(prompt)}**", part.text.rstrip()
    return "", f"{part.prompt}{part.text}".strip()


def _pieces(text: str) -> list[str]:
    """The text in pieces that a page holds, cut between words; one, though it be empty."""
    pieces = []
    while units(text[: 2 * ROOM]) > ROOM:
        piece = cut(text[: 2 * ROOM], ROOM) or text[: ROOM // 2]
        pieces.append(piece)
        text = text[len(piece) :].lstrip()
    return [*pieces, text]
