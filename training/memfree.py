"""`python -m training memfree`: a model folder learns what its stories must not copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.memfree import MemFree
from generator.vocabulary import inside_words
from training.corpus import IMAGINED, Split, read_corpus
from training.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast

    from generator.models.loading import LoadedModel
    from training.corpus import Text


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
    texts = written(read_corpus(corpus))
    if not texts:
        raise InputError(f"{corpus} holds no texts to train on.")
    write_memfree(texts, model.tokenizer, model.config.vocab_size, folder)
    settings = model.model.generation_config
    settings.memfree = True  # type: ignore[attr-defined]  # transformers keeps names it has not
    settings.save_pretrained(folder)
    return len(texts)


def written(texts: Iterable[Text]) -> list[str]:
    """Those to train on that people wrote: nobody is robbed of what a model imagined."""
    return [text.text for text in texts if text.split is Split.TRAIN and text.domain != IMAGINED]


def write_memfree(
    texts: list[str], tokenizer: PreTrainedTokenizerFast, vocab_size: int, folder: Path
) -> None:
    """The filter of these texts as a file of the folder."""
    rows = tokenizer(texts, add_special_tokens=False).input_ids
    MemFree.of(rows, inside_words(tokenizer, vocab_size)).save(folder)
