"""A maintained library's word on a whole text, asked in a thread: it takes some 10 ms a kilobyte.

glin-profanity knows words and disguises that our lists do not. Of its dictionaries only the
English one is asked: those for Japanese and Chinese take "dungeon fantasy" and "high-school girl".
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from glin_profanity import Filter

from bot.safety.word_filter import entries

_PART = re.compile(r".{1,1000}(?!\S)|.{1,1000}", re.DOTALL)
"""As much as it is asked about at once, between spaces: of a long number it takes the square."""
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="second opinion")
"""One, so that the event loop has a single rival for the interpreter."""


async def objects_to(text: str) -> bool:
    """Whether the library finds a text unfit."""
    return await asyncio.get_running_loop().run_in_executor(_thread, library_objects_to, text)


def library_objects_to(text: str) -> bool:
    """Ask at once, and wait for it."""
    library = _library()
    return any(library.is_profane(part) for part in _PART.findall(text))


@cache
def _library() -> Filter:
    return Filter(
        {
            "languages": ["english"],
            "detect_leetspeak": True,
            "ignore_words": entries("library_fit"),
        }
    )
