"""What a student learns from its teacher: how likely every token was, not only which one came.

A text's own token says that one word was possible; a teacher that has read far more says how likely
each other one was, so a small model learns more of each text, and from texts that it reads again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from training.corpus.batches import IGNORED
from training.errors import InputError
from training.likelihood import token_losses
from training.teaching.teacher import load_teacher, reach

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from training.recipe import Teacher


def taught_losses(logits: Tensor, teacher_logits: Tensor, targets: Tensor) -> Tensor:
    """Nats of each target on average over what the teacher would have it be.

    The cross-entropy to its distribution: (rows, length) float32, zero where the target is
    `IGNORED`. Its gradient is that of the Kullback-Leibler divergence.
    """
    losses = functional.cross_entropy(
        logits.flatten(0, 1).float(),
        teacher_logits.flatten(0, 1).float().softmax(dim=-1),
        reduction="none",
    )
    return losses.view(targets.shape).masked_fill(targets == IGNORED, 0.0)


class Lesson:
    """A teacher beside the student, reading the same batches."""

    def __init__(self, teacher: Teacher, student: PreTrainedModel, context: int) -> None:
        """Loads the teacher to where the student computes.

        Raises:
            InputError: there is no such teacher, or it reads less, or other tokens.
        """
        self._share = teacher.share
        self._model, _ = load_teacher(teacher.name, student.device, "teacher.name")
        taught, learned = self._model.config.vocab_size, student.config.vocab_size
        if taught != learned:
            raise InputError(
                f"teacher.name: {teacher.name} has {taught} tokens, the student {learned}."
            )
        if context > (most := reach(self._model, "teacher.name")):
            raise InputError(f"model.context: the teacher reads {most} tokens at most.")

    def losses(self, logits: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """(rows, length) nats per target, from the student's logits and the tokens it read."""
        with torch.no_grad():
            teacher_logits = self._model(input_ids=inputs, use_cache=False).logits
        taught = taught_losses(logits, teacher_logits, targets)
        if self._share == 1.0:
            return taught
        return torch.lerp(token_losses(logits, targets), taught, self._share)
