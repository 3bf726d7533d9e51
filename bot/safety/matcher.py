"""Looks for many words at once in a text that grows, however they are disguised.

A text is read in three ways at the same time: as it is written; as it is meant, with digits and
signs as the letters that they stand for and without what parts a word ("5h1t", "f.uck"); and as it
is spelled, with letters that stand alone as one word ("f u c k"). Each reading goes through a tree
of all patterns (Aho and Corasick's) character by character: the time is proportional to the text,
however many patterns there are and whatever it is made of, and nothing of it is kept but its end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from bot.safety.folding import LEET, MASK, MASKS, folded, kind
from bot.safety.patterns import SPACE, parted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from bot.safety.patterns import Category, Pattern

LONGEST_HELD = 200
"""Characters of a text's end that are held back at most; more is no word, but a long noise."""
LONGEST_GAP = 3
"""Characters between two letters of one spelled word."""
STRETCHED = 3
"""Of the same letter in a row; no word has so many, so any number means one or two."""
WITHIN_WORDS = frozenset(".-_~^`·‧")
"""What may stand inside a word and is read as if it did not."""
SPELLED = frozenset("@$")
"""Signs that are letters also where they stand alone; others part letters then."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that is not fit."""

    category: Category
    end: int
    """Characters of the text up to its end."""


class Tree:
    """All patterns; immutable, shared by whoever reads."""

    def __init__(self, patterns: Iterable[Pattern], fit: Collection[str] = ()) -> None:
        """Grow it.

        Args:
            patterns: What to look for.
            fit: Words that are fit although a stretched spelling of another looks like them.
        """
        self.fit = frozenset(fit)
        self.children: list[dict[str, int]] = [{}]
        self.depth = [0]
        self.ends: list[list[Pattern]] = [[]]
        for pattern in patterns:
            self._add(pattern)
        self.longest = max(self.depth)
        self._link()

    def _add(self, pattern: Pattern) -> None:
        node = 0
        for symbol in pattern.symbols:
            following = self.children[node].get(symbol)
            if following is None:
                following = self.children[node][symbol] = len(self.children)
                self.children.append({})
                self.depth.append(self.depth[node] + 1)
                self.ends.append([])
            node = following
        self.ends[node].append(pattern)

    def _link(self) -> None:
        """Let every node know the longest other beginning of a pattern that ends like it."""
        self.fail = [0] * len(self.children)
        nodes = deque(self.children[0].values())
        while nodes:
            node = nodes.popleft()
            for symbol, child in self.children[node].items():
                self.fail[child] = self.following(self.fail[node], symbol)
                nodes.append(child)
            self.ends[node] += self.ends[self.fail[node]]

    def following(self, node: int, symbol: str) -> int:
        """Where a character leads."""
        children, fail = self.children, self.fail
        while (there := children[node].get(symbol)) is None:
            if not node:
                return 0
            node = fail[node]
        return there


@dataclass(slots=True)
class _Run:
    """A character that stands once or several times in a row."""

    symbol: str
    at: int
    """Where the first of them stands in the text."""
    length: int
    leet: bool
    """One of them is a sign or a digit."""


def _is_long_enough(run: _Run, least: int) -> bool:
    """Letters may be stretched, numbers not."""
    return run.length == least or (run.length > least and kind(run.symbol) != "digit")


class _Strand:
    """One way of reading: where it is in the tree, and what led there."""

    def __init__(self, tree: Tree, hits: list[Hit]) -> None:
        self._tree = tree
        self._hits = hits
        self._node = 0
        self._last = _Run("", 0, 0, leet=False)
        self._runs: deque[_Run] = deque(maxlen=tree.longest + 1)

    def take(self, symbol: str, at: int, leet: bool = False) -> None:
        """Read on; a pattern is found when its last character cannot be more of the same."""
        last = self._last
        if last.symbol == symbol:
            last.length += 1
            last.leet |= leet
            return
        if parted(last.symbol, symbol):
            self._step(SPACE, at, leet=False)
        # "sh!t!": a sign after a word may be one, be it a letter or not.
        self._step(symbol, at, leet)

    def end(self, at: int) -> None:
        """Find what ends with the text."""
        self._find(SPACE, at)

    def held(self) -> int | None:
        """Where begins what may become a pattern; None: nothing does."""
        depth = self._tree.depth[self._node]
        if depth and self._runs[-depth].symbol == SPACE:
            depth -= 1
        return self._runs[-depth].at if depth else None

    def _step(self, symbol: str, at: int, leet: bool) -> None:
        tree = self._tree
        if tree.ends[self._node]:
            self._find(SPACE if leet else symbol, at)
        self._last = _Run(symbol, at, 1, leet)
        self._runs.append(self._last)
        self._node = tree.following(self._node, symbol)

    def _find(self, following: str, at: int) -> None:
        self._hits += [
            Hit(pattern.category, at)
            for pattern in self._tree.ends[self._node]
            if self._is(pattern, kind(following))
        ]

    def _is(self, pattern: Pattern, following: str) -> bool:
        """Whether what led here is the pattern, between the right neighbours."""
        size = len(pattern.symbols)
        *before, first = list(self._runs)[-size - 1 : len(self._runs) - size + 1]
        runs = list(self._runs)[-size:]
        if not all(map(_is_long_enough, runs, pattern.runs)):
            return False
        last = kind(runs[-1].symbol)
        if following == "mark" or (last and last == following and not pattern.open_right):
            return False
        if kind(first.symbol) == "katakana" and any(kind(b.symbol) == "katakana" for b in before):
            return False
        letters = [run for run in runs if kind(run.symbol) == "letter"]
        signs = sum(run.leet for run in letters)
        if letters and signs == len(letters):
            return False  # a number
        if pattern.leet and not signs:
            return False
        exact = "".join(run.symbol * min(run.length, STRETCHED) for run in letters)
        return exact not in self._tree.fit


class _Reading(NamedTuple):
    """What a character is to each way of reading; nothing: it is not there."""

    written: str
    meant: str
    meant_leet: bool
    spelled: str
    """A letter that may stand alone; nothing: what parts those."""
    spelled_leet: bool


@lru_cache(maxsize=1 << 14)
def _readings(char: str) -> tuple[_Reading, ...]:
    return tuple(map(_reading, folded(char)))


def _reading(symbol: str) -> _Reading:
    sign = symbol in MASKS
    of = "" if sign else kind(symbol)
    written = symbol if of or symbol.isalpha() else SPACE
    letter = LEET.get(symbol)
    meant, spelled = letter or written, ""
    if sign:
        meant = MASK
    elif symbol in WITHIN_WORDS:
        meant = ""
    if of in {"letter", "katakana"} or (not sign and symbol.isalpha()):
        spelled = symbol
    elif letter and (of == "digit" or symbol in SPELLED):
        spelled = letter
    return _Reading(written, meant, sign or letter is not None, spelled, letter is not None)


class Reader:
    """A text that grows, and what is in it."""

    def __init__(self, tree: Tree) -> None:
        self.hits: list[Hit] = []
        """What was found, in the order in which it was."""
        self.length = 0
        """Characters read."""
        self._written = _Strand(tree, self.hits)
        self._meant = _Strand(tree, self.hits)
        self._spelled = _Strand(tree, self.hits)
        self._alone: _Run | None = None
        """A letter that stands alone so far."""
        self._in_word = False
        """The last character was of a word of several letters."""
        self._gap = 0

    def feed(self, text: str) -> None:
        """Read on."""
        for at, char in enumerate(text, self.length):
            for written, meant, meant_leet, spelled, spelled_leet in _readings(char):
                self._written.take(written, at)
                if meant:
                    self._meant.take(meant, at, meant_leet)
                if not spelled:
                    self._part(at)
                else:
                    self._spell(spelled, at, spelled_leet)
        self.length += len(text)

    def end(self) -> None:
        """Find what ends with the text."""
        self._let_stand()
        for strand in (self._written, self._meant, self._spelled):
            strand.end(self.length)

    @property
    def held_from(self) -> int:
        """Where begins the end of the text that may become something unfit."""
        held = [strand.held() for strand in (self._written, self._meant, self._spelled)]
        if self._alone is not None:
            held.append(self._alone.at)
        at = min((at for at in held if at is not None), default=self.length)
        return max(at, self.length - LONGEST_HELD)

    def _spell(self, letter: str, at: int, leet: bool) -> None:
        if self._in_word:
            self._spelled.take(letter, at, leet)
        elif self._alone is None:
            self._alone = _Run(letter, at, 1, leet)
        elif self._alone.symbol == letter:
            self._alone.length += 1
            self._alone.leet |= leet
        else:
            # A word of several letters ends what was spelled.
            self._spelled.take(SPACE, self._alone.at)
            self._let_stand()
            self._in_word = True
            self._spelled.take(letter, at, leet)

    def _part(self, at: int) -> None:
        if self._in_word:
            self._in_word = False
            self._spelled.take(SPACE, at)
        elif self._alone is not None:
            self._let_stand()
            self._gap = 0
        self._gap += 1
        if self._gap == LONGEST_GAP + 1:
            self._spelled.take(SPACE, at)

    def _let_stand(self) -> None:
        alone, self._alone = self._alone, None
        if alone is not None:
            for _ in range(min(alone.length, STRETCHED)):
                self._spelled.take(alone.symbol, alone.at, alone.leet)
