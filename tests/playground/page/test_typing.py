"""What one writes: messages, commands, their options, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from bot.playground import Playground
from tests.playground.echo_bot import EchoBot, connected
from tests.playground.page.box import write

if TYPE_CHECKING:
    from playwright.async_api import Page

echoing = pytest.mark.usefixtures("echo_bot")


async def test_a_story_is_asked_for_by_typing_its_beginning_after_the_command(
    playground: Playground, echo_bot: EchoBot, page: Page
) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await write(page, "/Story In the year")
    await expect(page.locator(".embed-description")).to_have_text("In the year")
    echo_bot.words.put_nowait("")


@pytest.mark.parametrize("key", ["Enter", "Tab"])
async def test_the_first_suggestion_is_marked_and_taken(
    playground: Playground, echo_bot: EchoBot, page: Page, key: str
) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await write(page, "/story")
    prompt = page.locator("[data-option=prompt]")
    marked = page.locator("[data-suggestion][aria-selected=true]")
    await expect(marked).to_have_text("Surprise me")
    await page.keyboard.press(key)
    await expect(prompt).to_have_value("Surprise me")
    await expect(page.locator("[data-suggestion]")).to_have_count(0)
    await page.keyboard.press("Enter" if key == "Enter" else "Tab")
    await page.locator("[data-run]").press("Enter") if key == "Tab" else None
    await expect(page.locator(".embed-description")).to_have_text("Surprise me")
    echo_bot.words.put_nowait("")


async def test_free_text_is_sent_though_suggestions_fit_it(
    playground: Playground, echo_bot: EchoBot, page: Page
) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await write(page, "/story")
    await expect(page.locator("[data-suggestion]")).to_have_count(3)
    await page.keyboard.type("In the year")
    await expect(page.locator("[data-suggestion][aria-selected=true]")).to_have_text("In the year")
    await expect(page.locator("[data-suggestion]")).to_have_count(2)
    await page.keyboard.press("Enter")
    await expect(page.locator(".embed-description")).to_have_text("In the year")
    echo_bot.words.put_nowait("")


async def test_what_the_bot_has_not_answered_yet_is_not_taken_for_the_typed_text(
    playground: Playground, echo_bot: EchoBot, page: Page
) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await write(page, "/story")
    await expect(page.locator("[data-suggestion]")).to_have_count(3)
    echo_bot.let_suggest.clear()
    await page.keyboard.type("In the year")
    await expect(page.locator("[data-suggestion]")).to_have_text("In the year of the comet")
    await page.keyboard.press("Enter")
    await expect(page.locator(".embed-description")).to_have_text("In the year")
    echo_bot.let_suggest.set()
    echo_bot.words.put_nowait("")


async def test_what_is_written_while_the_bot_is_away_is_kept_and_sent_when_it_is_back(
    playground: Playground, page: Page
) -> None:
    box = page.get_by_label("Message", exact=True)
    async with connected(playground):
        await page.goto(playground.url)
        await expect(page.locator(".welcome")).to_be_visible()
    await expect(page.locator("#banner")).to_contain_text("offline")
    await write(page, "/whisper kept")
    await expect(page.locator("[data-notice=failed]")).to_contain_text("No bot is connected")
    await expect(box).to_have_value("/whisper kept")
    async with connected(playground):
        await expect(page.locator("#banner")).to_be_hidden()
        await box.press("Enter")
        await expect(page.locator("[data-ephemeral]")).to_contain_text("kept")
    await expect(box).to_have_value("")


async def test_a_form_outlives_the_bot_and_the_playground(
    playground: Playground, page: Page
) -> None:
    async with connected(playground):
        await page.goto(playground.url)
        await expect(page.locator(".welcome")).to_be_visible()
        await write(page, "/whisper")
    text = page.locator("[data-option=text]")
    await text.fill("not lost")
    await text.press("Enter")
    alert = page.locator("[data-form]").get_by_role("alert")
    await expect(alert).to_contain_text("No bot is connected")
    await expect(text).to_have_value("not lost")
    port = int(playground.url.rpartition(":")[2])
    await playground.__aexit__(None, None, None)
    await expect(page.locator("#banner")).to_contain_text("not reachable")
    async with Playground(port=port, deadline=30) as again, connected(again):
        await expect(page.locator("#banner")).to_be_hidden()
        await expect(text).to_have_value("not lost")


async def test_a_message_that_is_refused_stays_in_its_box_with_the_reason(
    playground: Playground, page: Page
) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await playground.__aexit__(None, None, None)
    await expect(page.locator("#banner")).to_contain_text("not reachable")
    await write(page, "hello")
    await expect(page.locator("#refused")).to_contain_text("no connection")
    await expect(page.get_by_label("Message", exact=True)).to_have_value("hello")


@echoing
async def test_commands_are_found_and_filled_in_with_the_keyboard(
    playground: Playground, page: Page
) -> None:
    await page.goto(f"{playground.url}/?as=aoi")
    box = page.get_by_label("Message", exact=True)
    await box.press_sequentially("/")
    names = page.locator("[data-command]")
    await expect(names).to_have_count(6)
    await box.press_sequentially("mod")
    await expect(names).to_have_count(1)
    await expect(names).to_contain_text("Choose who speaks")
    await box.press("Tab")
    form = page.locator("[data-form='model use']")
    await expect(form.locator("label[for=option-name]")).to_have_text("name *")
    await expect(page.locator("[data-suggestion]")).to_have_count(2)
    await form.locator("[data-run]").click()
    await expect(form.get_by_role("alert")).to_have_text("Fill in name.")
    await page.keyboard.type("lstm")
    await expect(page.locator("[data-suggestion][aria-selected=true]")).to_have_text("lstm-starter")
    await page.keyboard.press("Enter")
    await expect(form.locator("[data-option=name]")).to_have_value("lstm-starter")
    await form.locator("[data-option=where]").select_option("#lounge")
    await form.locator("[data-run]").press("Enter")
    await expect(page.locator("[data-ephemeral]")).to_contain_text("lstm-starter speaks #lounge")
    await expect(box).to_be_focused()


async def test_a_late_suggestion_leaves_the_marked_one_marked(
    playground: Playground, echo_bot: EchoBot, page: Page
) -> None:
    await page.goto(f"{playground.url}/?as=aoi")
    await expect(page.locator(".welcome")).to_be_visible()
    await write(page, "/model use")
    suggestions = page.locator("[data-suggestion]")
    await expect(suggestions).to_have_count(2)
    echo_bot.let_suggest.clear()
    await page.keyboard.type("lstm")
    await expect(suggestions).to_have_text(["lstm-starter"])
    await page.keyboard.press("ArrowDown")
    await suggestions.evaluate("node => (node.dataset.early = '')")
    echo_bot.let_suggest.set()
    await expect(page.locator("[data-early]")).to_have_count(0)
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-option=name]")).to_have_value("lstm-starter")


async def test_what_is_no_command_stays_in_its_box_and_is_told_why(
    playground: Playground, page: Page
) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    box = page.get_by_label("Message", exact=True)
    await box.fill("/story In the year")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.get_by_text("No commands yet")).to_be_visible()
    await expect(box).to_have_value("/story In the year")


@echoing
async def test_moderators_commands_are_hidden_from_others(
    playground: Playground, page: Page
) -> None:
    await page.goto(f"{playground.url}/?as=haru")
    await page.get_by_label("Show the commands").click()
    await expect(page.locator("[data-command='echo']")).to_be_visible()
    await expect(page.locator("[data-command='model use']")).to_have_count(0)


@echoing
async def test_a_wrong_option_is_shown_in_its_field(playground: Playground, page: Page) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await write(page, "/echo text:hello times:nine")
    form = page.locator("[data-form=echo]")
    await expect(form.get_by_role("alert")).to_have_text("times is a whole number.")
    await expect(form.locator("[data-option=times]")).to_be_focused()
    await expect(form.locator("[data-option=text]")).to_have_value("hello")
    await form.locator("[data-option=times]").fill("2")
    await form.locator("[data-run]").click()
    await expect(page.locator(".embed-description")).to_have_text("hello hello")
