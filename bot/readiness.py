"""What a start makes before it takes anything: it may be another process that it relieves."""

from __future__ import annotations

import gc

from bot.database.revisions import newest_revision
from bot.safety.word_filter import house_filter

GARBAGE = (5_000, 10, 5)
"""New objects, and collections of the young, after which garbage is looked for: see `gc`."""


def make_ready() -> None:
    """Make what is made once, needs nobody else, and takes a processor a second or two.

    Of several bots the one whose shards this process is to have goes on telling meanwhile.
    """
    house_filter()
    newest_revision()
    _settle()


def _settle() -> None:
    """Let garbage be looked for less often, and never again among what a start has made.

    Those are some hundred thousand objects, of libraries most of them, that stay to the end. While
    they are looked through every member waits, up to a third of a second each time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
