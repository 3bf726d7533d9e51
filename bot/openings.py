"""The house's own beginnings, for members who bring none."""

from __future__ import annotations

import random

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
    "The pilot of the broken mecha",
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
    "The tea house at the crossroads",
    "In the city where it always rains",
    "A lonely god of small things",
    "The basketball club has three members",
    "Under the cherry trees",
    "A thief of memories",
    "When the spirits left the forest",
    "The last letter from the front",
    "A vampire who loves mornings",
    "Far from the capital, a young witch",
    "The captain of the ghost ship",
    "His twin sister vanished",
    "In a world ruled by cards",
    "The night the stars went out",
    "An ordinary office worker",
)


def opening() -> str:
    """One of them, by chance."""
    return random.choice(OPENINGS)


def some(count: int) -> list[str]:
    """A few of them, by chance."""
    return random.sample(OPENINGS, count)


def fitting(typed: str) -> list[str]:
    """Those in which a word begins as typed, in any case; first those that begin so themselves."""
    wanted = f" {typed.casefold()}"
    places = {text: f" {text.casefold()}".find(wanted) for text in OPENINGS}
    return sorted(
        (text for text in OPENINGS if places[text] >= 0), key=lambda text: places[text] > 0
    )
