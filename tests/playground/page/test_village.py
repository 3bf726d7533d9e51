"""The village by clicks: what a member, a moderator and the host do all day, and what they see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest_asyncio
from playwright.async_api import expect

from tests.bot.teller import teller
from tests.playground.page.box import write
from tests.playground.page.clicks import answer, button, enter, hear, message, submit
from tests.running import running_bot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest
    from playwright.async_api import Page, ViewportSize

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


async def test_a_member_has_all_of_theirs_deleted(village: str, page: Page) -> None:
    await enter(page, village, "mika")
    story = await hear(page, "A letter nobody sent")
    await write(page, "/privacy")
    await button(answer(page), "Delete all of mine").click()
    await expect(answer(page)).to_contain_text("Delete all of yours?")
    await button(answer(page), "Remove their words too").click()
    await expect(answer(page)).to_contain_text("nothing here is yours any more")
    await expect(story).to_contain_text("Who asked for this story has deleted it.")
    await expect(story).not_to_contain_text("A letter")


async def test_a_member_hears_a_story_and_goes_on_with_it_on_a_phone(
    village: str, page: Page
) -> None:
    await page.set_viewport_size(PHONE)
    await enter(page, village, "haru")
    story = await hear(page, "Once at sea", "model:lstm-starter mood:calm length:short seed:7")
    await expect(story).to_contain_text("Once at sea a fox found the moon.")
    await expect(story).to_contain_text("lstm-starter · seed 7 · 8 words")
    for one in await story.locator(".components button").all():
        box = await one.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44, "smaller than a thumb"
    await button(story, "5 ★").click()
    await expect(answer(page)).to_contain_text("That is your own story.")

    await enter(page, village, "mika")
    await button(story, "4 ★").click()
    await expect(answer(page)).to_contain_text("★★★★☆ from you.")
    await expect(story).to_contain_text("★ 4.0 from 1 vote")

    await button(story, "Continue").click()
    second = await message(page, "Part 2 of Once at sea")
    await expect(second).to_contain_text("Mika hears what happens next")
    await button(second, "My turn").click()
    await submit(page, "But see https://example.org.")
    await expect(answer(page)).to_contain_text("I don't begin a story with a link.")
    await button(answer(page), "Write again").click()
    written = page.locator("[data-modal] [data-input]").first
    await expect(written).to_have_value("But see https://example.org.")
    await submit(page, "But the moon was hers.")
    third = await message(page, "Part 3 of Once at sea")
    await expect(third).to_contain_text("goes on in their own words")
    await expect(third).to_contain_text("But the moon was hers. a fox found the moon.")

    await button(third, "Variations").click()
    several = await message(page, "looks for a way to go on")
    await expect(button(several, "Go on from 3")).to_be_visible()
    await button(several, "Go on from 2").click()
    await message(page, "Part 5 of Once at sea")
    assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


async def test_a_member_reads_a_story_again_and_has_its_picture(village: str, page: Page) -> None:
    await enter(page, village, "haru")
    story = await hear(page, "Behind the mill")
    await button(story, "⋯").click()
    await expect(answer(page)).to_contain_text("Asked for by@Haru")
    await expect(answer(page)).to_contain_text("8 words")
    await button(answer(page), "Read from the beginning").click()
    await expect(answer(page)).to_contain_text("Behind the mill a fox found the moon.")
    await expect(answer(page).locator(".file")).to_contain_text(".txt")
    await button(answer(page), "Share as a picture").click()
    picture = answer(page).get_by_alt_text("A card with the story “Behind the mill”.")
    await expect(picture).to_have_js_property("naturalWidth", 1000)
    await button(answer(page), "Post it here").click()
    shared = await message(page, "@Haru shares a story")
    await expect(shared.get_by_role("img", name="Behind the mill")).to_be_visible()


async def test_two_tellers_are_voted_on_blind_and_named_at_the_end(
    village: str, page: Page
) -> None:
    await enter(page, village, "haru")
    await write(page, "/duel The last lantern")
    duel = await message(page, "which is better?")
    await expect(button(duel, "Tie")).to_be_visible()
    await expect(duel).not_to_contain_text("starter")
    await button(duel, "A").click()
    await expect(answer(page)).to_contain_text(re.compile(r"You chose A. A is \S+-starter"))
    await expect(duel).to_contain_text("Votes: 1")
    await button(duel, "Close").click()
    await expect(duel).to_contain_text(re.compile(r"A \S+-starter: 1 · B \S+-starter: 0 · tie: 0"))

    await write(page, "/contrast Far from home")
    contrast = await message(page, "hears it told by two kinds of storytellers")
    for kind in ("gpt2-starter", "lstm-starter"):
        await expect(contrast).to_contain_text(f"{kind} · seed")


async def test_a_member_looks_round_the_village(village: str, page: Page) -> None:
    await page.set_viewport_size(PHONE)
    await enter(page, village, "haru")
    await hear(page, "Under the bridge")
    for line, seen in (
        ("/stories top", "The best of this week"),
        ("/stories new", "Under the bridge"),
        ("/openings list", "This server's beginnings"),
    ):
        await write(page, line)
        await expect(answer(page)).to_contain_text(seen)
    await write(page, "/stories mine")
    mine = answer(page)
    await expect(mine).to_contain_text("Your stories")
    number = re.search(r"Under the bridge a fox.*?#(\d+)", await mine.inner_text(), re.DOTALL)
    assert number is not None
    await write(page, f"/stories show number:{number[1]}")
    await expect(answer(page)).to_contain_text("Under the bridge a fox found the moon.")
    await write(page, "/stories show number:9999")
    await expect(answer(page)).to_contain_text("There is no story #9999 that you may see.")
    await write(page, "/stories random")
    await expect(button(answer(page), "Share as a picture")).to_be_visible()
    for line, title in (("/ranking", "Who tells best"), ("/stats", "The village's month")):
        await write(page, line)
        await message(page, title)
    chart = (await message(page, "The village's month")).get_by_role("img")
    await expect(chart).to_have_js_property("naturalWidth", 1000)
    await expect(chart).to_be_in_viewport(ratio=0.9)
    assert await chart.get_attribute("alt")

    await write(page, "/help")
    await expect(answer(page)).not_to_contain_text("As a moderator")
    await answer(page).get_by_role("button", name="/stories search").click()
    words = page.locator("[data-form='stories search'] [data-option=words]")
    await words.fill("bridge")
    await words.press("Enter")
    await expect(answer(page)).to_contain_text("Stories with “bridge”")
    await expect(answer(page)).to_contain_text("Under the bridge")


async def test_a_moderator_decides_what_is_told(village: str, page: Page) -> None:
    await enter(page, village, "aoi")
    await write(page, "/settings")
    settings = answer(page)
    await settings.get_by_role("combobox").first.select_option("#lounge")
    await expect(settings.locator("[aria-busy]")).to_have_count(0)  # it was answered
    await expect(settings.get_by_role("combobox").first).to_have_value(re.compile(r"\d+"))
    await button(settings, "Words").click()
    await button(settings, "Change …").click()
    await submit(page, "turnip")
    await expect(settings).to_contain_text("Words that are not told here: 1 of 100")
    await write(page, "/model use model:lstm-starter reason:a change")
    await message(page, "a change")
    await write(page, "/audit")
    await expect(answer(page)).to_contain_text("log channel: #lounge")

    await enter(page, village, "haru")
    await write(page, "/story The turnip king")
    await expect(answer(page)).to_contain_text("Please try another.")
    for opening in ("The radish queen", "The beet bishop"):
        await write(page, f"/openings propose {opening}")
        await expect(answer(page)).to_contain_text(f"“{opening}” waits")
    await enter(page, village, "aoi")
    await write(page, "/openings review")
    await expect(answer(page)).to_contain_text("The radish queen")
    await button(answer(page), "Accept").click()
    await expect(answer(page)).to_contain_text("The beet bishop")
    await button(answer(page), "Refuse").click()
    await expect(answer(page)).to_contain_text("No proposal waits for a decision.")
    await write(page, "/openings list")
    await expect(answer(page)).to_contain_text("The radish queen")
    await write(page, "/audit")
    await expect(answer(page)).to_contain_text("opening accepted opening #")


async def test_a_moderator_keeps_order(village: str, page: Page) -> None:
    await enter(page, village, "haru")
    first, second = await hear(page, "The quiet well"), await hear(page, "The loud well")
    await enter(page, village, "mika")
    for story, reason in ((second, "too wet"), (first, "too sad")):
        await button(story, "⋯").click()
        await button(answer(page), "Report").click()
        await submit(page, reason)
        await expect(answer(page)).to_contain_text("The moderators of this server will see it.")

    await enter(page, village, "aoi")
    await write(page, "/reports")
    await expect(answer(page)).to_contain_text("@Mika: too wet")
    await button(answer(page), "Keep").click()
    await expect(answer(page)).to_contain_text("@Aoi lets it stand.")
    await button(answer(page), "Next").click()
    await expect(answer(page)).to_contain_text("@Mika: too sad")
    await button(answer(page), "Remove").click()
    await expect(first).to_contain_text("A moderator has removed this story.")
    await second.hover()
    await second.get_by_label("More for this message").click()
    await page.get_by_role("menuitem", name="Remove story").click()
    await submit(page, "too loud")
    await expect(second).to_contain_text("A moderator has removed this story.")
    await write(page, "/mute member:Mika time:10 minutes")
    await expect(answer(page)).to_contain_text("I tell @Mika nothing here until")
    await write(page, "/audit")
    for act in ("muted @Mika until", "story", "too loud"):
        await expect(answer(page)).to_contain_text(act)

    await enter(page, village, "mika")
    await write(page, "/story Once more")
    await expect(answer(page)).to_contain_text("moderators")
    await enter(page, village, "aoi")
    await write(page, "/unmute member:Mika")
    await expect(answer(page)).to_contain_text("I tell @Mika stories again.")


async def test_the_host_sees_how_the_bot_is(village: str, page: Page) -> None:
    await page.set_viewport_size(PHONE)
    await enter(page, village, "toshi")
    await write(page, "/host status")
    await expect(answer(page)).to_contain_text("gpt2-starter · 352 MB at most")
    chart = answer(page).get_by_role("img", name="Models in memory, MB: 352 now")
    await expect(chart).to_have_js_property("naturalWidth", 1000)
    for act, said in (("unload", "is not in memory any more"), ("load", "is in memory")):
        await write(page, f"/host {act} model:lstm-starter")
        await expect(answer(page)).to_contain_text(f"lstm-starter {said}")
    await write(page, "/host pause")
    await expect(answer(page)).to_contain_text("I begin no story")
    await write(page, "/story Behind the stars")
    waits = await message(page, "Behind the stars")
    await expect(waits).to_contain_text("Stories rest for now")
    await write(page, "/host resume")
    await expect(waits).to_contain_text("Behind the stars a fox found the moon.")

    await enter(page, village, "aoi")
    await write(page, "/settings")
    channels = answer(page).locator("details.several").first
    await channels.locator("summary").click()
    await channels.get_by_label("stories").check()
    await channels.get_by_role("button", name="Done").click()
    await expect(channels.locator("summary")).to_have_text("#stories")
    await enter(page, village, "toshi")
    await write(page, "/host announce text:I sleep at noon")
    await expect(answer(page)).to_contain_text("said in 1 story channel of 1 server;")
    await button(answer(page), "Say it").click()
    await expect(answer(page)).to_contain_text("It stands in 1 channel.")
    await message(page, "I sleep at noon")
