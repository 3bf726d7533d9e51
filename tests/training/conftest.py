"""Tiny models are slower on two threads than on one, above all while others use the cores."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from tests.training.small import STORIES, TEXTS, TOKENIZER, llama
from training.__main__ import main
from training.corpus.batches import collate, encode
from training.likelihood import token_losses

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def pretrained_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with tokens of its own that has read some stories: it spells in whole characters."""
    model = llama(len(TOKENIZER)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    batch = collate(encode(TEXTS[:16], TOKENIZER, 255))
    for _ in range(40):
        logits = model(input_ids=batch.inputs).logits
        (token_losses(logits, batch.targets).sum() / batch.tokens).backward()
        optimizer.step()
        optimizer.zero_grad()
    folder = tmp_path_factory.mktemp("pretrained")
    model.save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder


@pytest.fixture
def base(tmp_path: Path, pretrained_llama: Path) -> Path:
    """A folder of that model, to be used or damaged."""
    folder = tmp_path / "base"
    shutil.copytree(pretrained_llama, folder)
    return folder


@pytest.fixture(scope="session")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own stories, cleaned; for tests that leave them as they are."""
    path = tmp_path_factory.mktemp("cleaned") / "corpus.jsonl"
    assert main(["clean", str(STORIES), "--out", str(path)]) == 0
    return path


@pytest.fixture
def corpus(tmp_path: Path, cleaned: Path) -> Path:
    """The same in a folder of the test's own, to be changed."""
    return Path(shutil.copy(cleaned, tmp_path / "corpus.jsonl"))
