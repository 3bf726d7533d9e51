"""A trained model as a folder that transformers, our generator and a hub can load."""

from __future__ import annotations

import copy
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from transformers import GenerationConfig

from generator.sampling.memfree import MEMFREE_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from generator.sampling.memfree import MemFree
    from training.sampling import Sampling


def publish(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    sampling: Sampling,
    memfree: MemFree | None,
    folder: Path,
) -> None:
    """Writes config, weights in half precision, tokenizer, sampling settings and filter."""
    half = copy.deepcopy(model).half()
    half.generation_config = GenerationConfig(
        do_sample=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **sampling.model_dump(),
    )
    half.save_pretrained(folder)
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(folder)
    if memfree is not None:
        memfree.save(folder)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A folder of the same name elsewhere, whose files go into `folder` when all are written.

    So a model that is there already stays whole until then, whenever the process dies.
    """
    beside = folder.parent / ".unfinished" / folder.name
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    yield beside
    folder.mkdir(exist_ok=True)
    filtered = (beside / MEMFREE_FILE).exists()
    mode = 0o666 & ~_umask()
    for file in beside.iterdir():
        file.chmod(mode)  # safetensors makes its files for their owner alone
        file.replace(folder / file.name)
    if not filtered:  # that of another vocabulary may be there; the settings no longer ask for it
        (folder / MEMFREE_FILE).unlink(missing_ok=True)
    beside.rmdir()
    with suppress(OSError):  # another training's may be there
        beside.parent.rmdir()


def _umask() -> int:
    """The process's; it can be read only by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
