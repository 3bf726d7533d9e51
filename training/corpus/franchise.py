"""Which works belong together, so that a sequel never sits across a train/test border.

Two works are of one franchise when their titles reduce to the same name, when one name begins
with the other, when their texts share long runs of words, or when they name the same rare people
and places. Too many joined is safe here; one missed would leak.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHINGLE = 8
"""Words in a run; two texts that share one by chance are rare, by copying common."""
_RARE = 6
"""A capitalised word in at most so many texts is taken for a name of its own story."""
_NAMES_SHARED = 3
"""So many names in common make one franchise."""

_SHORT = 5
"""Letters of a word that many names begin with."""

_EDITION = re.compile(
    r"\b(the )?(movies?|films?|gekijou ?ban|ovas?|onas?|specials?|tv|season|series|part|cour|arc|"
    r"hen|recap|final|zoku|shin|kai|dash|pilot|picture drama|episodes?|vol(ume)?|"
    r"\d+(st|nd|rd|th)?|first|second|third|fourth|fifth|ii+|iv|vi*|i?x)\b"
)


def franchise_name(title: str) -> str:
    """The title without subtitle, season, number and kind: "Naruto: Shippuuden 2" → "naruto"."""
    plain = unicodedata.normalize("NFKC", title).casefold()
    main = re.split(r": | - | \(|\. | ~", plain, maxsplit=1)[0]
    words = re.sub(r"[\W_]+", " ", main).strip()
    name = " ".join(_EDITION.sub(" ", words).split())
    return name or words or plain.strip()


def shingles(text: str) -> set[int]:
    """Hashes of every run of words in a text, whatever their case and punctuation."""
    words = re.findall(r"\w+", text.casefold())
    runs = range(max(1, len(words) - _SHINGLE + 1))
    return {hash(tuple(words[start : start + _SHINGLE])) for start in runs}


def _capitalised(text: str) -> set[str]:
    """Words that start with a capital and do not begin a sentence."""
    return set(re.findall(r"(?<![.!?\"'] )(?<!^)\b[A-Z][a-z]{2,}", text))


def _starts(name: str) -> list[str]:
    """Shorter names that would make one franchise with it, as "dragon ball" of "dragon ball z".

    A short word alone marks none.
    """
    words = name.split()
    starts = (" ".join(words[:length]) for length in range(1, len(words)))
    return [start for start in starts if len(start) > _SHORT]


class Families:
    """Franchises of the texts of one file, found once and then asked about other files' texts."""

    def __init__(
        self, titles: Sequence[str], texts: Sequence[str], *, by_runs: bool = True
    ) -> None:
        """Finds them.

        Args:
            titles: of the works.
            texts: theirs.
            by_runs: whether a shared run of words joins two works; not for who asks how many such
                runs strangers share.
        """
        self._by_runs = by_runs
        self._parent = list(range(len(texts)))
        self._by_name: dict[str, int] = {}
        self._by_start: dict[str, list[int]] = defaultdict(list)
        self._by_shingle: dict[int, int] = {}
        self._by_rare: dict[str, list[int]] = defaultdict(list)
        found = [_capitalised(text) for text in texts]
        spread = Counter(name for names in found for name in names)
        for index, (title, text) in enumerate(zip(titles, texts, strict=True)):
            for relative in self._related(title, text, found[index]):
                self._join(index, relative)
            name = franchise_name(title)
            if name and name not in self._by_name:
                self._by_name[name] = index
                for start in _starts(name):
                    self._by_start[start].append(index)
            for shingle in shingles(text) if by_runs else ():
                self._by_shingle.setdefault(shingle, index)
            for rare in found[index]:
                if spread[rare] <= _RARE:
                    self._by_rare[rare].append(index)

    def of(self, index: int) -> int:
        """The franchise of a text, as the index of its first text."""
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index

    def related(self, title: str, text: str) -> set[int]:
        """Franchises that a text from another file belongs to."""
        return {self.of(index) for index in self._related(title, text, _capitalised(text))}

    def _related(self, title: str, text: str, names: Iterable[str]) -> set[int]:
        runs = shingles(text) if self._by_runs else ()
        relatives = {self._by_shingle[run] for run in runs if run in self._by_shingle}
        name = franchise_name(title)
        earlier = [name, *_starts(name)]
        relatives.update(self._by_name[start] for start in earlier if start in self._by_name)
        relatives.update(self._by_start.get(name, ()))
        shared = Counter(index for rare in names for index in self._by_rare.get(rare, ()))
        relatives.update(index for index, count in shared.items() if count >= _NAMES_SHARED)
        return relatives

    def _join(self, one: int, other: int) -> None:
        first, second = sorted((self.of(one), self.of(other)))
        self._parent[second] = first
