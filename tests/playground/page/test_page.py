"""The page in a real browser: what a member sees and does."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from bot.playground import Playground
from bot.playground.messages import Message
from bot.playground.snowflakes import EPOCH_MS
from bot.playground.visitor import visit
from tests.playground.echo_bot import EchoBot, connected, soon
from tests.playground.page.box import write

if TYPE_CHECKING:
    from playwright.async_api import Page

echoing = pytest.mark.usefixtures("echo_bot")


async def test_an_empty_channel_teaches_how_to_begin(playground: Playground, page: Page) -> None:
    await page.goto(playground.url)
    welcome = page.locator(".welcome")
    await expect(welcome).to_contain_text("No bot is connected yet")
    await expect(page.locator("#banner")).to_contain_text("Kataribe is offline")
    async with connected(playground):
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
    await write(page, "/echo In the year")
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
        await write(page, "/slow")
        failed = page.locator("[data-notice=failed]")
        await expect(failed).to_contain_text("The application did not respond")
        await failed.locator("[data-dismiss]").click()
        await expect(page.locator("[data-notice]")).to_have_count(0)


async def test_the_bot_is_seen_to_think(
    playground: Playground, echo_bot: EchoBot, page: Page
) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await write(page, "/slow")
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
    await write(page, "/whisper psst")
    secret = page.locator("[data-ephemeral]")
    await expect(secret).to_contain_text("psst")
    await expect(secret).to_contain_text("Only you can see this · Dismiss message")
    await secret.locator("[data-dismiss]").click()
    await expect(secret).to_have_count(0)
    await expect(page.get_by_role("log")).to_be_focused()
    await write(page, "/whisper again")
    await page.locator("[data-member=mika]").click()
    await expect(page.locator(".welcome")).to_be_visible()
    await expect(secret).to_have_count(0)


@echoing
async def test_an_ephemeral_answer_is_gone_after_a_reload(
    playground: Playground, page: Page
) -> None:
    await page.goto(f"{playground.url}/?as=haru")
    await expect(page.locator(".welcome")).to_be_visible()
    await write(page, "/whisper psst")
    await expect(page.locator("[data-ephemeral]")).to_contain_text("psst")
    await write(page, "for all")
    await expect(page.locator("[data-message-id]")).to_have_count(2)
    await page.reload()
    await expect(page.locator("[data-message-id]")).to_contain_text(["for all"])
    await expect(page.locator("[data-ephemeral]")).to_have_count(0)


async def test_a_mention_shows_the_name_that_one_goes_by(
    playground: Playground, page: Page
) -> None:
    async with visit(playground.url) as haru:
        await haru.say(f"hello <@{playground.world.players[0].user.id}>")
    await page.goto(playground.url)
    await expect(page.locator(".content .mention")).to_have_text("@Aoi")


async def test_an_escaped_mark_is_shown_without_its_backslash(
    playground: Playground, page: Page
) -> None:
    async with visit(playground.url) as haru:
        await haru.say(r"**1\. one** \-\# \*two\* \three")
    await page.goto(playground.url)
    shown = page.locator("[data-message-id] .content")
    await expect(shown).to_have_text(r"1. one -# *two* \three")


async def test_the_bot_hears_in_which_language_the_page_is_read(
    playground: Playground, echo_bot: EchoBot, page: Page
) -> None:
    browser = page.context.browser
    assert browser is not None
    for browsers, asked, heard in (
        ("ja", "", "ja"),
        ("zh-Hans-CN", "", "zh-CN"),
        ("ja", "fr", "fr"),
    ):
        tab = await browser.new_page(locale=browsers)
        await tab.goto(f"{playground.url}/?speak={asked}" if asked else playground.url)
        await expect(tab.locator(".welcome")).to_be_visible()
        await write(tab, "/slow")
        interaction = await soon(echo_bot.seen.get())
        assert str(interaction.locale) == heard
        await interaction.response.send_message("Here.", ephemeral=True)
        await tab.close()


async def test_days_are_divided(playground: Playground, page: Page) -> None:
    channel, haru = next(iter(playground.world.channels)), playground.world.players[1].user
    for day in (1, 1, 2, 4):
        moment = datetime(2026, 3, day, 12, tzinfo=UTC)
        sequence = len(list(playground.messages.history(channel)))
        milliseconds = int(moment.timestamp() * 1000) - EPOCH_MS
        message = Message((milliseconds << 22) + sequence, channel, haru, content=f"day {day}")
        playground.messages.restore(message)
    await page.goto(playground.url)
    await expect(page.get_by_role("separator")).to_have_text(["March 2, 2026", "March 4, 2026"])
    rows = page.locator("#messages li")
    await expect(rows.nth(2)).to_have_text("March 2, 2026")


@echoing
async def test_a_modal_and_a_messages_menu(playground: Playground, page: Page) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await write(page, "/echo hello")
    await page.locator("[data-custom-id=report]").click()
    modal = page.get_by_role("dialog")
    await expect(modal).to_contain_text("Report this")
    await modal.get_by_label("Reason").fill("too good")
    await modal.get_by_label("Kind").select_option("Rude")
    await modal.locator("[data-submit]").click()
    await expect(page.locator("[data-ephemeral]")).to_contain_text("Rude: too good")
    await write(page, "a fine day")
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
    await write(page, f"/echo {'unbroken' * 12}")
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
