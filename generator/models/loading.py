"""From a folder or a hub name to a model that the engine can tell from."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    GPT2Config,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import GENERATION_CONFIG_NAME
from transformers.utils.hub import cached_file

from generator.sampling.memfree import MEMFREE_FILE, MemFree, MemFreeError
from generator.models.device_stepper import DeviceStepper
from generator.models.gpt2 import GPT2Decoder
from generator.models.gpt2_rows import GPT2Rows
from generator.models.lstm import LSTMConfig, LSTMForCausalLM
from generator.models.lstm_decoder import LSTMDecoder
from generator.models.lstm_rows import LSTMRows
from generator.models.quantised import QuantisedGPT2, QuantisedLSTM, fastest_threads
from generator.models.stepper import EagerStepper
from generator.native import NoNativeStepError, Threads, library
from generator.sampling.device_sampler import DeviceSampler
from generator.sampling.native_sampler import NativeSampler
from generator.sampling.torch_sampler import TorchSampler
from generator.sampling.settings import StorySettings
from generator.sampling.vocabulary import Vocabulary, continuations

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import GPT2LMHeadModel

    from generator.models.decoder import Decoder
    from generator.models.device_stepper import Rows
    from generator.models.stepper import Stepper
    from generator.sampling.rules import Rules

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16", "float16", "int8"]

_FLOATS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
LONGEST_TEXT = 64 << 20
"""Bytes of a file of a model folder that is read as a whole."""
_KINDS = (GPT2Config.model_type, LSTMConfig.model_type)


class ModelFolderError(Exception):
    """The model cannot be loaded; its text is one sentence that says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model in memory, and what belongs to it."""

    name: str
    """The folder's name, or the hub's."""
    model: PreTrainedModel
    """Transformers' own, in evaluation mode; its `generate` is the reference, and for beams."""
    tokenizer: PreTrainedTokenizerFast
    device: torch.device
    precision: Precision
    """Never "auto": what was chosen."""
    settings: StorySettings
    """Its stories' defaults."""
    memfree: MemFree | None = None
    """What its stories must not copy, where the folder says it."""

    @property
    def config(self) -> PreTrainedConfig:
        """The model's own configuration."""
        return self.model.config

    @property
    def memory(self) -> int:
        """Bytes of its weights, as transformers holds them."""
        return sum(tensor.nbytes for tensor in [*self.model.parameters(), *self.model.buffers()])

    @property
    def context(self) -> int:
        """Tokens of prompt and story together, at most."""
        return int(self.config.max_position_embeddings)

    @property
    def ends(self) -> tuple[int, ...]:
        """Token ids that end a story; may be none."""
        eos = self.model.generation_config.eos_token_id
        if eos is None:
            return ()
        return tuple(eos) if isinstance(eos, list) else (eos,)

    @property
    def eos_id(self) -> int | None:
        """The first of `ends`."""
        return self.ends[0] if self.ends else None

    def vocabulary(self) -> Vocabulary:
        """What a sampler, or a search, knows of its tokens."""
        return Vocabulary(
            ends=self.ends,
            continuations=continuations(self.tokenizer, self.config.vocab_size),
            suppressed=self.suppressed(),
            memfree=self.memfree,
        )

    def suppressed(self) -> NDArray[np.int32]:
        """Token ids that stand in no story: the unknown word, control tokens, and rows of a
        resized model that its tokenizer has no token for.

        Not among them are those that end one, as in GPT-2, where one token is all of these.
        """
        nameless = set(range(self.config.vocab_size)) - set(self.tokenizer.get_vocab().values())
        silent = {*nameless, *self.controls} - {self.tokenizer.eos_token_id, *self.ends}
        return np.array(sorted(silent), np.int32)

    @property
    def controls(self) -> dict[int, str]:
        """The tokenizer's special tokens, as it spells them: they are no text."""
        known = self.tokenizer.added_tokens_decoder.items()
        return {token: added.content for token, added in known if added.special}

    def prepare(
        self, slots: int, threads: int, rules: Rules, history: NDArray[np.int32]
    ) -> Stepper:
        """State for an engine's slots, and what steps it.

        Args:
            slots: stories told together.
            threads: CPU threads of a step; 0: as many as are measured to be fastest.
            rules: of each slot.
            history: (slots, context), tokens of each.
        """
        decoder: Decoder
        vocabulary = self.vocabulary()
        if self.precision == "int8":
            team = Threads(threads or 1)
            if isinstance(self.model, LSTMForCausalLM):
                decoder = QuantisedLSTM(self.model, slots, team)
            else:
                decoder = QuantisedGPT2(cast("GPT2LMHeadModel", self.model), slots, team)
            if not threads:
                team = fastest_threads(decoder, slots)
            return EagerStepper(decoder, NativeSampler(rules, history, vocabulary, team))
        if self.device.type == "cuda":
            try:
                return self.device_stepper(rules, fused=True)
            except Exception as error:  # whatever a driver or a compiler says
                reason = str(error).strip().partition("\n")[0] or type(error).__name__
                log.warning("%s is told without a CUDA graph, slower: %s", self.name, reason)
        if threads and self.device.type == "cpu":
            torch.set_num_threads(threads)
        if isinstance(self.model, LSTMForCausalLM):
            decoder = LSTMDecoder(self.model, slots)
        else:
            decoder = GPT2Decoder(cast("GPT2LMHeadModel", self.model), slots)
        return EagerStepper(decoder, TorchSampler(rules, history, vocabulary))

    def device_stepper(self, rules: Rules, *, fused: bool) -> DeviceStepper:
        """What steps it where all state is on its device.

        Args:
            rules: of each slot.
            fused: by the GPU's own kernels, else in plain torch.
        """
        rows: Rows
        slots = len(rules.rows)
        if isinstance(self.model, LSTMForCausalLM):
            rows = LSTMRows(self.model, slots, fused=fused)
        else:
            rows = GPT2Rows(cast("GPT2LMHeadModel", self.model), slots, fused=fused)
        sampler = DeviceSampler(
            rules, self.context, self.vocabulary(), rows.vocabulary, self.device, fused=fused
        )
        return DeviceStepper(rows, sampler)


def load_model(
    name: str | Path, *, device: Device = "auto", precision: Precision = "auto"
) -> LoadedModel:
    """Loads a model folder, or a model of the Hugging Face hub.

    Args:
        name: a folder with config.json, model.safetensors and tokenizer.json, or a hub name.
        device: "auto" is CUDA where there is one.
        precision: "auto" is bfloat16 on CUDA, or float16 where a card has no bfloat16, and on a
            CPU what is fastest there.

    Raises:
        ModelFolderError: it is missing, damaged, or of a kind that is not told here.
    """
    where = str(name)
    folder = Path(name)
    local = folder.is_dir()
    if local:
        _check_files(folder)
    elif folder.is_absolute() or where.startswith(".") or where.count("/") > 1:
        raise ModelFolderError(f"there is no model folder {where}")
    chosen_device = _choose_device(device)
    try:
        config = AutoConfig.from_pretrained(where, trust_remote_code=False)
        if config.model_type not in _KINDS:
            raise ModelFolderError(
                f"{where} holds a {config.model_type} model; GPT-2 and LSTM models tell stories"
            )
        if local:
            _check_shape(folder, config)
        tokenizer = _load_tokenizer(where)
        model, report = _load_weights(where, _generation_config(where))
    except (OSError, TypeError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelFolderError(f"the model {where} cannot be loaded: {reason}") from error
    if lacking := sorted(report["missing_keys"]):
        raise ModelFolderError(f"the weights of {where} lack {lacking[0]} (of {len(lacking)})")
    chosen = _choose_precision(precision, chosen_device, model)
    module: nn.Module = model.eval().requires_grad_(requires_grad=False)
    module.to(chosen_device, _FLOATS.get(chosen, torch.float32))
    loaded = LoadedModel(
        name=folder.resolve().name if local else where,
        model=model,
        tokenizer=tokenizer,
        device=chosen_device,
        precision=chosen,
        settings=StorySettings.read(vars(model.generation_config))[0],
        memfree=_memfree(where, model),
    )
    _check_ids(loaded)
    return loaded


def _check_ids(loaded: LoadedModel) -> None:
    """Every token id that comes up must have a row: the native step looks at none again."""
    size: int = loaded.config.vocab_size
    end: Any  # the file may hold anything
    for end in loaded.ends:
        if not isinstance(end, int) or not 0 <= end < size:
            raise ModelFolderError(
                f"the end token of {loaded.name} is {end!r}, and its model has {size} tokens: set "
                "eos_token_id in config.json and generation_config.json"
            )
    highest = max(loaded.tokenizer.get_vocab().values(), default=0)
    if highest >= size:
        raise ModelFolderError(
            f"the tokenizer of {loaded.name} has a token {highest}, its model {size} tokens"
        )


def _load_tokenizer(where: str) -> PreTrainedTokenizerFast:
    """The folder's, which turns a text into its own tokens, no more and no fewer."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise ModelFolderError(f"{where} has no fast tokenizer (tokenizer.json)")
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.backend_tokenizer.no_truncation()
        # `<|endoftext|>` in a prompt is its letters. Whoever calls transformers' tokenizer instead
        # of this backend reads it as the token that it is in a corpus, and sets this back.
        tokenizer.backend_tokenizer.encode_special_tokens = True
        with suppress(Exception):  # one of whole words need not know these
            tokenizer.backend_tokenizer.encode("In the year")
    except BaseException as error:
        if not is_panic(error):
            raise
        raise ModelFolderError(f"the tokenizer of {where} is damaged: {error}") from error
    return tokenizer


def is_panic(error: BaseException) -> bool:
    """Whether a tokenizer broke down: what Rust calls a panic is no `Exception`.

    Its type cannot be imported, and can only be known by its name.
    """
    return type(error).__name__ == "PanicException"


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


def _load_weights(
    where: str, generation_config: GenerationConfig | None
) -> tuple[PreTrainedModel, dict[str, Any]]:
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        where,
        dtype=torch.float32,
        trust_remote_code=False,
        use_safetensors=True,
        output_loading_info=True,
        generation_config=generation_config,
    )
    model, report = loaded
    return model, report


def _memfree(where: str, model: PreTrainedModel) -> MemFree | None:
    try:
        memfree = MemFree.find(where)
    except MemFreeError as error:
        raise ModelFolderError(str(error)) from error
    if memfree is None and getattr(model.generation_config, "memfree", False):
        raise ModelFolderError(
            f"generation_config.json of {where} says memfree, and there is no {MEMFREE_FILE}"
        )
    return memfree


def _check_files(folder: Path) -> None:
    for needed in ("config.json", "model.safetensors", "tokenizer.json"):
        if not (folder / needed).is_file() and not (folder / f"{needed}.index.json").is_file():
            raise ModelFolderError(f"the model folder {folder} has no {needed}")
    for file in folder.glob("*.json"):
        if (size := file.stat().st_size) > LONGEST_TEXT:
            raise ModelFolderError(
                f"{file} has {size >> 20} MiB; a model's settings and tokens take at most "
                f"{LONGEST_TEXT >> 20} MiB"
            )


def _check_shape(folder: Path, config: Any) -> None:
    """The weights must be there before room is made for them: a config may promise any number."""
    if isinstance(config, LSTMConfig):
        width, layers, embedding = config.hidden_size, config.num_layers, config.embedding_size
    else:
        width, layers, embedding = config.n_embd, config.n_layer, config.n_embd
    fewest = config.vocab_size * embedding + layers * width**2
    held = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    if not 0 < fewest <= held:  # each weight takes a byte at least
        raise ModelFolderError(
            f"config.json of {folder} says {width} numbers wide, {layers} layers, "
            f"{config.vocab_size} tokens, for which its weights are too few: {held} bytes"
        )


def _choose_device(device: Device) -> torch.device:
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelFolderError("device is cuda, but torch sees no NVIDIA GPU; use auto or cpu")
    return torch.device(device)


@cache
def _warn_once(reason: str) -> None:
    """For many models the reason is the same."""
    log.warning("stories are told in float32, several times slower than int8: %s", reason)


def _choose_precision(
    precision: Precision, device: torch.device, model: PreTrainedModel
) -> Precision:
    """What "auto" is here, and whether int8 can be had."""
    if device.type == "cuda":
        if precision == "int8":
            raise ModelFolderError("precision int8 is for a CPU; use auto or bfloat16 on cuda")
        if precision != "auto":
            return precision
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if has_bfloat16 else "float16"
    if precision not in {"auto", "int8"}:
        return precision
    try:
        library()
    except NoNativeStepError as error:
        if precision == "int8":
            raise ModelFolderError(f"precision int8 needs the native step: {error}") from error
        _warn_once(str(error))
        return "float32"
    if isinstance(model, LSTMForCausalLM) or QuantisedGPT2.fits(cast("GPT2LMHeadModel", model)):
        return "int8"
    if precision == "int8":
        raise ModelFolderError("this GPT-2's activation or sizes are told in float32 only")
    return "float32"
