"""Which of a bot's shards one process serves, where several share the work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

MOST = 16_384
"""Shards; Discord asks for one for every 2,500 servers or less."""
_WRITTEN = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?/([0-9]{1,5})", re.ASCII)


def shard_of(guild_id: int | None, total: int) -> int:
    """The shard that hears of a server; None: of private messages."""
    return ((guild_id or 0) >> 22) % total


@dataclass(frozen=True, slots=True)
class Shards:
    """Some of all shards, one after the other: `0-3/16` are the first four of sixteen."""

    first: int
    last: int
    total: int

    @classmethod
    def read(cls, written: object) -> Self | None:
        """Read a setting; None: all, as many as Discord says.

        Raises:
            ValueError: It names no shards.
        """
        if written is None or written == "all":
            return None
        if isinstance(written, cls):
            return written
        if not isinstance(written, str) or (found := _WRITTEN.fullmatch(written)) is None:
            raise ValueError("not shards")
        first, last, total = found.groups()
        shards = cls(int(first), int(last or first), int(total))
        if not shards.first <= shards.last < shards.total <= MOST:
            raise ValueError("there are no such shards")
        return shards

    def __str__(self) -> str:
        some = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{some}/{self.total}"

    @property
    def numbers(self) -> range:
        """Each of them."""
        return range(self.first, self.last + 1)

    def hears_of(self, guild_id: int | None) -> bool:
        """Whether one of them hears of a server; None: of private messages."""
        return shard_of(guild_id, self.total) in self.numbers
