"""What a student learns from its teacher: how likely every token was, not only which one came.

A text's own token says that one word was possible; a teacher that has read far more says how likely
each other one was, so a small model learns more of each text, and from texts that it reads again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from training.building import load_teacher
from training.errors import InputError
from training.likelihood import taught_losses, token_losses

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from training.recipe import Teacher


class Lesson:
    """A teacher beside the student, reading the same batches."""

    def __init__(self, teacher: Teacher, student: PreTrainedModel, context: int) -> None:
        """Loads the teacher to where the student computes.

        Raises:
            InputError: there is no such teacher, or it reads less, or other tokens.
        """
        self._share = teacher.share
        self._model = load_teacher(teacher, student.device)
        config = self._model.config
        if config.vocab_size != student.config.vocab_size:
            raise InputError(
                f"teacher.name: {teacher.name} has {config.vocab_size} tokens, the student "
                f"{student.config.vocab_size}."
            )
        if config.max_position_embeddings < context:
            raise InputError(
                f"model.context: the teacher reads {config.max_position_embeddings} tokens at most."
            )

    def losses(self, logits: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        """(rows, length) nats per target, from the student's logits and the tokens it read."""
        with torch.no_grad():
            teacher_logits = self._model(input_ids=inputs, use_cache=False).logits
        taught = taught_losses(logits, teacher_logits, targets)
        if self._share == 1.0:
            return taught
        return torch.lerp(token_losses(logits, targets), taught, self._share)
