"""What one clicks and looks for in the village's channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.async_api import expect

from tests.playground.page.box import write

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page


async def enter(page: Page, address: str, member: str, channel: str = "stories") -> None:
    """Come as a member; of what only they see nothing is left from before."""
    await page.goto(f"{address}/?as={member}&in={channel}")
    await expect(page.locator(f"[data-member={member}]")).to_have_attribute("aria-checked", "true")


async def message(page: Page, text: str) -> Locator:
    """The newest message for all with some words in it; it stays this one as others come."""
    found = page.locator("[data-message-id]:not([data-ephemeral])", has_text=text).last
    await expect(found).to_be_visible()
    return page.locator(f"[data-message-id='{await found.get_attribute('data-message-id')}']")


def button(within: Locator, name: str) -> Locator:
    """A button of a message."""
    return within.locator(".components").get_by_role("button", name=name, exact=True)


def answer(page: Page) -> Locator:
    """The newest message that only who is here sees."""
    return page.locator("[data-ephemeral]").last


async def hear(page: Page, prompt: str, more: str = "") -> Locator:
    """Ask for a story; gives its message when it is told."""
    await write(page, f"/story {prompt} {more}".strip())
    story = await message(page, prompt)
    await expect(button(story, "Continue")).to_be_visible()
    return story


async def submit(page: Page, words: str) -> None:
    """Fill in the form that is open, and send it."""
    form = page.locator("[data-modal]")
    await form.locator("[data-input]").first.fill(words)
    await form.locator("[data-submit]").click()
    await expect(form).to_be_hidden()
