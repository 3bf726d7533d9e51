"""`python -m training memfree`: a model folder learns what its stories must not copy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from generator.memfree import MEMFREE_FILE, MemFree, MemFreeError
from generator.vocabulary import inside_words
from training.corpus import IMAGINED, Split, read_corpus
from training.errors import InputError
from training.recipe import Pretrained

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast

    from generator.models.loading import LoadedModel
    from training.corpus import Text
    from training.recipe import Recipe

_TOO_OFTEN = 0.03
"""Share of n-grams that are mistaken for the texts' own; a new filter has a tenth of it."""


def add_memfree(model: LoadedModel, folder: Path, corpus: Path) -> int:
    """Writes the filter of the corpus's training texts, and that it holds, into a model folder.

    Args:
        model: loaded from the folder.
        folder: of the model.
        corpus: what it was trained on.

    Returns:
        How many texts went into it.

    Raises:
        InputError: the corpus has no texts that people wrote to train on.
    """
    texts = _written(read_corpus(corpus))
    if not texts:
        raise InputError(f"{corpus} holds no texts to train on.")
    _filter(texts, model.tokenizer).save(folder)
    settings = model.model.generation_config
    settings.memfree = True  # type: ignore[attr-defined]  # transformers keeps names it has not
    settings.save_pretrained(folder)
    return len(texts)


def memfree_of(
    recipe: Recipe, texts: Iterable[Text], tokenizer: PreTrainedTokenizerFast
) -> MemFree | None:
    """The filter that a trained model gets, where its recipe asks for one.

    A model that goes on from another, with its tokens, must not copy what that one had read either.

    Raises:
        InputError: the other one's filter is damaged.
    """
    if not recipe.sampling.memfree:
        return None
    known = None
    if isinstance(recipe.model, Pretrained) and recipe.tokens.kind == "pretrained":
        try:
            known = MemFree.find(recipe.model.name)
        except MemFreeError as error:
            raise InputError(f"model.name: {error}.") from error
    memfree = _filter(_written(texts), tokenizer, known)
    if memfree.mistaken > _TOO_OFTEN:
        print(
            f"The filter of {MEMFREE_FILE} has grown full and takes {memfree.mistaken:.0%} of all "
            "new words for copies: give it room by `python -m training memfree` with a corpus of "
            "all that the model has read.",
            file=sys.stderr,
        )
    return memfree


def _written(texts: Iterable[Text]) -> list[str]:
    """Those to train on that people wrote: nobody is robbed of what a model imagined."""
    return [text.text for text in texts if text.split is Split.TRAIN and text.domain != IMAGINED]


def _filter(
    texts: list[str], tokenizer: PreTrainedTokenizerFast, known: MemFree | None = None
) -> MemFree:
    rows = tokenizer(texts, add_special_tokens=False).input_ids if texts else []
    return MemFree.of(rows, inside_words(tokenizer, len(tokenizer)), known)
