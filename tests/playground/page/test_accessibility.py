"""The page without a mouse, without eyes, and in other colours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.async_api import expect

from tests.playground.page.box import write

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from bot.playground import Playground
    from tests.playground.echo_bot import EchoBot

echoing = pytest.mark.usefixtures("echo_bot")


@echoing
async def test_a_screen_reader_is_led_through_suggestions(
    playground: Playground, page: Page
) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    box = page.get_by_role("combobox", name="Message")
    await box.press_sequentially("/")
    await expect(box).to_have_attribute("aria-expanded", "true")
    await box.press("ArrowDown")
    await _expect_marked(page, box, "/echo text times voice")
    await box.fill("/story")
    await box.press("Enter")
    prompt = page.get_by_role("combobox", name="prompt")
    await _expect_marked(page, prompt, "Surprise me")
    await expect(prompt).to_have_attribute("aria-expanded", "true")
    await prompt.press("ArrowUp")
    await _expect_marked(page, prompt, "On the last day of summer")
    await prompt.press("Escape")
    await expect(prompt).to_have_attribute("aria-expanded", "false")
    assert await prompt.get_attribute("aria-activedescendant") is None


async def _expect_marked(page: Page, box: Locator, text: str) -> None:
    """The option that the box names as its active one, in the list that it controls."""
    list_ = page.locator(f"#{await box.get_attribute('aria-controls')}")
    await expect(list_).to_have_role("listbox")
    option = list_.locator("[role=option][aria-selected=true]")
    await expect(option).to_contain_text(text)
    await expect(box).to_have_attribute(
        "aria-activedescendant", str(await option.get_attribute("id"))
    )


async def test_a_story_is_announced_once_and_whole(
    playground: Playground, echo_bot: EchoBot, page: Page
) -> None:
    await page.clock.install()
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))
    log, said = page.get_by_role("log"), page.get_by_role("status").locator("p")
    await expect(log).to_have_attribute("aria-live", "off")
    await write(page, "/story Long ago")
    for word in ("there", "was", "a", "fox."):
        echo_bot.words.put_nowait(word)
        await expect(log.locator(".embed-description")).to_contain_text(word)
    await expect(said).to_have_text(["Kataribe: Long ago"])
    echo_bot.words.put_nowait("")
    await expect(said).to_have_text(["Kataribe: Long ago", "Kataribe: Long ago there was a fox."])
    await page.clock.run_for(60_000)
    await expect(said).to_have_count(2)


async def test_what_changed_and_then_rests_is_announced(
    playground: Playground, echo_bot: EchoBot, page: Page
) -> None:
    await page.clock.install()
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))
    said = page.get_by_role("status").locator("p")
    await write(page, "/story Place 2")
    echo_bot.words.put_nowait("of 3")
    await expect(page.locator(".embed-description")).to_have_text("Place 2 of 3")
    await expect(said).to_have_text(["Kataribe: Place 2"])
    await page.clock.run_for(60_000)
    await expect(said).to_have_text(["Kataribe: Place 2", "Kataribe: Place 2 of 3"])
    echo_bot.words.put_nowait("")


async def test_the_focus_stays_while_a_message_changes(
    playground: Playground, echo_bot: EchoBot, page: Page
) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await write(page, "/story Long")
    button = page.locator("[data-custom-id='call off']")
    await button.focus()
    echo_bot.words.put_nowait("ago")
    await expect(page.locator(".embed-description")).to_have_text("Long ago")
    await expect(button).to_be_focused()
    echo_bot.words.put_nowait("")
    await expect(page.locator("[data-custom-id=again]")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-message-id]")).to_contain_text("again, says Aoi")
    await expect(page.locator("[data-custom-id=again]")).to_be_focused()


CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const pixel = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const linear = rgb.map((c) => c / 255).map((c) =>
      c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const found = {};
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const faint = node.closest("[aria-hidden=true], :disabled, .offline, .visually-hidden, .skip");
    if (!walker.currentNode.data.trim() || faint || !node.checkVisibility()) continue;
    const grounds = [];
    for (let at = node; at; at = at.parentElement)
      grounds.unshift(getComputedStyle(at).backgroundColor);
    const [one, other] = [pixel(grounds), pixel([...grounds, getComputedStyle(node).color])]
      .map(luminance).sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < 4.5) found[node.textContent.slice(0, 30)] = contrast;
  }
  return found;
}"""
"""The texts that one can hardly read, with their contrast (WCAG 2.2's 1.4.3: at least 4.5)."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_can_be_read_in_both_themes(
    playground: Playground, echo_bot: EchoBot, page: Page, scheme: Literal["light", "dark"]
) -> None:
    await page.emulate_media(color_scheme=scheme)
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    assert await page.evaluate(CONTRASTS) == {}
    await write(page, f"**hello** <@{playground.world.bot.id}> `code` https://a.example\n> quoted")
    await write(page, "/story Once")
    echo_bot.words.put_nowait("")
    await page.locator("[data-custom-id=whisper]").click()
    await expect(page.locator("[data-ephemeral]")).to_be_visible()
    await page.get_by_label("Message", exact=True).fill("/")
    await expect(page.locator("[data-command]")).to_have_count(6)
    assert await page.evaluate(CONTRASTS) == {}
    await write(page, "/story")
    await expect(page.locator("[data-suggestion]")).to_have_count(3)
    assert await page.evaluate(CONTRASTS) == {}
    ground = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


@echoing
async def test_in_forced_colours_one_sees_what_is_marked(
    playground: Playground, page: Page
) -> None:
    await page.emulate_media(forced_colors="active")
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await page.get_by_label("Message", exact=True).fill("/")
    grounds = [
        await page.locator(f"[role=option][aria-selected={marked}]").first.evaluate(
            "node => getComputedStyle(node).backgroundColor"
        )
        for marked in ("true", "false")
    ]
    assert grounds[0] != grounds[1]
