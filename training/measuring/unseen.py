"""What models are measured on: texts they have not read, what those belong to, what people do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from training.bars import under_way
from training.corpus.cleaning import clean
from training.corpus.copies import Copies
from training.corpus.franchise import Families
from training.corpus.rules import default
from training.corpus.texts import Split, is_corpus, read_corpus
from training.errors import InputError
from training.measuring import bootstrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from training.corpus.texts import Text
    from training.measuring.bootstrap import Estimate


@dataclass(frozen=True)
class Unseen:
    """The same for every model that is measured."""

    held_out: list[Text]
    """In the corpus's order."""
    franchises: list[int]
    """To which each of them belongs, as `clean` found it: they are drawn as a whole."""
    read: list[Text]
    """In training; nothing where only unseen texts are known."""

    @property
    def texts(self) -> list[str]:
        """Those held out."""
        return [text.text for text in self.held_out]

    @property
    def training(self) -> list[str]:
        """Those read in training."""
        return [text.text for text in self.read]

    @cached_property
    def copies(self) -> Copies | None:
        """Finds runs of words out of training texts; None where there are none."""
        return Copies(self.training) if self.read else None

    @cached_property
    def people(self) -> Estimate | None:
        """How much of what somebody writes others have written: the mean share of 8-grams.

        Of each training text of the held-out texts' file, in the training texts of other works.
        Works that `clean` joined for nothing but a shared run count as others here, and held-out
        texts are not asked: whatever shares a run with one was held out with it or dropped, so
        that the share would be near zero however people write. One work under two titles, whose
        people are named otherwise in each, passes for two, so this is rather too much.
        """
        domains = {text.domain for text in self.held_out}
        written = [index for index, text in enumerate(self.read) if text.domain in domains]
        if self.copies is None or not written:
            return None
        works = _franchises(self.read, by_runs=False)
        shares = [self.copies.share_elsewhere(index, works) for index in written]
        return bootstrap.mean(shares, [works[index] for index in written])


def read_unseen(path: Path, split: Split) -> Unseen:
    """What to measure on, and the training texts that belong to it.

    Of a cleaned corpus that is one split, and its training split; any other file gets the default
    cleaning and is measured on as a whole.

    Raises:
        InputError: the file cannot be used, or the split is empty.
    """
    if not is_corpus(path):
        texts = clean([path], default).texts
        return Unseen(texts, _franchises(texts), [])
    texts = read_corpus(path)
    held_out = [text for text in texts if text.split is split]
    if not held_out:
        raise InputError(f"{path} holds no texts for {split}.")
    # Which names are rare enough to join two works is a matter of the whole file.
    domains = {text.domain for text in held_out}
    related = [text for text in texts if text.domain in domains]
    with under_way("Finding franchises"):
        found = zip(related, _franchises(related), strict=True)
        franchises = [franchise for text, franchise in found if text.split is split]
    return Unseen(held_out, franchises, [text for text in texts if text.split is Split.TRAIN])


def _franchises(texts: Sequence[Text], *, by_runs: bool = True) -> list[int]:
    titles = [text.title for text in texts]
    families = Families(titles, [text.text for text in texts], by_runs=by_runs)
    return [families.of(index) for index in range(len(texts))]
