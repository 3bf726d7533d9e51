"""One plain training loop for every model.

It can be stopped at any step and goes on from its checkpoint as if nothing had been: weights,
optimizers, the order of the data and the dice of dropout all come back.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import torch

from training.corpus.batches import Batch, Position, Stream
from training.errors import InputError, TeamLostError
from training.hardware import has_bf16
from training.interruption import Interrupted, Wish
from training.learning.article import open_stream
from training.learning.checkpoint import Checkpoint, Measurement
from training.learning.dropout import quicken_dropout
from training.learning.optimization import halvings, optimizers, rate
from training.learning.progress import ProgressBar
from training.learning.team import Team
from training.likelihood import likelihood, token_losses
from training.recipe import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from training.corpus.spelling import Spelling
    from training.recipe import Training
    from training.teaching.lesson import Lesson

CHECKPOINT_SECONDS = 180.0


class Loop:
    """Trains one model on rows of token ids."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        training: Training,
        rows: Sequence[np.ndarray],
        target_rows: Sequence[np.ndarray],
        validation: Sequence[str],
        folder: Path,
        team: Team | None = None,
        spelling: Spelling | None = None,
        lesson: Lesson | None = None,
    ) -> None:
        """Takes up the checkpoint of `folder` where there is one.

        Args:
            model: trained in place.
            tokenizer: to measure on validation texts.
            training: the recipe's section.
            rows: token ids of the training texts.
            target_rows: of those from the target file.
            validation: texts.
            folder: for checkpoint, best weights and log.
            team: the processes that train together; each has a loop of its own.
            spelling: what unknown words of validation cost, where there may be any.
            lesson: from a teacher, where there is one.

        Raises:
            InputError: several processes cannot train by this recipe.
        """
        self._team = team or Team()
        if training.window and self._team.size > 1:
            raise InputError(
                "training.window: one stream goes on from window to window, so several processes "
                "cannot share it; start one."
            )
        self._model = model
        self._tokenizer = tokenizer
        self._training = training
        self._rows = rows
        self._target_rows = target_rows
        self._validation = validation
        self._spelling = spelling
        self._lesson = lesson
        if model.device.type == "cpu":
            quicken_dropout(model)
        self._bf16 = training.bf16 and has_bf16(model.device)
        self._optimizers = optimizers(model, training)
        torch.manual_seed(training.seed + self._team.rank)  # each throws its own dropout
        self._checkpoint = Checkpoint(folder, self._team)
        # The state is an LSTM's after its last window, where one goes on from the other.
        self.course, self._state = self._checkpoint.load(model, self._optimizers, model.device)
        self._planned = training.epochs * self._open(rows).tokens
        self._counted = time.monotonic()
        """Until when time is in the course's seconds."""
        self._step_seconds = 0.0
        """Of the last step."""
        self._wish = Wish()
        self._agreed_stop = 0
        """The signal that came to one of the team; all know of it since the last step."""

    @property
    def over(self) -> bool:
        """Whether the schedule is through: another step would leave its minutes, or its tokens."""
        if self._training.minutes:
            end = self.course.seconds + self._step_seconds / 2
            return self.course.step > 0 and end >= 60 * self._training.minutes
        return self.progress >= 1.0

    @property
    def progress(self) -> float:
        """Share of the schedule that is done, by wall time or by tokens."""
        if self._training.minutes:
            return min(1.0, self.course.seconds / (60 * self._training.minutes))
        return min(1.0, self.course.tokens / self._planned)

    def run(self) -> None:
        """Trains to the end of the schedule, or until validation no longer improves.

        Afterwards the model has the weights that were best on validation, or on training where
        the recipe keeps that fault.

        Raises:
            InputError: the recipe makes the loss infinite.
            Interrupted: SIGINT or SIGTERM came; the checkpoint is saved.
            TeamLostError: another process died; the leader has saved the checkpoint.
        """
        self._counted = time.monotonic()
        visible = self._team.leads
        with (
            self._wish.listening(),  # to the end: launchers tell those to stop whom one has left
            ProgressBar.open(self.course, self._training, self._planned, visible=visible) as bar,
        ):
            try:
                self._train(bar)
            except TeamLostError as lost:
                if not self._team.leads:
                    raise
                self._save(alone=True)
                raise TeamLostError(self.course.step) from lost
        self._save()
        self._checkpoint.load_best(self._model)
        self._model.tie_weights()

    def _train(self, bar: ProgressBar) -> None:
        """Step after step, to the end of the schedule."""
        saved = self.course.seconds
        batches = self._batches()
        while not self._done():
            position, annealing = replace(self.course.position), self.course.annealing
            step = list(islice(batches, self._training.accumulate * self._team.size))
            try:
                loss = self._step(step)
            except TeamLostError:  # these texts are still to be read
                self.course.position, self.course.annealing = position, annealing
                raise
            bar.show_step(loss)
            every = self._training.validate_every
            due = self.course.step % every == 0 if every else any(part.last for part in step)
            if self.over or due:
                bar.show_validation(self._measure())
            if self._agreed_stop:
                self._save()
                raise Interrupted(self._agreed_stop)
            if self.course.seconds - saved > CHECKPOINT_SECONDS:
                self._save()
                saved = self.course.seconds

    def _batches(self) -> Iterator[Batch]:
        """Batches of all texts, then of the target's alone."""
        course = self.course
        stream: Iterator[Batch] | None = None
        while True:
            if not course.annealing and self.progress >= 1 - self._training.target_last:
                course.annealing, course.position, stream = True, Position(), None
                self._state = None
            if stream is None:
                rows = self._target_rows if course.annealing else self._rows
                stream = iter(self._open(rows))
            yield next(stream)

    def _open(self, rows: Sequence[np.ndarray]) -> Stream:
        return open_stream(rows, self._training, self._tokenizer.eos_token_id, self.course.position)

    def _step(self, batches: Sequence[Batch]) -> float:
        """One update from all processes' batches; returns their mean loss in nats per real token.

        Every process knows all batches, but reads only its own.
        """
        course, training = self.course, self._training
        self._model.train()
        share = self._rate()
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * share
        tokens = sum(batch.tokens for batch in batches)
        loss = 0.0
        for batch in self._team.share(batches):
            with torch.autocast(self._model.device.type, torch.bfloat16, enabled=self._bf16):
                logits = self._read(batch)
            part = self._losses(logits, batch).sum() / tokens
            part.backward()
            loss += part.item()
        loss = self._agree(loss)
        if not math.isfinite(loss):
            raise InputError(
                f"The loss is no longer a number at step {course.step}: lower the learning rates "
                "and begin anew."
            )
        self._team.sum_gradients(self._model.parameters())
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), training.clip)
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        course.step += 1
        course.tokens += tokens
        course.loss_sum += loss * tokens
        course.loss_tokens += tokens
        return loss

    def _agree(self, loss: float) -> float:
        """The summed loss; all take the leader's clock, and the wish of any to stop."""
        told = self._team.table([loss, self._seconds(), self._wish.signal])
        self._step_seconds = float(told[0, 1]) - self.course.seconds
        self.course.seconds = float(told[0, 1])
        self._agreed_stop = int(told[:, 2].max())
        return float(told[:, 0].sum())

    def _seconds(self) -> float:
        """The course's seconds until now, by this process's clock."""
        now = time.monotonic()
        passed, self._counted = now - self._counted, now
        return self.course.seconds + passed

    def _rate(self) -> float:
        """Share of the peak learning rate at this step."""
        training, progress = self._training, self.progress
        if Fault.UNCLEANED_SCHEDULE in training.faults:
            progress *= min(1.0, len(self._rows) / training.uncleaned_rows)
        share = rate(progress, training)
        if training.halve_after:
            losses = [line.train_loss for line in self.course.measurements]
            share *= 0.5 ** halvings(losses, training.halve_after)
        return share

    def _read(self, batch: Batch) -> Tensor:
        """Logits; a window goes on from the state of the one before, within an epoch."""
        inputs = batch.inputs.to(self._model.device)
        if not self._training.window:
            logits: Tensor = self._model(input_ids=inputs).logits
            return logits
        output = self._model(input_ids=inputs, state=self._state)
        self._state = None if batch.last else tuple(part.detach() for part in output.state)
        return output.logits  # type: ignore[no-any-return]  # transformers leaves it open

    def _losses(self, logits: Tensor, batch: Batch) -> Tensor:
        """(rows, length) nats per target, by the text's own tokens or the teacher's."""
        targets = batch.targets.to(logits.device)
        if self._lesson is None:
            return token_losses(logits, targets)
        return self._lesson.losses(logits, batch.inputs.to(logits.device), targets)

    def _measure(self) -> float:
        """Bits per byte on validation; keeps the weights where it is the lowest so far."""
        course = self.course
        bits = math.inf
        if self._team.leads:
            bits = likelihood(
                self._model,
                self._tokenizer,
                self._validation,
                spelling=self._spelling,
                bf16=self._bf16,
                visible=True,
            ).bits_per_byte
        before = course.seconds
        bits, course.seconds = self._team.of_leader((bits, self._seconds()))
        course.measuring += course.seconds - before
        train_loss = course.loss_sum / max(1, course.loss_tokens)
        on_training = Fault.BEST_ON_TRAINING in self._training.faults
        score = train_loss if on_training else bits
        course.since_best += 1
        if score < course.best:
            course.best, course.since_best = score, 0
            self._checkpoint.keep_best(self._model)
        course.measurements.append(
            Measurement(
                step=course.step,
                progress=self.progress,
                seconds=course.seconds,
                tokens=course.tokens,
                train_loss=train_loss,
                bits_per_byte=bits,
            )
        )
        course.loss_sum, course.loss_tokens = 0.0, 0
        self._checkpoint.write_log(course.measurements)
        return bits

    def _done(self) -> bool:
        """The schedule is at its end and measured, or validation has not improved for long."""
        measured = bool(self.course.measurements) and not self.course.loss_tokens
        patience = self._training.patience
        exhausted = patience > 0 and self.course.since_best >= patience
        return (self.over and measured) or exhausted

    def _save(self, *, alone: bool = False) -> None:
        self._checkpoint.save(self._model, self._optimizers, self.course, self._state, alone=alone)
