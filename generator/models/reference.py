"""A model as transformers loads it: any folder that it can read, and the hub.

Its `generate` is the reference; training takes its models and tokenizers from here.
Importing it takes seconds, so whoever can do without does.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from tqdm import tqdm
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    GPT2LMHeadModel,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    modeling_gguf_pytorch_utils,
)
from transformers.utils import GENERATION_CONFIG_NAME
from transformers.utils.hub import cached_file
from transformers.utils.logging import disable_progress_bar

from generator.models.errors import ModelFolderError
from generator.models.gguf_file import gguf_of
from generator.models import lstm as _lstm  # noqa: F401  # makes its kind known to transformers
from generator.models.tokens import Tokens, is_panic, plain
from generator.models.weights import weights_of
from generator.models.shapes import (
    GPT2_KIND,
    LLAMA_KINDS,
    LSTM_KIND,
    GPT2Shape,
    LlamaShape,
    LSTMShape,
)
from generator.sampling.settings import StorySettings

if TYPE_CHECKING:
    from torch import nn

    from generator.models.shapes import Shape
    from generator.models.weights import Weights

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Described:
    """What a folder says, or the hub, beside the weights."""

    tokenizer: PreTrainedTokenizerFast
    generation: GenerationConfig

    @classmethod
    def read(cls, where: str) -> Described:
        """From a folder or the hub.

        Raises:
            ModelFolderError: the tokenizer is damaged or not a fast one.
            Exception: whatever else transformers says of what it cannot read.
        """
        said = _generation_config(where)
        if said is None:
            said = GenerationConfig.from_model_config(config_of(where))
        return cls(_load_tokenizer(where, gguf_of(Path(where))), said)

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


@dataclass(frozen=True, slots=True)
class Reference(Described):
    """Transformers' model, too, in evaluation mode."""

    model: PreTrainedModel

    @classmethod
    def load(cls, where: str, config: PreTrainedConfig | None = None) -> Reference:
        """From a folder or the hub; on the CPU, in float32.

        Args:
            where: the folder, or the hub's name.
            config: of its GGUF file, if that was read: it takes seconds.

        Raises:
            ModelFolderError: weights are missing, or the tokenizer is damaged or not a fast one.
            Exception: whatever else transformers says of a folder that it cannot read.
        """
        if not sys.stderr.isatty():
            disable_progress_bar()
        gguf = gguf_of(Path(where))
        tokenizer = _load_tokenizer(where, gguf)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            where,
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            generation_config=_generation_config(where),
            **_of_gguf(where, gguf, config),
        )
        model, report = loaded
        if lacking := sorted(report["missing_keys"]):
            raise ModelFolderError(f"the weights of {where} lack {lacking[0]} (of {len(lacking)})")
        if isinstance(model, GPT2LMHeadModel) and model.config.add_cross_attention:
            for block in model.transformer.h:  # there is no encoder that they could attend to
                del block.crossattention, block.ln_cross_attn
        module: nn.Module = model.eval().requires_grad_(requires_grad=False)
        for weight in module.parameters():  # may lie in the file, which somebody may write anew
            weight.data = weight.data.clone()
        told = cast("PreTrainedModel", module)
        return cls(tokenizer, told.generation_config, told)

    @property
    def weights(self) -> Weights:
        """The same weights, as decoders take them."""
        return weights_of(_shape(self.model.config), dict(self.model.state_dict()))

    def share(self, weights: Weights) -> None:
        """Give up its own weights for these, which are the same, so that there is one copy."""
        theirs = dict(weights.named_parameters())
        for name, weight in self.model.named_parameters():
            weight.data = theirs[name].data
        module: nn.Module = self.model
        module.to(next(iter(theirs.values())).device)


def shape_of(where: str, config: PreTrainedConfig | None = None) -> Shape:
    """What the model's configuration says, read if it is not given.

    Raises:
        ModelFolderError: the model is of a kind that is not told here.
        Exception: whatever transformers says of a configuration that it cannot read.
    """
    config = config or config_of(where)
    try:
        return _shape(config)
    except ModelFolderError as error:
        raise ModelFolderError(f"{where}: {error}") from error


def config_of(where: str) -> PreTrainedConfig:
    """The model's configuration.

    Raises:
        Exception: whatever transformers says of one that it cannot read.
    """
    gguf = gguf_of(Path(where))
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            where, trust_remote_code=False, **({"gguf_file": gguf.name} if gguf else {})
        )
    except StrictDataclassError as error:  # the reason stands behind its first line
        raise ValueError(str(error).split("\n")[-1].strip()) from error
    if gguf and config.model_type == GPT2_KIND:
        config.n_positions = config.n_ctx  # under which name it is read, and nothing uses it
    return config


def _of_gguf(where: str, gguf: Path | None, config: PreTrainedConfig | None) -> dict[str, Any]:
    """What transformers is told besides where the weights are in such a file."""
    if gguf is None:
        return {}
    # Its bar is drawn into logs too, and nothing turns it off.
    vars(modeling_gguf_pytorch_utils)["tqdm"] = partial(tqdm, disable=None)
    return {"gguf_file": gguf.name, "config": config or config_of(where)}


def _shape(config: PreTrainedConfig) -> Shape:
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


def _load_tokenizer(where: str, gguf: Path | None) -> PreTrainedTokenizerFast:
    try:
        if gguf is None:
            tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
        else:  # which says all; AutoTokenizer would read the configuration once more
            tokenizer = PreTrainedTokenizerFast.from_pretrained(where, gguf_file=gguf.name)
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise ModelFolderError(f"{where} has no fast tokenizer (tokenizer.json)")
        plain(tokenizer.backend_tokenizer)
    except BaseException as error:
        if not is_panic(error):
            raise
        raise ModelFolderError(f"the tokenizer of {where} is damaged: {error}") from error
    return tokenizer


def _generation_config(where: str) -> GenerationConfig | None:
    """What the model's file says, without settings that cannot be: those are named in the log."""
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
