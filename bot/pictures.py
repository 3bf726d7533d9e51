"""Pictures as they are wanted: drawn one at a time in a thread, and kept for the next who asks."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bot.database.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from bot.charts.course import Courses
    from bot.charts.strengths import Strength
    from bot.database.figures import Likes, Month

KEPT = 32 << 20
"""Bytes of pictures that are kept; the longest unused go first."""
PAUSE = dt.timedelta(minutes=5)
"""Between two times that a member shows the same picture to everybody."""


class PostedLatelyError(Exception):
    """The member has shown this picture to everybody a moment ago, or is just doing it."""

    def __init__(self, back_at: dt.datetime) -> None:
        super().__init__(f"not before {back_at}")
        self.back_at = back_at


class Pictures:
    """One at a time: Pillow's letters are not for several threads, and others want the cores."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._drawing = asyncio.Lock()

    async def get(self, key: Hashable, draw: Callable[[], bytes]) -> bytes:
        """Give the picture of a key, drawn if nobody has wanted it yet.

        Args:
            key: Everything that it shows.
            draw: Draws it, in a thread; gives a PNG. What it raises is raised here.
        """
        async with self._drawing:
            if (png := self._kept.pop(key, None)) is None:
                png = await asyncio.to_thread(draw)
            self._kept[key] = png
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > KEPT:
                self._kept.popitem(last=False)
            return png


class Posted:
    """Which pictures members have shown to everybody lately; a restart forgets it."""

    def __init__(self) -> None:
        self._back_at: dict[tuple[int, int], dt.datetime] = {}

    @contextmanager
    def posting(self, member_id: int, story_id: int) -> Iterator[None]:
        """Let a member show the picture of a story; what fails may be tried again at once.

        Raises:
            PostedLatelyError: They did already, or a press of theirs is at it.
        """
        moment, key = now(), (member_id, story_id)
        for old in [one for one, back_at in self._back_at.items() if back_at <= moment]:
            del self._back_at[old]
        if (back_at := self._back_at.get(key)) is not None:
            raise PostedLatelyError(back_at)
        self._back_at[key] = moment + PAUSE
        try:
            yield
        except BaseException:
            self._back_at.pop(key, None)
            raise


def draw_card(title: str, text: str, attribution: str) -> bytes:
    """A story as a picture; loads what draws it.

    Raises:
        NoLettersError: No font here has its letters.
    """
    from bot.charts.card import card  # noqa: PLC0415  # in the thread, when it is first wanted

    return card(title, text, attribution)


def draw_standing(strengths: Sequence[Strength], likes: Sequence[Likes]) -> bytes:
    """How the models stand; loads what draws it."""
    from bot.charts.fonts import legibly  # noqa: PLC0415  # in the thread, as above
    from bot.charts.standing import standing  # noqa: PLC0415

    with legibly():
        return standing(strengths, likes)


def draw_village(month: Month) -> bytes:
    """A server's month; loads what draws it."""
    from bot.charts.fonts import legibly  # noqa: PLC0415  # in the thread, as above
    from bot.charts.village import village  # noqa: PLC0415

    with legibly():
        return village(month)


def draw_hours(courses: Courses) -> bytes:
    """How the bot was over the last hours; loads what draws it."""
    from bot.charts.fonts import legibly  # noqa: PLC0415  # in the thread, as above
    from bot.charts.hours import hours  # noqa: PLC0415

    with legibly():
        return hours(courses)
