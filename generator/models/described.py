"""What a folder says, or the hub, beside its weights, as transformers reads it.

For folders of which `plain_folder` does not know every word. Importing transformers' tokenizers
takes a second; its models, which take longer and 140 MB of memory, are not wanted here.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoConfig,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)
from transformers.utils import GENERATION_CONFIG_NAME
from transformers.utils.hub import cached_file

from generator.models.errors import ModelFolderError
from generator.models.gguf_file import gguf_of, read_header
from generator.models.gguf_model import config_in
from generator.models.shapes import (
    GPT2_KIND,
    LLAMA_KINDS,
    LSTM_KIND,
    GPT2Shape,
    LlamaShape,
    LSTMShape,
    Shape,
)
from generator.models.tokens import Tokens, is_panic, plain
from generator.sampling.settings import StorySettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Described:
    """What a folder says, or the hub, beside the weights."""

    tokenizer: PreTrainedTokenizerFast
    generation: GenerationConfig

    @classmethod
    def read(cls, where: str, config: PreTrainedConfig) -> Described:
        """From a folder or the hub.

        Args:
            where: the folder, or the hub's name.
            config: its configuration.

        Raises:
            ModelFolderError: the tokenizer is damaged or not a fast one.
            Exception: whatever else transformers says of what it cannot read.
        """
        said = generation_of(where) or GenerationConfig.from_model_config(config)
        return cls(tokenizer_of(where), said)

    @property
    def tokens(self) -> Tokens:
        """The same tokenizer, as the generator takes it."""
        tokenizer = self.tokenizer
        return Tokens(
            backend=tokenizer.backend_tokenizer,
            bos_id=tokenizer.bos_token_id,
            eos_id=tokenizer.eos_token_id,
            unk_id=tokenizer.unk_token_id,
        )

    @property
    def settings(self) -> StorySettings:
        """How its stories are told."""
        return StorySettings.read(vars(self.generation))[0]

    @property
    def ends(self) -> tuple[int, ...]:
        """Token ids that end a story, if the folder's are numbers."""
        eos: int | list[int] | None = self.generation.eos_token_id
        if eos is None:
            return ()
        return tuple(eos) if isinstance(eos, list) else (eos,)


def shape_of(where: str, config: PreTrainedConfig | None = None) -> Shape:
    """What the model's configuration says, read if it is not given.

    Raises:
        ModelFolderError: the model is of a kind that is not told here.
        Exception: whatever transformers says of a configuration that it cannot read.
    """
    config = config or config_of(where)
    try:
        return shape_in(config)
    except ModelFolderError as error:
        raise ModelFolderError(f"{where}: {error}") from error


def config_of(where: str) -> PreTrainedConfig:
    """The model's configuration, of a folder or the hub.

    Raises:
        ModelFolderError: its GGUF file is damaged, or of a kind that is not told here.
        Exception: whatever transformers says of one that it cannot read.
    """
    gguf = gguf_of(Path(where))
    try:
        if gguf is not None:
            return config_in(read_header(gguf))
        if PreTrainedConfig.get_config_dict(where)[0].get("model_type") == LSTM_KIND:
            from generator.models import lstm  # noqa: F401, PLC0415  # makes it known
        config: PreTrainedConfig = AutoConfig.from_pretrained(where, trust_remote_code=False)
    except StrictDataclassError as error:  # the reason stands behind its first line
        raise ValueError(str(error).split("\n")[-1].strip()) from error
    return config


def shape_in(config: PreTrainedConfig) -> Shape:
    """What a configuration says.

    Raises:
        ModelFolderError: the model is of a kind that is not told here.
    """
    kind = config.model_type
    if kind == LSTM_KIND:
        return LSTMShape.of(config)
    if kind == GPT2_KIND:
        return GPT2Shape.of(config)
    if kind in LLAMA_KINDS:
        return LlamaShape.of(config)
    raise ModelFolderError(
        f"a {kind} model cannot be told; GPT-2, LSTM, Llama and Qwen2 models tell stories"
    )


def tokenizer_of(where: str) -> PreTrainedTokenizerFast:
    """The tokenizer, of a folder or the hub, without what a prompt is not to get.

    Raises:
        ModelFolderError: it is damaged, or not a fast one.
        Exception: whatever else transformers says of what it cannot read.
    """
    gguf = gguf_of(Path(where))
    try:
        if gguf is None:
            tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
        else:  # which says all; AutoTokenizer would read the configuration once more
            tokenizer = PreTrainedTokenizerFast.from_pretrained(where, gguf_file=gguf.name)
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            no_fast = f"{where} has no fast tokenizer (tokenizer.json)"
            raise ModelFolderError(no_fast)  # noqa: TRY301
        plain(tokenizer.backend_tokenizer)
    except BaseException as error:
        if not (is_panic(error) or isinstance(error, LookupError)):  # which says a key, no more
            raise
        raise ModelFolderError(f"the tokenizer of {where} is damaged: {error}") from error
    return tokenizer


def generation_of(where: str) -> GenerationConfig | None:
    """What the model's file says, without settings that cannot be: those are named in the log.

    Raises:
        ValueError, TypeError: it holds no settings.
    """
    file = cached_file(
        where,
        GENERATION_CONFIG_NAME,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if file is None:
        return None
    given = json.loads(Path(file).read_bytes())
    if not isinstance(given, dict):
        raise TypeError(f"{GENERATION_CONFIG_NAME} holds no settings")
    for name, takes in StorySettings.read(given)[1].items():
        log.warning(
            "%s of %s: %s takes %s, not %r; it is left out",
            *(GENERATION_CONFIG_NAME, where, name, takes, given.pop(name)),
        )
    return GenerationConfig(**given)
