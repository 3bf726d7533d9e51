"""The village by clicks: what a member, a moderator and the host do all day, and what they see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest_asyncio
from playwright.async_api import expect

from tests.bot.teller import teller
from tests.playground.page.box import write
from tests.running import running_bot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest
    from playwright.async_api import Locator, Page, ViewportSize

PHONE: ViewportSize = {"width": 390, "height": 844}
AT_ONCE = {"STORIES__WORDS_PER_SECOND": "0", "STORIES__EDIT_INTERVAL": "0.2"}
METRICS = """\
kataribe_tokens_total{kind="completion",model="gpt2-starter"} 100.0
kataribe_slots_in_use{model="gpt2-starter"} 0.0
kataribe_model_bytes{model="gpt2-starter"} 3.52e+08
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def village(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Where the page of a bot is whose storyteller tells everybody the same at once."""
    async with teller() as tells:
        tells.metrics = METRICS
        folder = tmp_path_factory.mktemp("village")
        async with running_bot(folder, GENERATOR__URL=tells.url, **AT_ONCE) as bot:
            yield bot.address


async def _enter(page: Page, village: str, member: str) -> None:
    """Come as a member; of what only they see nothing is left from before."""
    await page.goto(f"{village}/?as={member}")
    await expect(page.locator(f"[data-member={member}]")).to_have_attribute("aria-checked", "true")


async def _message(page: Page, text: str) -> Locator:
    """The newest message for all with some words in it; it stays this one as others come."""
    message = page.locator("[data-message-id]:not([data-ephemeral])", has_text=text).last
    await expect(message).to_be_visible()
    return page.locator(f"[data-message-id='{await message.get_attribute('data-message-id')}']")


def _button(message: Locator, name: str) -> Locator:
    return message.locator(".components").get_by_role("button", name=name, exact=True)


def _answer(page: Page) -> Locator:
    """The newest message that only who is here sees."""
    return page.locator("[data-ephemeral]").last


async def _hear(page: Page, prompt: str, more: str = "") -> Locator:
    """Ask for a story; gives its message when it is told."""
    await write(page, f"/story {prompt} {more}".strip())
    story = await _message(page, f"{prompt} a fox")
    await expect(_button(story, "Continue")).to_be_visible()
    return story


async def _submit(page: Page, words: str) -> None:
    form = page.locator("[data-modal]")
    await form.locator("[data-input]").first.fill(words)
    await form.locator("[data-submit]").click()
    await expect(form).to_be_hidden()


async def test_a_member_has_all_of_theirs_deleted(village: str, page: Page) -> None:
    await _enter(page, village, "mika")
    story = await _hear(page, "A letter nobody sent")
    await write(page, "/privacy")
    await _button(_answer(page), "Delete all of mine").click()
    await expect(_answer(page)).to_contain_text("Delete all of yours?")
    await _button(_answer(page), "Remove their words too").click()
    await expect(_answer(page)).to_contain_text("nothing here is yours any more")
    await expect(story).to_contain_text("Who asked for this story has deleted it.")
    await expect(story).not_to_contain_text("A letter")


async def test_a_member_hears_a_story_and_goes_on_with_it_on_a_phone(
    village: str, page: Page
) -> None:
    await page.set_viewport_size(PHONE)
    await _enter(page, village, "haru")
    story = await _hear(page, "Once at sea", "model:lstm-starter mood:calm length:short seed:7")
    await expect(story).to_contain_text("Once at sea a fox found the moon.")
    await expect(story).to_contain_text("lstm-starter · seed 7 · 8 words")
    for button in await story.locator(".components button").all():
        box = await button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44, "smaller than a thumb"
    await _button(story, "5 ★").click()
    await expect(_answer(page)).to_contain_text("That is your own story.")

    await _enter(page, village, "mika")
    await _button(story, "4 ★").click()
    await expect(_answer(page)).to_contain_text("★★★★☆ from you.")
    await expect(story).to_contain_text("★ 4.0 from 1 vote")

    await _button(story, "Continue").click()
    second = await _message(page, "Part 2 of Once at sea")
    await expect(second).to_contain_text("Mika hears what happens next")
    await _button(second, "My turn").click()
    await _submit(page, "But the moon was hers.")
    third = await _message(page, "Part 3 of Once at sea")
    await expect(third).to_contain_text("goes on in their own words")
    await expect(third).to_contain_text("But the moon was hers. a fox found the moon.")

    await _button(third, "Variations").click()
    several = await _message(page, "looks for a way to go on")
    await expect(_button(several, "Go on from 3")).to_be_visible()
    await _button(several, "Go on from 2").click()
    await _message(page, "Part 5 of Once at sea")
    assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


async def test_a_member_reads_a_story_again_and_has_its_picture(village: str, page: Page) -> None:
    await _enter(page, village, "haru")
    story = await _hear(page, "Behind the mill")
    await _button(story, "⋯").click()
    await expect(_answer(page)).to_contain_text("Asked for by@Haru")
    await expect(_answer(page)).to_contain_text("8 words")
    await _button(_answer(page), "Read from the beginning").click()
    await expect(_answer(page)).to_contain_text("Behind the mill a fox found the moon.")
    await expect(_answer(page).locator(".file")).to_contain_text(".txt")
    await _button(_answer(page), "Share as a picture").click()
    picture = _answer(page).get_by_alt_text("A card with the story “Behind the mill”.")
    await expect(picture).to_have_js_property("naturalWidth", 1000)
    await _button(_answer(page), "Post it here").click()
    shared = await _message(page, "@Haru shares a story")
    await expect(shared.get_by_role("img", name="Behind the mill")).to_be_visible()


async def test_two_tellers_are_voted_on_blind_and_named_at_the_end(
    village: str, page: Page
) -> None:
    await _enter(page, village, "haru")
    await write(page, "/duel The last lantern")
    duel = await _message(page, "which is better?")
    await expect(_button(duel, "Tie")).to_be_visible()
    await expect(duel).not_to_contain_text("starter")
    await _button(duel, "A").click()
    await expect(_answer(page)).to_contain_text(re.compile(r"You chose A. A is \S+-starter"))
    await expect(duel).to_contain_text("Votes: 1")
    await _button(duel, "Close").click()
    await expect(duel).to_contain_text(re.compile(r"A \S+-starter: 1 · B \S+-starter: 0 · tie: 0"))

    await write(page, "/contrast Far from home")
    contrast = await _message(page, "hears it told by two kinds of storytellers")
    for kind in ("gpt2-starter", "lstm-starter"):
        await expect(contrast).to_contain_text(f"{kind} · seed")


async def test_a_member_looks_round_the_village(village: str, page: Page) -> None:
    await page.set_viewport_size(PHONE)
    await _enter(page, village, "haru")
    await _hear(page, "Under the bridge")
    for line, seen in (
        ("/stories top", "The best of this week"),
        ("/stories new", "Under the bridge"),
        ("/openings list", "This server's beginnings"),
    ):
        await write(page, line)
        await expect(_answer(page)).to_contain_text(seen)
    for line, title in (("/ranking", "Who tells best"), ("/stats", "The village's month")):
        await write(page, line)
        await _message(page, title)
    chart = (await _message(page, "The village's month")).get_by_role("img")
    await expect(chart).to_have_js_property("naturalWidth", 1000)
    assert await chart.get_attribute("alt")

    await write(page, "/help")
    await expect(_answer(page)).not_to_contain_text("As a moderator")
    await _answer(page).get_by_role("button", name="/stories search").click()
    words = page.locator("[data-form='stories search'] [data-option=words]")
    await words.fill("bridge")
    await words.press("Enter")
    await expect(_answer(page)).to_contain_text("Stories with “bridge”")
    await expect(_answer(page)).to_contain_text("Under the bridge")


async def test_a_moderator_decides_what_is_told(village: str, page: Page) -> None:
    await _enter(page, village, "aoi")
    await write(page, "/settings")
    settings = _answer(page)
    await settings.get_by_role("combobox").first.select_option("#lounge")
    await expect(settings.get_by_role("combobox").first).to_have_value(re.compile(r"\d+"))
    await _button(settings, "Words").click()
    await _button(settings, "Change …").click()
    await _submit(page, "turnip")
    await expect(settings).to_contain_text("Words that are not told here: 1 of 100")
    await write(page, "/model use model:lstm-starter reason:a change")
    await _message(page, "a change")

    await _enter(page, village, "haru")
    await write(page, "/story The turnip king")
    await expect(_answer(page)).to_contain_text("Please try another.")


async def test_a_moderator_keeps_order(village: str, page: Page) -> None:
    await _enter(page, village, "haru")
    first, second = await _hear(page, "The quiet well"), await _hear(page, "The loud well")
    await _enter(page, village, "mika")
    await _button(first, "⋯").click()
    await _button(_answer(page), "Report").click()
    await _submit(page, "too sad")
    await expect(_answer(page)).to_contain_text("The moderators of this server will see it.")

    await _enter(page, village, "aoi")
    await write(page, "/reports")
    await expect(_answer(page)).to_contain_text("too sad, says @Mika")
    await _button(_answer(page), "Remove").click()
    await expect(first).to_contain_text("A moderator has removed this story.")
    await second.hover()
    await second.get_by_label("More for this message").click()
    await page.get_by_role("menuitem", name="Remove story").click()
    await _submit(page, "too loud")
    await expect(second).to_contain_text("A moderator has removed this story.")
    await write(page, "/mute member:Mika time:10 minutes")
    await expect(_answer(page)).to_contain_text("I tell @Mika nothing here until")
    await write(page, "/audit")
    for act in ("of @Mika", "story", "too loud", "log_channel = #lounge"):
        await expect(_answer(page)).to_contain_text(act)

    await _enter(page, village, "mika")
    await write(page, "/story Once more")
    await expect(_answer(page)).to_contain_text("moderators")
    await _enter(page, village, "aoi")
    await write(page, "/unmute member:Mika")
    await expect(_answer(page)).to_contain_text("I tell @Mika stories again.")


async def test_the_host_sees_how_the_bot_is(village: str, page: Page) -> None:
    await page.set_viewport_size(PHONE)
    await _enter(page, village, "toshi")
    await write(page, "/host status")
    await expect(_answer(page)).to_contain_text("gpt2-starter · 352 MB at most")
    chart = _answer(page).get_by_role("img", name="Models in memory, MB: 352 now")
    await expect(chart).to_have_js_property("naturalWidth", 1000)
    await write(page, "/host pause")
    await expect(_answer(page)).to_contain_text("I begin no story")
    await write(page, "/story Behind the stars")
    waits = await _message(page, "Behind the stars")
    await expect(waits).to_contain_text("Next to be told")
    await write(page, "/host resume")
    await expect(waits).to_contain_text("Behind the stars a fox found the moon.")
