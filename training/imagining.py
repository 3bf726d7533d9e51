"""`python -m training imagine`: a corpus grows by texts that a model invents.

A student that learns from a teacher needs texts to read, and few were written. What the teacher
draws by its own probabilities is as its texts are on average, and without end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm
from transformers import AutoTokenizer, DynamicCache

from training.building import load_teacher
from training.corpus import IMAGINED, Split, Text, append_corpus, read_corpus, write_corpus
from training.diversity import Copies, words_of
from training.errors import InputError
from training.hardware import best_device
from training.interruption import Interrupted, Wish
from training.recipe import Teacher

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

_SHORTEST = 20
"""Words of a text that is kept, as of one that `clean` keeps."""

_THIN_OUT = 16
"""Tokens between two times when the rows that have ended leave the batch."""


def imagine(
    name: str, corpus: Path, out: Path, *, count: int, batch: int, length: int, seed: int
) -> None:
    """Writes a corpus and, after its texts, imagined ones to train on.

    A text that shares a run of eight words with any of the corpus, held out or not, is left out:
    a model that reads the result learns nothing by heart that it would not have from the corpus.
    A file that an interrupted run left is gone on with.

    Args:
        name: a folder that a recipe with `model.teaches` made, or any GPT-2's.
        corpus: made by `python -m training clean`.
        out: the larger corpus.
        count: imagined texts that it shall have.
        batch: drawn at a time; as many as memory allows are fastest.
        length: tokens of a text at most; a longer one is left out.
        seed: other texts for another.

    Raises:
        InputError: there is no such model, `out` is another corpus, or no text can be kept.
        Interrupted: told to stop; what was drawn is in `out`.
    """
    texts = read_corpus(corpus)
    device = best_device()
    model = load_teacher(Teacher(name=name), device)
    tokenizer: Any = AutoTokenizer.from_pretrained(name)
    known = Copies(text.text for text in texts)
    have = _begin(texts, out)
    wish = Wish()
    with wish.listening(), tqdm(total=count, initial=have, unit="text", mininterval=1.0) as bar:
        while have < count:
            torch.manual_seed(seed * 10**9 + have)  # so that going on is as if nothing had been
            rows = draw(model, tokenizer.eos_token_id, batch, length)
            drawn = [text for text in tokenizer.batch_decode(rows) if _fit(text, known)]
            if not drawn:
                raise InputError(
                    f"Of {batch} texts that {name} began none could be kept: none ended within "
                    "--length tokens, or all were copies. Raise --length or --batch."
                )
            found = [Text(text, "", IMAGINED, Split.TRAIN) for text in drawn[: count - have]]
            append_corpus(found, out)
            have += len(found)
            bar.update(len(found))
            if wish.signal:
                raise Interrupted(wish.signal)


def _begin(texts: list[Text], out: Path) -> int:
    """Writes the corpus unless it stands in `out`; returns how many imagined texts do."""
    if not out.exists():
        write_corpus(texts, out)
        return 0
    before = read_corpus(out)
    imagined = before[len(texts) :]
    if before[: len(texts)] != texts or any(text.domain != IMAGINED for text in imagined):
        raise InputError(f"{out} is there and grew from another corpus: choose another --out.")
    return len(imagined)


def _fit(text: str, known: Copies) -> bool:
    """Whether it is long enough, and its own."""
    words = words_of(text)
    return len(words) >= _SHORTEST and known.share(words) == 0.0


@torch.inference_mode()
def draw(model: PreTrainedModel, end: int, batch: int, length: int) -> list[list[int]]:
    """Tokens of whole texts by the model's own probabilities, of `batch` begun, in no order.

    Args:
        model: with transformers' cache of keys and values.
        end: the token before and after every text.
        batch: texts to begin; the rows that have ended leave the batch, so the rest is faster.
        length: tokens after which a text that has not ended is dropped.
    """
    cache: Any = DynamicCache(config=model.config)
    rows = torch.full((batch, 1), end, device=model.device)
    whole: list[list[int]] = []
    for step in range(length + 1):
        logits = model(input_ids=rows[:, -1:], past_key_values=cache, use_cache=True).logits
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
