"""The page in a real browser: what a member sees and does."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import pytest
import pytest_asyncio
from playwright.async_api import expect

from bot.playground import Playground
from bot.playground.messages import Message
from bot.playground.snowflakes import EPOCH_MS
from bot.playground.visitor import visit
from tests.playground.echo_bot import EchoBot, connected, soon

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Locator, Page

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
    await secret.locator("[data-dismiss]").click()
    await expect(secret).to_have_count(0)
    await _write(page, "/whisper again")
    await page.locator("[data-member=mika]").click()
    await expect(page.locator(".welcome")).to_be_visible()
    await expect(secret).to_have_count(0)


@echoing
async def test_an_ephemeral_answer_is_gone_after_a_reload(
    playground: Playground, page: Page
) -> None:
    await page.goto(f"{playground.url}/?as=haru")
    await expect(page.locator(".welcome")).to_be_visible()
    await _write(page, "/whisper psst")
    await expect(page.locator("[data-ephemeral]")).to_contain_text("psst")
    await _write(page, "for all")
    await expect(page.locator("[data-message-id]")).to_have_count(2)
    await page.reload()
    await expect(page.locator("[data-message-id]")).to_contain_text(["for all"])
    await expect(page.locator("[data-ephemeral]")).to_have_count(0)


async def test_a_story_is_asked_for_by_typing_its_beginning_after_the_command(
    playground: Playground, echo_bot: EchoBot, page: Page
) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await _write(page, "/Story In the year")
    await expect(page.locator(".embed-description")).to_have_text("In the year")
    echo_bot.words.put_nowait("")


@pytest.mark.parametrize("key", ["Enter", "Tab"])
async def test_the_first_suggestion_is_marked_and_taken(
    playground: Playground, echo_bot: EchoBot, page: Page, key: str
) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await _write(page, "/story")
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
    await _write(page, "/story")
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
    await _write(page, "/story")
    await expect(page.locator("[data-suggestion]")).to_have_count(3)
    echo_bot.let_suggest.clear()
    await page.keyboard.type("In the year")
    await expect(page.locator("[data-suggestion]")).to_have_text("In the year of the comet")
    await page.keyboard.press("Enter")
    await expect(page.locator(".embed-description")).to_have_text("In the year")
    echo_bot.let_suggest.set()
    echo_bot.words.put_nowait("")


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
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    log, said = page.get_by_role("log"), page.get_by_role("status").locator("p")
    await expect(log).to_have_attribute("aria-live", "off")
    await _write(page, "/story Long ago")
    for word in ("there", "was", "a", "fox."):
        echo_bot.words.put_nowait(word)
        await expect(log.locator(".embed-description")).to_contain_text(word)
    await expect(said).to_have_text(["Kataribe: Long ago"])
    echo_bot.words.put_nowait("")
    await expect(said).to_have_text(["Kataribe: Long ago", "Kataribe: Long ago there was a fox."])
    await page.locator("[data-custom-id=again]").click()
    await expect(log).to_contain_text("again, says Aoi")
    await expect(said).to_have_count(2)


async def test_the_focus_stays_while_a_message_changes(
    playground: Playground, echo_bot: EchoBot, page: Page
) -> None:
    await page.goto(playground.url)
    await expect(page.locator(".welcome")).to_be_visible()
    await _write(page, "/story Long")
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


async def test_what_is_written_while_the_bot_is_away_is_kept_and_sent_when_it_is_back(
    playground: Playground, page: Page
) -> None:
    box = page.get_by_label("Message", exact=True)
    async with connected(playground):
        await page.goto(playground.url)
        await expect(page.locator(".welcome")).to_be_visible()
    await expect(page.locator("#banner")).to_contain_text("offline")
    await _write(page, "/whisper kept")
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
        await _write(page, "/whisper")
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
    await _write(page, "hello")
    await expect(page.locator("#refused")).to_contain_text("no connection")
    await expect(page.get_by_label("Message", exact=True)).to_have_value("hello")


async def test_a_mention_shows_the_name_that_one_goes_by(
    playground: Playground, page: Page
) -> None:
    async with visit(playground.url) as haru:
        await haru.say(f"hello <@{playground.world.players[0].user.id}>")
    await page.goto(playground.url)
    await expect(page.locator(".content .mention")).to_have_text("@Aoi")


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
    await _write(page, f"**hello** <@{playground.world.bot.id}> `code` https://a.example\n> quoted")
    await _write(page, "/story Once")
    echo_bot.words.put_nowait("")
    await page.locator("[data-custom-id=whisper]").click()
    await expect(page.locator("[data-ephemeral]")).to_be_visible()
    await page.get_by_label("Message", exact=True).fill("/")
    await expect(page.locator("[data-command]")).to_have_count(6)
    assert await page.evaluate(CONTRASTS) == {}
    await _write(page, "/story")
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
