"""`python -m training imagine`: a corpus grows by texts that a model invents.

A student that learns from a teacher needs texts to read, and few were written. What the teacher
draws by its own probabilities is as its texts are on average, and without end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm
from transformers import DynamicCache

from training.corpus.copies import Copies, words_of
from training.corpus.rules import MIN_WORDS
from training.corpus.texts import (
    IMAGINED,
    Split,
    Text,
    append_corpus,
    read_corpus,
    whole_lines,
    write_corpus,
)
from training.errors import InputError
from training.hardware import best_device
from training.interruption import Interrupted, Wish
from training.teaching.teacher import load_teacher, reach

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from transformers import PreTrainedModel

_THIN_OUT = 16
"""Tokens between two times when the rows that have ended leave the batch."""


def imagine(
    name: str, corpus: Path, out: Path, *, count: int, batch: int, length: int, seed: int
) -> None:
    """Writes a corpus and, after its texts, imagined ones to train on.

    A text that shares a run of eight words with any of the corpus, held out or not, is left out:
    a model that reads the result learns nothing by heart that it would not have from the corpus.
    A file that an interrupted run left is gone on with, by whatever model and settings are given.

    Args:
        name: a folder that a recipe with `model.teaches` made, or a GPT-2's.
        corpus: made by `python -m training clean`.
        out: the larger corpus.
        count: imagined texts that it shall have.
        batch: drawn at a time; as many as memory allows are fastest.
        length: tokens of a text at most; a longer one is left out.
        seed: other texts for another.

    Raises:
        InputError: there is no such model, `out` is another corpus, or no text can be kept.
        Interrupted: told to stop; whole batches that were drawn are in `out`.
    """
    texts = read_corpus(corpus)
    model, tokenizer = load_teacher(name, best_device(), "--model")
    if length >= (most := reach(model, "--model")):
        raise InputError(f"--length {length}: {name} reads {most} tokens, so {most - 1} at most.")
    have = _begin(texts, corpus, out)
    known = Copies(text.text for text in texts)
    wish = Wish()
    with wish.listening(), tqdm(total=count, initial=have, unit="text", mininterval=1.0) as bar:
        while have < count:
            torch.manual_seed((seed * 10**9 + have) % 2**63)  # a batch is the same after a stop
            rows = draw(
                model, tokenizer.eos_token_id, batch, length, wanted=lambda: not wish.signal
            )
            if wish.signal:
                raise Interrupted(wish.signal)
            drawn = [" ".join(text.split()) for text in tokenizer.batch_decode(rows)]
            kept = [Text(text, "", IMAGINED, Split.TRAIN) for text in drawn if _fit(text, known)]
            if not kept:
                raise InputError(
                    f"Of {batch} texts that {name} began none could be kept: none ended within "
                    "--length tokens, or all were copies. Raise --length or --batch."
                )
            kept = kept[: count - have]
            append_corpus(kept, out)
            have += len(kept)
            bar.update(len(kept))


def _begin(texts: list[Text], corpus: Path, out: Path) -> int:
    """Writes the corpus unless it stands in `out`; returns how many imagined texts do."""
    if not out.exists():
        write_corpus(texts, out)
        return 0
    whole_lines(out)
    before = read_corpus(out)
    imagined = before[len(texts) :]
    same = before[: len(texts)] == texts and all(text.domain == IMAGINED for text in imagined)
    if not same or out.samefile(corpus):
        raise InputError(f"{out} is there and did not grow from {corpus}: choose another --out.")
    return len(imagined)


def _fit(text: str, known: Copies) -> bool:
    """Whether it is as long as `clean` asks of a text, readable, and nobody else's."""
    enough = len(text.split()) >= MIN_WORDS
    return enough and "\ufffd" not in text and known.share(words_of(text)) == 0.0


@torch.inference_mode()
def draw(
    model: PreTrainedModel,
    end: int,
    batch: int,
    length: int,
    wanted: Callable[[], bool] = lambda: True,
) -> list[list[int]]:
    """Tokens of whole texts by the model's own probabilities, of `batch` begun, in no order.

    Args:
        model: with transformers' cache of keys and values.
        end: the token before and after every text.
        batch: texts to begin; the rows that have ended leave the batch, so the rest is faster.
        length: tokens after which a text that has not ended is dropped.
        wanted: whether to go on, asked at each token.

    Raises:
        InputError: the batch is too large for the GPU's memory.
    """
    cache: Any = DynamicCache(config=model.config)
    rows = torch.full((batch, 1), end, device=model.device)
    whole: list[list[int]] = []
    for step in range(length + 1):
        if not wanted():
            break
        try:
            logits = model(input_ids=rows[:, -1:], past_key_values=cache, use_cache=True).logits
        except torch.OutOfMemoryError as error:
            raise InputError(f"--batch {batch}: the GPU has not the memory; give fewer.") from error
        tokens = torch.multinomial(logits[:, -1].float().softmax(dim=-1), 1)
        rows = torch.cat([rows, tokens], dim=1)
        if step % _THIN_OUT == 0 or step == length:
            ended = (rows[:, 1:] == end).any(dim=1)
            whole += rows[ended, 1:].tolist()
            going = (~ended).nonzero().flatten()
            if not len(going):
                break
            rows = rows[going]
            cache.batch_select_indices(going)
    return [row[: row.index(end)] for row in whole]
