"""A recipe: everything that decides a training, in one TOML file.

Any value can be given again on the command line as `--set section.name=value`.
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training.errors import InputError
from training.sampling import Sampling

FOLDER = Path(__file__).parent / "recipes"

Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(gt=0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GPT2(_Section):
    """A GPT-2 from random weights."""

    kind: Literal["gpt2"]
    embedding_size: Positive
    num_layers: Positive
    num_heads: Positive
    context: Positive
    """Tokens of prompt and story together; longer texts are cut in training."""
    dropout: Rate = 0.0

    @model_validator(mode="after")
    def _heads_are_equally_wide(self) -> Self:
        if self.embedding_size % self.num_heads:
            raise ValueError("embedding_size must be a multiple of num_heads")
        return self


class LSTM(_Section):
    """An LSTM from random weights; its noise is explained in `generator.models.lstm`."""

    kind: Literal["lstm"]
    embedding_size: Positive
    hidden_size: Positive
    num_layers: Positive
    context: Positive
    tied: bool = True
    input_dropout: Rate = 0.0
    layer_dropout: Rate = 0.0
    output_dropout: Rate = 0.0
    locked_dropout: bool = True
    weight_drop: Rate = 0.0
    float32_layers: bool = False


class Pretrained(_Section):
    """A model that goes on from its weights."""

    kind: Literal["pretrained"]
    name: str
    """A model folder, or a name of the hub."""
    context: Positive
    """Longer texts are cut in training; at most what the model can read."""
    dropout: Rate | None = None
    """Of embeddings and between layers, instead of the model's own."""
    lora_rank: Annotated[int, Field(ge=0)] = 0
    """Of small matrices that learn beside the frozen model; 0: the model itself learns."""
    lora_alpha: Annotated[int, Field(ge=0)] = 0
    """They count alpha / rank times; 0: twice the rank, so twice."""
    lora_dropout: Rate = 0.0
    teaches: bool = False
    """A causal model of any kind, to teach from: it is published as transformers saves it, and the
    generator does not tell from it."""

    @model_validator(mode="after")
    def _a_teacher_learns_whole(self) -> Self:
        if self.teaches and (self.lora_rank or self.dropout is not None):
            raise ValueError("a model that teaches keeps its own dropout, and has no lora_rank")
        return self


class Teacher(_Section):
    """A larger model whose whole distribution is learned, not only the token that came.

    Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network".
    """

    name: str
    """A folder that `teaches` made; the student has its tokens."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of the loss; the rest is what the texts' own tokens cost."""


class Tokens(_Section):
    """How texts are cut."""

    kind: Literal["bpe", "words", "pretrained"]
    """A vocabulary learned from the corpus, or that of the pretrained model or the teacher. A
    pretrained model may learn a new one: each token begins as the mean of its old pieces."""
    vocab_size: Positive = 4096
    min_frequency: Positive = 2
    """A word seen less often is unknown; of no meaning for BPE."""


class Fault(StrEnum):
    """What the article did that hid its answer; each can be left out, so that its effect shows."""

    PADDING = "padding_in_loss"
    """Texts are padded to one length, and the padding is predicted and counted."""
    BEST_ON_TRAINING = "best_on_training"
    """The weights of the lowest training loss are kept, whatever they do on unseen texts."""
    NO_UNKNOWN_WORD = "no_unknown_word"
    """Every training word is in the vocabulary, and no text with another can be read at all."""
    DUPLICATES = "duplicates"
    """Those of the corpus are trained on."""
    UNCLEANED_SCHEDULE = "uncleaned_schedule"
    """The schedule is as long as the file before cleaning, so the rate never falls to zero."""


class Training(_Section):
    """How the weights come about."""

    epochs: Annotated[float, Field(gt=0)]
    """Passes over the training texts, which shape the schedule unless `minutes` does."""
    minutes: Annotated[float, Field(ge=0)] = 0.0
    """Wall time that shapes the schedule instead; 0: none."""
    batch_tokens: Annotated[int, Field(ge=0)] = 0
    """Real tokens in a batch, about; the texts of a batch are about equally long."""
    batch_rows: Annotated[int, Field(ge=0)] = 0
    """Instead: so many texts of any length, or pieces of the one stream where `window` is."""
    window: Annotated[int, Field(ge=0)] = 0
    """All texts are one stream, read in windows of so many tokens, each going on from the last."""
    accumulate: Positive = 1
    """Batches whose gradients make one step, each token counting the same."""
    optimizer: Literal["muon", "adamw"]
    """Muon trains matrices, AdamW all the rest; or AdamW trains all."""
    learning_rate: Annotated[float, Field(gt=0)]
    """AdamW's."""
    weight_decay: Annotated[float, Field(ge=0)]
    """AdamW's, on matrices only."""
    decay_vectors: bool = False
    """On gains and biases too."""
    betas: tuple[Rate, Rate] = (0.9, 0.95)
    muon_learning_rate: Annotated[float, Field(gt=0)] = 0.02
    muon_weight_decay: Annotated[float, Field(ge=0)] = 0.01
    muon_momentum: Rate = 0.95
    warmup: Share
    """Of the schedule, in which the rate rises from zero."""
    decay: Share
    """Of the schedule, in which the rate falls to zero at the end; between, it stands."""
    decay_shape: Literal["linear", "cosine"] = "linear"
    target_last: Share = 0.0
    """Of the schedule, the last part that sees the target file's texts alone."""
    halve_after: Annotated[int, Field(ge=0)] = 0
    """The rate is halved when training loss, at each measurement, was not lower than its lowest
    for more than so many of them; 0: never."""
    clip: Annotated[float, Field(gt=0)]
    """Gradients longer than this are shortened to it."""
    validate_every: Annotated[int, Field(ge=0)]
    """Steps between two measurements on validation; 0: at the end of each epoch."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Measurements without a better one before training stops; 0: never."""
    seed: int = 0
    bf16: bool = True
    """Autocast where the hardware has bfloat16 instructions."""
    faults: tuple[Fault, ...] = ()
    """Of the article, kept."""
    uncleaned_rows: Annotated[int, Field(ge=0)] = 0
    """Of the file before cleaning, for the fault of that name."""

    @model_validator(mode="after")
    def _batches_are_made_one_way(self) -> Self:
        if bool(self.batch_tokens) == bool(self.batch_rows):
            raise ValueError("give batch_tokens or batch_rows, and the other as 0")
        if self.window and not self.batch_rows:
            raise ValueError("a window needs batch_rows")
        return self

    @model_validator(mode="after")
    def _faults_can_be_had(self) -> Self:
        if Fault.PADDING in self.faults and (self.window or not self.batch_rows):
            raise ValueError("padding_in_loss needs batch_rows, and one stream has no padding")
        if Fault.UNCLEANED_SCHEDULE in self.faults and not self.uncleaned_rows:
            raise ValueError("uncleaned_schedule needs uncleaned_rows")
        if Fault.NO_UNKNOWN_WORD in self.faults and Fault.BEST_ON_TRAINING not in self.faults:
            raise ValueError(
                "no_unknown_word needs best_on_training: unseen texts cannot be read to choose by"
            )
        return self


class Recipe(_Section):
    """Everything that decides a training."""

    name: str
    model: Annotated[GPT2 | LSTM | Pretrained, Field(discriminator="kind")]
    tokens: Tokens
    training: Training
    sampling: Sampling
    teacher: Teacher | None = None

    @model_validator(mode="after")
    def _tokens_are_somebodys(self) -> Self:
        pretrained = self.model.kind == "pretrained"
        if self.teacher is not None and self.tokens.kind != "pretrained":
            raise ValueError("a student has its teacher's tokens: tokens.kind = 'pretrained'")
        if self.tokens.kind == "pretrained" and not (pretrained or self.teacher):
            raise ValueError("tokens.kind = 'pretrained' is for a pretrained model or a teacher")
        if self.tokens.kind == "words" and pretrained:
            raise ValueError("a pretrained model has its own tokens, or bpe")
        if isinstance(self.model, Pretrained) and self.model.teaches and self.tokens.kind != "bpe":
            raise ValueError("a model that teaches learns our tokens: tokens.kind = 'bpe'")
        return self

    @model_validator(mode="after")
    def _the_training_is_the_models(self) -> Self:
        if self.training.window and self.model.kind != "lstm":
            raise ValueError("only an LSTM goes on from window to window")
        if self.teacher and (self.training.window or Fault.PADDING in self.training.faults):
            raise ValueError("a teacher knows nothing of the window before, or of padding")
        if Fault.NO_UNKNOWN_WORD in self.training.faults and self.tokens.kind != "words":
            raise ValueError("no_unknown_word is of tokens.kind = 'words'")
        return self


def load_recipe(name: str, settings: list[str] = []) -> Recipe:  # noqa: B006  # never changed
    """The recipe of a TOML file, or of that name among ours, with settings over it.

    Args:
        name: a path, or a name in `training/recipes`.
        settings: `section.name=value`, values as TOML writes them.

    Raises:
        InputError: no such recipe or setting, or a value it cannot take.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        ours = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
        raise InputError(f"{name}: no such recipe. Ours are {ours}; or give a .toml file.")
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        for setting in settings:
            _set(values, setting)
        return Recipe.model_validate({"name": path.stem, **values})
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} or a --set is not TOML: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"Recipe {path.stem}, {where}: {first['msg']}.") from error


def _set(values: dict[str, Any], setting: str) -> None:
    where, equals, value = setting.partition("=")
    section, dot, name = where.strip().partition(".")
    if not (equals and dot):
        raise InputError(f"--set {setting}: write it as section.name=value.")
    values.setdefault(section, {})[name] = tomllib.loads(f"value = {value}")["value"]
