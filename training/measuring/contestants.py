"""Who takes part in `python -m training bench`: our loop, and transformers' own `Trainer`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from transformers import DataCollatorForSeq2Seq, PrinterCallback, Trainer, TrainingArguments

from training.corpus.batches import IGNORED, Stream, bucketed, collate, encode
from training.hardware import has_bf16
from training.learning.loop import Loop
from training.likelihood import token_losses

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from training.recipe import Training


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What every contestant has to do."""

    training: Training
    model: PreTrainedModel
    """Fresh; each contestant trains a copy."""
    tokenizer: PreTrainedTokenizerFast
    rows: list[np.ndarray]
    """Token ids of the texts, none longer than the model's context."""
    held_out: list[str]

    @property
    def tokens(self) -> int:
        """Real targets of the epoch."""
        return sum(len(row) - 1 for row in self.rows)

    @property
    def batch_rows(self) -> int:
        """Texts in a batch that has on average as many real tokens as one of our loop."""
        batches = bucketed([len(row) - 1 for row in self.rows], self.training.batch_tokens)
        return max(1, round(len(self.rows) / len(batches)))

    @property
    def padding(self) -> float:
        """Share of it in our batches: all that packing several texts into a row could save."""
        positions = 0
        for batch in Stream(self.rows, self.training.batch_tokens, self.training.seed):
            positions += batch.inputs.numel()
            if batch.last:
                break
        return 1 - self.tokens / positions

    @torch.inference_mode()
    def loss(self, model: PreTrainedModel) -> float:
        """Nats per token of the held-out texts, in float32."""
        model.eval()
        batch = collate(encode(self.held_out, self.tokenizer, model.config.max_position_embeddings))
        logits = model(input_ids=batch.inputs.to(model.device)).logits
        return token_losses(logits, batch.targets.to(model.device)).sum().item() / batch.tokens


@dataclass(frozen=True, slots=True)
class Epoch:
    """One training."""

    tokens: int
    """Real targets it has seen."""
    seconds: float
    loss: float = float("nan")


Contestant: TypeAlias = "Callable[[Work, PreTrainedModel, Path], Epoch]"
"""Trains the model for one epoch, in a folder of its own, and measures only that."""


def _kataribe(
    work: Work, model: PreTrainedModel, folder: Path, *, optimizer: str = "adamw"
) -> Epoch:
    """Our loop; it also measures one text and saves its checkpoint, in its own time."""
    training = work.training.model_copy(update={"optimizer": optimizer})
    loop = Loop(model, work.tokenizer, training, work.rows, work.rows, work.held_out[:1], folder)
    seconds = _seconds(loop.run)
    return Epoch(loop.course.tokens, seconds)


def _trainer(work: Work, model: PreTrainedModel, folder: Path, *, tuned: bool) -> Epoch:
    """The Trainer."""
    training, on_cpu = work.training, model.device.type == "cpu"
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,
        per_device_train_batch_size=work.batch_rows,
        optim="adamw_torch_fused",
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        adam_beta1=training.betas[0],
        adam_beta2=training.betas[1],
        max_grad_norm=training.clip,
        lr_scheduler_type="linear",
        warmup_steps=training.warmup,
        seed=training.seed,
        bf16=tuned and training.bf16 and has_bf16(model.device),
        train_sampling_strategy="group_by_length" if tuned else "random",
        use_cpu=on_cpu,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    if not on_cpu:
        arguments._n_gpu = 1  # noqa: SLF001  # of several it would take all, and ours takes one
    padding = _Padding(work.tokenizer)
    rows = [{"input_ids": row.tolist(), "labels": row.tolist()} for row in work.rows]
    trainer = Trainer(model, arguments, data_collator=padding, train_dataset=rows)
    trainer.remove_callback(PrinterCallback)
    seconds = _seconds(trainer.train)
    return Epoch(padding.tokens, seconds)


class _Padding:
    """The Trainer's batches, padded to their longest text, and the real targets in them."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._pad = DataCollatorForSeq2Seq(tokenizer)  # of the ready-made ones, it keeps the end
        self.tokens = 0

    def __call__(self, rows: list[dict[str, list[int]]]) -> Any:
        batch = self._pad(rows)
        self.tokens += int((batch["labels"][:, 1:] != IGNORED).sum())
        return batch


OURS = ("kataribe", "kataribe-muon")
"""Those that train an LSTM too; the Trainer is for transformers."""

CONTESTANTS: dict[str, Contestant] = {
    "kataribe": _kataribe,
    "kataribe-muon": partial(_kataribe, optimizer="muon"),
    "trainer": partial(_trainer, tuned=False),
    "trainer-tuned": partial(_trainer, tuned=True),
}


def _seconds(run: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin
