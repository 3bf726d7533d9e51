"""`python -m training memfree`: a model folder learns what its stories must not copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transformers import GenerationConfig, PreTrainedTokenizerFast

from generator.sampling.memfree import MEMFREE_FILE, MOST_MISTAKEN, MemFree, MemFreeError
from generator.sampling.vocabulary import continuations
from training.corpus.texts import IMAGINED, Split, read_corpus
from training.errors import InputError
from training.recipe import Pretrained

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from training.corpus.texts import Text
    from training.recipe import Recipe


def add_memfree(folder: Path, corpus: Path) -> int:
    """Writes the filter of the corpus's training texts, and that it holds, into a model folder.

    Args:
        folder: of the model; a filter that is there is replaced.
        corpus: all that it was trained on.

    Returns:
        How many texts went into it.

    Raises:
        InputError: there is no model, or the corpus has no texts that people wrote to train on.
    """
    texts = _written(read_corpus(corpus))
    if not texts:
        raise InputError(f"{corpus} holds no texts to train on.")
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        settings = GenerationConfig.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder} is no model folder with tokenizer.json and generation_config.json."
        ) from error
    _filter(texts, tokenizer).save(folder)
    settings.memfree = True  # type: ignore[attr-defined]  # transformers keeps names it has not
    settings.save_pretrained(folder)
    return len(texts)


def memfree_of(
    recipe: Recipe, texts: Iterable[Text], tokenizer: PreTrainedTokenizerFast
) -> MemFree | None:
    """The filter that a trained model gets, where its recipe asks for one.

    A model that goes on from another, with its tokens, must not copy what that one had read either.

    Raises:
        InputError: the other one's filter is damaged, or has not the room.
    """
    if not recipe.sampling.memfree:
        return None
    if not isinstance(recipe.model, Pretrained) or recipe.tokens.kind != "pretrained":
        return _filter(_written(texts), tokenizer)
    name = recipe.model.name
    try:
        memfree = _filter(_written(texts), tokenizer, MemFree.find(name))
    except MemFreeError as error:
        raise InputError(f"model.name: {error}.") from error
    if memfree.mistaken > MOST_MISTAKEN:
        raise InputError(
            f"model.name: the {MEMFREE_FILE} of {name} has no room for so many texts more: give it "
            f"room first, by `python -m training memfree --model {name}` with a --corpus of all "
            "the texts, old and new."
        )
    return memfree


def _written(texts: Iterable[Text]) -> list[str]:
    """Those to train on that people wrote: nobody is robbed of what a model imagined."""
    return [text.text for text in texts if text.split is Split.TRAIN and text.domain != IMAGINED]


def _filter(
    texts: list[str], tokenizer: PreTrainedTokenizerFast, known: MemFree | None = None
) -> MemFree:
    encoded = tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
    rows = [text.ids for text in encoded]
    return MemFree.of(rows, continuations(tokenizer.backend_tokenizer, len(tokenizer)), known)
