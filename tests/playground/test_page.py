"""The page in a real browser: what a member sees and does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import expect

from bot.playground import Playground
from bot.playground.visitor import visit
from tests.playground.echo_bot import EchoBot, connected, soon

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

echoing = pytest.mark.usefixtures("echo_bot")


@pytest_asyncio.fixture(loop_scope="session")
async def playground() -> AsyncIterator[Playground]:
    async with Playground(port=0, deadline=30) as playground:
        yield playground


@pytest_asyncio.fixture(loop_scope="session")
async def echo_bot(playground: Playground) -> AsyncIterator[EchoBot]:
    async with connected(playground) as bot:
        yield bot


async def _write(page: Page, line: str) -> None:
    box = page.get_by_label("Message", exact=True)
    await box.fill(line)
    await box.press("Enter")


async def test_an_empty_channel_teaches_how_to_begin(playground: Playground, page: Page) -> None:
    await page.goto(playground.url)
    welcome = page.locator(".welcome")
    await expect(welcome).to_contain_text("No bot is connected yet")
    await expect(page.locator("#banner")).to_contain_text("Kataribe is offline")
    bot = EchoBot()

    @bot.tree.command(description="Ask for a story")
    async def story(_: object, prompt: str) -> None: ...

    async with connected(playground, bot):
        await expect(welcome).to_contain_text("Type /story to ask for a story")
        await expect(page.locator("#banner")).to_be_hidden()
        await page.locator("[data-try]").click()
        await expect(page.get_by_label("Message", exact=True)).to_have_value("/story In the year")


@echoing
async def test_a_typed_command_is_answered_live_and_its_buttons_work(
    playground: Playground, page: Page
) -> None:
    await page.goto(f"{playground.url}/?as=haru")
    await expect(page.locator(".welcome")).to_be_visible()
    await _write(page, "/echo In the year")
    message = page.locator("[data-message-id]")
    await expect(message.locator(".embed-description")).to_have_text("In the year")
    await expect(message.locator("[data-used='/echo']")).to_have_text("HHaru used /echo")
    await expect(message.locator(".tag")).to_have_text("APP")
    await expect(message.locator("[data-custom-id=off]")).to_be_disabled()
    await page.locator("[data-member=mika]").click()
    await message.locator("[data-custom-id=again]").click()
    await expect(message).to_contain_text("again, says Mika")
    await expect(message.locator(".edited")).to_be_visible()
    await message.get_by_label("Make a selection").select_option("lstm-starter")
    await expect(page.locator("[data-message-id]").last).to_contain_text("picked lstm-starter")


async def test_no_answer_in_time_is_said_to_the_member(page: Page) -> None:
    async with Playground(port=0, deadline=0.1) as playground, connected(playground):
        await page.goto(playground.url)
        await expect(page.locator(".welcome")).to_be_visible()
        await _write(page, "/slow")
        failed = page.locator("[data-notice=failed]")
        await expect(failed).to_contain_text("The application did not respond")
        await failed.locator("[data-dismiss]").click()
        await expect(page.locator("[data-notice]")).to_have_count(0)


async def test_the_bot_is_seen_to_think(
    playground: Playground, echo_bot: EchoBot, page: Page
) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await _write(page, "/slow")
    interaction = await soon(echo_bot.seen.get())
    await interaction.response.defer(thinking=True)
    await expect(page.locator("[data-loading]")).to_contain_text("Kataribe is thinking…")
    await interaction.edit_original_response(content="Here.")
    await expect(page.locator("[data-loading]")).to_have_count(0)
    await expect(page.locator("[data-message-id]")).to_contain_text("Here.")


@echoing
async def test_only_its_addressee_sees_an_ephemeral_answer(
    playground: Playground, page: Page
) -> None:
    await page.goto(f"{playground.url}/?as=haru")
    await expect(page.locator(".welcome")).to_be_visible()
    await _write(page, "/whisper psst")
    secret = page.locator("[data-ephemeral]")
    await expect(secret).to_contain_text("psst")
    await expect(secret).to_contain_text("Only you can see this · Dismiss message")
    await page.locator("[data-member=mika]").click()
    await expect(secret).to_have_count(0)
    await page.locator("[data-member=haru]").click()
    await secret.locator("[data-dismiss]").click()
    await expect(secret).to_have_count(0)


@echoing
async def test_commands_are_found_and_filled_in_with_the_keyboard(
    playground: Playground, page: Page
) -> None:
    await page.goto(f"{playground.url}/?as=aoi")
    box = page.get_by_label("Message", exact=True)
    await box.press_sequentially("/")
    names = page.locator("[data-command]")
    await expect(names).to_have_count(5)
    await box.press_sequentially("mod")
    await expect(names).to_have_count(1)
    await expect(names).to_contain_text("Choose who speaks")
    await box.press("Tab")
    form = page.locator("[data-form='model use']")
    await expect(form.locator("label[for=option-name]")).to_have_text("name *")
    await page.keyboard.press("Enter")
    await expect(form.get_by_role("alert")).to_have_text("Fill in name.")
    await page.keyboard.type("lstm")
    await expect(page.locator("[data-suggestion]")).to_have_text(["lstm-starter"])
    await page.keyboard.press("ArrowDown")
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
    await _write(page, "/model use")
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
    await _write(page, "/echo text:hello times:nine")
    form = page.locator("[data-form=echo]")
    await expect(form.get_by_role("alert")).to_have_text("times is a whole number.")
    await expect(form.locator("[data-option=times]")).to_be_focused()
    await expect(form.locator("[data-option=text]")).to_have_value("hello")
    await form.locator("[data-option=times]").fill("2")
    await form.locator("[data-run]").click()
    await expect(page.locator(".embed-description")).to_have_text("hello hello")


@echoing
async def test_a_modal_and_a_messages_menu(playground: Playground, page: Page) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await _write(page, "/echo hello")
    await page.locator("[data-custom-id=report]").click()
    modal = page.get_by_role("dialog")
    await expect(modal).to_contain_text("Report this")
    await modal.get_by_label("Reason").fill("too good")
    await modal.get_by_label("Kind").select_option("Rude")
    await modal.locator("[data-submit]").click()
    await expect(page.locator("[data-ephemeral]")).to_contain_text("Rude: too good")
    await _write(page, "a fine day")
    said = page.locator("[data-message-id]").last
    await expect(said).to_contain_text("a fine day")
    await said.hover()
    await said.locator("[data-more]").click()
    await page.get_by_role("menuitem", name="Quote").click()
    await expect(page.locator("blockquote")).to_have_text("a fine day")


async def test_nothing_in_a_message_becomes_markup(playground: Playground, page: Page) -> None:
    wicked = '<img src=x onerror="document.title=1"> [x](javascript:alert(1)) **<b>bold</b>**'
    async with visit(playground.url) as haru:
        await haru.say(wicked)
        await page.goto(playground.url)
        content = page.locator("[data-message-id] .content")
        await expect(content).to_contain_text('<img src=x onerror="document.title=1">')
        await expect(content.locator("strong")).to_have_text("<b>bold</b>")
        assert await content.locator("img, b, a, script").count() == 0
        await haru.say("||secret|| and `code` and\n> quoted\nhttps://a.example/b.")
        last = page.locator("[data-message-id] .content").last
        await expect(last.locator("a")).to_have_attribute("href", "https://a.example/b")
        await expect(last.locator("code")).to_have_text("code")
        await expect(last.locator("blockquote")).to_have_text("quoted")
        await expect(last.locator(".spoiler span")).to_be_hidden()
        await last.get_by_label("Spoiler").press("Enter")
        await expect(last.locator(".spoiler span")).to_be_visible()


async def test_the_page_comes_back_by_itself(playground: Playground, page: Page) -> None:
    await page.goto(f"{playground.url}/?as=mika&in=lounge")
    await expect(page.locator("#channel-name")).to_have_text("lounge")
    port = int(playground.url.rpartition(":")[2])
    await playground.__aexit__(None, None, None)
    await expect(page.locator("#banner")).to_contain_text("not reachable")
    async with Playground(port=port) as again:
        await expect(page.locator("#banner")).to_contain_text("Kataribe is offline")
        async with visit(again.url, channel="lounge") as haru:
            await haru.say("we are back")
            await expect(page.locator("[data-message-id]")).to_contain_text("we are back")
        await expect(page.locator("[data-member=mika]")).to_have_attribute("aria-checked", "true")


@echoing
async def test_a_phone_shows_everything_without_scrolling_sideways(
    playground: Playground, page: Page
) -> None:
    await page.set_viewport_size({"width": 360, "height": 640})
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await _write(page, f"/echo {'unbroken' * 12}")
    await expect(page.locator(".embed")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == 360
    list_ = page.locator("#messages")
    assert await list_.evaluate("node => node.scrollWidth <= node.clientWidth")
    channel = page.locator("[data-channel=lounge]")
    await expect(channel).not_to_be_in_viewport()
    await page.get_by_role("button", name="Channels and members").click()
    await channel.click()
    await expect(page.locator("#channel-name")).to_have_text("lounge")
    await expect(channel).not_to_be_in_viewport()
    await expect(page).to_have_url(re.compile("in=lounge"))


@echoing
async def test_a_long_channel_stays_where_one_reads(playground: Playground, page: Page) -> None:
    async with visit(playground.url) as haru:
        for number in range(40):
            await haru.say(f"line {number}")
        await page.goto(playground.url)
        last = page.locator("[data-message-id]").last
        await expect(last).to_be_in_viewport()
        first = page.locator("[data-message-id]").first
        await first.scroll_into_view_if_needed()
        await haru.say("the newest")
        await expect(page.get_by_role("button", name="New messages below")).to_be_visible()
        await expect(first).to_be_in_viewport()
        await page.get_by_role("button", name="New messages below").click()
        await expect(last).to_be_in_viewport()
        await expect(last).to_contain_text("the newest")
