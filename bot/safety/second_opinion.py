"""A maintained library's word on a whole text, asked in a thread: it takes some 14 ms a kilobyte.

glin-profanity knows words and disguises that our lists do not. Of its dictionaries only the
English one is asked: those for Japanese and Chinese take "dungeon fantasy" and "high-school girl".
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from glin_profanity import Filter

from bot.safety.word_filter import entries

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="second opinion")
"""One, so that the event loop has a single rival for the interpreter."""


async def objects_to(text: str) -> bool:
    """Whether the library finds a text unfit."""
    return await asyncio.get_running_loop().run_in_executor(_thread, library_objects_to, text)


def library_objects_to(text: str) -> bool:
    """Ask at once, and wait for it."""
    return bool(_library().is_profane(text))


@cache
def _library() -> Filter:
    return Filter(
        {
            "languages": ["english"],
            "detect_leetspeak": True,
            "ignore_words": entries("library_fit"),
        }
    )
