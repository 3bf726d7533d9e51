"""Of two presses in /settings the newer one says what stands there, whoever is answered first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bot.messages.settings_newest import KEPT, NewestPages
from bot.messages.settings_page import Page
from tests.bot.test_settings import chosen, control, opened, texts
from tests.bot.world import world

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_page_that_was_pressed_last_stands_there_whoever_is_answered_first() -> None:
    pages = NewestPages()
    # The press of a menu of the first page takes long to save; another page is turned to meanwhile.
    async with pages.turned(1, 20, Page.LIMITS) as page:
        assert page is Page.LIMITS
        late = asyncio.create_task(_turned(pages, 10, Page.PLACES))
        newer = asyncio.create_task(_turned(pages, 30, Page.WORDS))
        await asyncio.sleep(0)
    assert [await late, await newer] == [Page.WORDS, Page.WORDS]
    for message_id in range(2, KEPT + 2):
        async with pages.turned(message_id, 5, Page.DAILY):
            pass
    # Of what was pressed long ago nothing is remembered.
    assert await _turned(pages, 1, Page.PLACES) is Page.PLACES


async def _turned(pages: NewestPages, press_id: int, page: Page) -> Page:
    async with pages.turned(1, press_id, page) as newest:
        return newest


async def test_a_late_answer_shows_the_page_that_was_turned_to_since(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        message = await opened(w)
        far = 2**62  # a press that is newer than any that SimCord has
        async with w.services.newest_pages.turned(message.id, far, Page.WORDS):
            pass
        await w.mod.select(message, ["ja"], custom_id=control("language"))
        assert (await chosen(w)).language == "ja"
        assert "Learning from ratings" in texts(message)
