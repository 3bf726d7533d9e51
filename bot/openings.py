"""The house's own beginnings, for members who bring none."""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ARTICLE = (
    "After years",
    "When the night",
    "This is the story",
    "Spike was",
    "In the year",
    "A shinigami",
    "During the war",
    "A young man",
)
"""The eight that Mishra's article (2020) tried its two models on."""

OPENINGS = (
    *ARTICLE,
    "A transfer student with silver eyes",
    "Beneath the floating city",
    "On the last train home",
    "The student council president hides",
    "Every spring, the shrine",
    "A retired pirate",
    "Long before the towers fell",
    "The youngest alchemist in the guild",
    "In a village that fears the moon",
    "A young pilot and her broken mecha",
    "Nobody believed the fox",
    "At the end of the summer festival",
    "Two rival swordsmen",
    "The demon king's daughter",
    "When the bell of the academy",
    "A girl who talks to robots",
    "Reborn as a dragon's egg,",
    "The worst ninja in the clan",
    "Behind the closed bathhouse",
    "After the idol group disbanded",
    "One hundred years under the sea",
    "The cook of the royal airship",
    "A magical cat named Sora",
    "On her sixteenth birthday",
    "The bounty hunter wakes",
    "When the gates of the dungeon",
    "Once the strongest hero",
    "The owner of the crossroads tea house",
    "In the city where it always rains",
    "A lonely god of small things",
    "The basketball club has three members",
    "Under the cherry trees",
    "A thief of memories",
    "When the spirits left the forest",
    "The soldier who carries the last letter",
    "A vampire who loves mornings",
    "Far from the capital, a young witch",
    "The captain of the ghost ship",
    "His twin sister vanished",
    "In a world ruled by cards",
    "The night the stars went out",
    "An ordinary office worker",
)


def opening(own: Sequence[str] = ()) -> str:
    """One of them, or of a server's own, by chance."""
    return random.choice((*OPENINGS, *own))


def some(count: int, own: Sequence[str] = ()) -> list[str]:
    """A few of them, by chance; up to half are a server's own."""
    mine = random.sample(own, min(count // 2, len(own)))
    house = [text for text in random.sample(OPENINGS, count) if text not in mine]
    return [*mine, *house][:count]


def fitting(typed: str, own: Sequence[str] = ()) -> list[str]:
    """Those in which a word begins as typed, in any case; first those that begin so themselves.

    `own`: a server's own openings, looked through as well.
    """
    wanted = f" {typed.casefold()}"
    places = {text: f" {text.casefold()}".find(wanted) for text in (*own, *OPENINGS)}
    found = [text for text, place in places.items() if place >= 0]
    return sorted(found, key=lambda text: places[text] > 0)


def number(text: str) -> int:
    """A number that an opening keeps, whatever comes before it some day."""
    return zlib.crc32(text.encode())


def numbered(wanted: int) -> str | None:
    """The house's opening of that number; None: it has none (any more)."""
    return next((text for text in OPENINGS if number(text) == wanted), None)
