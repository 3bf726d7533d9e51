"""For all tests: nothing of the environment's settings, workers, and a browser.

The browser starts once, in the event loop of the session; so a test that asks for a `page` runs
there too. Fixtures of its own that are asynchronous must then say `loop_scope="session"`.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

    from playwright.async_api import Browser, Page

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
LONG = (
    "tests/test_first_light.py",
    "tests/training/test_team.py",
    "tests/training/test_hub.py",
    "tests/training/test_train_command.py",
    "tests/chaos/test_short_run.py",
    "tests/chaos/test_short_fleet.py",
    "tests/bot/test_durability.py",
    "tests/bot/test_own_generator.py",
    "tests/bot/test_words_over_restarts.py",
    "tests/test_discord_description.py",
    "tests/test_browsing.py",
)
"""Files whose tests start bots, generators and trainings, and wait for them."""
PATIENCE_MS = 20_000
MOST_WORKERS = 4
WORKERS_MEMORY = 3 << 30
"""Bytes for a worker and the bot, the generator and the browser that it starts."""


def pytest_configure() -> None:
    """What whoever runs the tests has set for a bot of their own is not for those of the tests."""
    for name in list(os.environ):
        if name.upper().startswith("KATARIBE_") or name == "DISCORD_TOKEN":
            del os.environ[name]
    # The tests start our programs by the dozen; none should have to compile them anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Each worker, and what it starts, has its share of the cores.
        workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, _cores() // workers)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays to the end: no search for garbage goes through it.

    It is some two million objects, which take a second each time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_xdist_auto_num_workers() -> int:
    """What `--numprocesses auto` means: one more than cores, for many tests wait for programs."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(_cores() + 1, MOST_WORKERS, memory // WORKERS_MEMORY))


def _cores() -> int:
    """Those that this process may use; not every system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, or a worker would have one left when all others have ended."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
    for item in items:
        if "page" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium, headless."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: the page is not looked at (apt install chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """An empty tab of desktop size; what its scripts complain of fails the test."""
    expect.set_options(timeout=PATIENCE_MS)
    complaints: list[str] = []
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda line: (
            complaints.append(line.text)
            if line.type == "error" and "WebSocket" not in line.text  # a server that restarts
            else None
        ),
    )
    yield page
    await context.close()
    assert complaints == []
