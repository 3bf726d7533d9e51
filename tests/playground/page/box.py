"""The box that one writes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Page


async def write(page: Page, line: str) -> None:
    """Write a line and press Enter."""
    box = page.get_by_label("Message", exact=True)
    await box.fill(line)
    await box.press("Enter")
