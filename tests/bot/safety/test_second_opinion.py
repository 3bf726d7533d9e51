"""The library is asked beside the event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bot.safety import second_opinion
from bot.safety.second_opinion import objects_to
from tests.bot.texts import TIRING


async def test_it_objects_in_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await objects_to("a sh!tty tale")
    assert not await objects_to("The demon king was killed in the bath house.")
    monkeypatch.setattr(second_opinion, "library_objects_to", lambda _: threading.get_ident())
    where = await asyncio.gather(*(objects_to("x") for _ in range(3)))
    assert len(set(where)) == 1
    assert where[0] != threading.get_ident()


@pytest.mark.parametrize("part", [*TIRING, "f.", "f*", "&amp;", "1l", "f u "])
async def test_it_answers_in_time_that_grows_with_the_text(part: str) -> None:
    await objects_to(part * (20_000 // len(part)))
