"""Which page of `/settings` was asked for last, though the answers may come in another order."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.messages.settings_page import Page

KEPT = 1000
"""Messages with settings that are remembered: the latest that were pressed."""


@dataclass(slots=True)
class _Message:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    press_id: int = -1
    page: Page | None = None


class NewestPages:
    """The latest press on a message says which page stands there, whoever is answered last."""

    def __init__(self) -> None:
        self._messages: OrderedDict[int, _Message] = OrderedDict()

    @asynccontextmanager
    async def turned(self, message_id: int, press_id: int, page: Page) -> AsyncIterator[Page]:
        """Give the page to be drawn; no other answer draws the message meanwhile.

        Args:
            message_id: What was pressed.
            press_id: The interaction; they grow with time.
            page: The page that it is for.
        """
        message = self._messages.pop(message_id, None) or _Message()
        self._messages[message_id] = message
        if len(self._messages) > KEPT:
            self._messages.popitem(last=False)
        if press_id > message.press_id:
            message.press_id, message.page = press_id, page
        async with message.lock:
            yield message.page or page
