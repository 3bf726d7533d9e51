"""/story as members meet it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.catalogue import UnknownModelError
from bot.moderation import PromptRefusedError
from bot.openings import OPENINGS
from bot.queue import QueueFullError
from tests.bot.world import footer, labels, page, world

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_story_is_told_from_the_members_words(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await w.story(prompt="In the year")
        assert page(message) == "**In the year** a fox found the moon."
        assert footer(message).startswith("gpt2-starter · seed ")
        assert footer(message).endswith(" · 8 words")
        assert labels(message) == ["1 ★", "2 ★", "3 ★", "4 ★", "5 ★", "Again", "Continue"]
