"""The list of models, and how long it is waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bot.config import Stories
from bot.worker import catalogue
from bot.worker.catalogue import Catalogue
from bot.worker.completions import Completions, GeneratorDownError
from tests.bot.village import LONG, PATIENCE

if TYPE_CHECKING:
    from tests.bot.teller import Teller


async def test_a_question_that_stays_open_is_waited_for_once(
    tells: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = asyncio.Event()

    class Slow(Completions):
        async def models(self) -> list[str]:
            await answered.wait()
            return await super().models()

    async with Slow(tells.url, Stories(), request_timeout=60) as completions:
        models = Catalogue(completions)
        monkeypatch.setattr(catalogue, "PATIENCE", 0.01)
        with pytest.raises(GeneratorDownError):
            await models.models()
        monkeypatch.setattr(catalogue, "PATIENCE", LONG)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(GeneratorDownError):
                await models.check("gpt2-starter")
            answered.set()
            await models.refresh()
            assert await models.models() == tells.models
