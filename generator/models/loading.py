"""From a folder or a hub name to a model that the engine can tell from."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from generator.models.choosing import choose_device, choose_precision
from generator.models.device_stepper import DeviceStepper
from generator.models.errors import ModelFolderError
from generator.models.gpt2 import GPT2Decoder
from generator.models.gpt2_rows import GPT2Rows
from generator.models.llama import LlamaDecoder
from generator.models.llama_rows import LlamaRows
from generator.models.lstm_decoder import LSTMDecoder
from generator.models.lstm_rows import LSTMRows
from generator.models.memory import given_back
from generator.models.packed import Packed
from generator.models.quantised import QuantisedDecoder, fastest_threads, packed
from generator.models.reading import one_sentence, open_model
from generator.models.stepper import EagerStepper
from generator.models.weights import GPT2, LSTM, Llama, weights_of
from generator.native import Threads
from generator.sampling.device_sampler import DeviceSampler
from generator.sampling.memfree import MEMFREE_FILE, MemFree, MemFreeError
from generator.sampling.native_sampler import NativeSampler
from generator.sampling.torch_sampler import TorchSampler
from generator.sampling.vocabulary import Vocabulary, continuations

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from generator.models.choosing import Device, Precision
    from generator.models.decoder import Decoder
    from generator.models.device_stepper import Rows
    from generator.models.reference import Reference
    from generator.models.stepper import Stepper
    from generator.models.tokens import Tokens
    from generator.models.shapes import Shape
    from generator.models.weights import Weights
    from generator.sampling.rules import Rules
    from generator.sampling.settings import StorySettings

log = logging.getLogger(__name__)

_FLOATS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model in memory, and what belongs to it."""

    name: str
    """The folder's name, or the hub's."""
    where: str
    """From where it is loaded: a whole path, which is never taken for a name of the hub's, or one."""
    held: Weights | Packed
    """What it is told from: weights on its device, or packed in 8 bits."""
    tokens: Tokens
    """Its tokenizer."""
    device: torch.device
    precision: Precision
    """Never "auto": what was chosen."""
    settings: StorySettings
    """Its stories' defaults."""
    ends: tuple[int, ...]
    """Token ids that end a story; may be none."""
    memfree: MemFree | None = None
    """What its stories must not copy, where the folder says it."""
    opened: Reference | None = None
    """Transformers' own, where the folder could not be read without."""
    reach: int | None = None
    """Tokens that a slot has room for, if not for all that the model could read."""

    @cached_property
    def _reference(self) -> Reference:
        """Transformers' own, loaded when it is first wanted: with the same weights in memory, or in
        float32 where those are packed.
        """
        if self.opened is not None:
            return self.opened
        from generator.models.described import shape_of  # noqa: PLC0415  # takes seconds
        from generator.models.reference import Reference  # noqa: PLC0415  # the same

        if shape_of(self.where) != self.config:
            raise ModelFolderError(f"{self.where} holds another model by now: load it anew")
        reference = Reference.load(self.where)
        if not isinstance(self.held, Packed):
            reference.share(self.held)
        return reference

    @property
    def model(self) -> PreTrainedModel:
        """Transformers' own, in evaluation mode; its `generate` is the reference, and for beams."""
        return self._reference.model

    @property
    def tokenizer(self) -> PreTrainedTokenizerFast:
        """Transformers' own."""
        return self._reference.tokenizer

    @property
    def config(self) -> Shape:
        """Its shape."""
        return self.held.config

    @property
    def weights(self) -> Weights:
        """Its weights, where they are not packed.

        Raises:
            TypeError: they are.
        """
        if isinstance(self.held, Packed):
            raise TypeError(f"the weights of {self.name} are packed in 8 bits")
        return self.held

    @property
    def memory(self) -> int:
        """Bytes of its weights, and of transformers' own where it has a copy."""
        return _memory(self.held) + (self.copy_memory if self.has_copy else 0)

    @property
    def copy_memory(self) -> int:
        """Bytes of float32 weights that transformers' own model has, or will have, for itself."""
        return 4 * self.held.count if isinstance(self.held, Packed) else 0

    @property
    def has_copy(self) -> bool:
        """Whether transformers' own model is in memory."""
        return self.opened is not None or "_reference" in vars(self)

    @property
    def context(self) -> int:
        """Tokens of prompt and story together, at most."""
        return _context(self.config, self.reach)

    @property
    def eos_id(self) -> int | None:
        """The first of `ends`."""
        return self.ends[0] if self.ends else None

    def vocabulary(self) -> Vocabulary:
        """What a sampler, or a search, knows of its tokens."""
        return Vocabulary(
            ends=self.ends,
            continuations=continuations(self.tokens.backend, self.config.vocab_size),
            suppressed=self.suppressed(),
            memfree=self.memfree,
        )

    def suppressed(self) -> NDArray[np.int32]:
        """Token ids that stand in no story: the unknown word, control tokens, and rows of a
        resized model that its tokenizer has no token for.

        Not among them are those that end one, as in GPT-2, where one token is all of these.
        """
        named = set(self.tokens.backend.get_vocab().values())
        nameless = set(range(self.config.vocab_size)) - named
        silent = {*nameless, *self.tokens.controls} - {self.tokens.eos_id, *self.ends}
        return np.array(sorted(silent), np.int32)

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
        vocabulary = self.vocabulary()
        if isinstance(self.held, Packed):
            team = Threads(threads or 1)
            decoder = QuantisedDecoder(self.held, slots, team)
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
        return EagerStepper(self._decoder(slots), TorchSampler(rules, history, vocabulary))

    def _decoder(self, slots: int) -> Decoder:
        match self.weights:
            case GPT2():
                return GPT2Decoder(self.weights, slots, self.context)
            case LSTM():
                return LSTMDecoder(self.weights, slots)
            case Llama():
                return LlamaDecoder(self.weights, slots, self.context)

    def device_stepper(self, rules: Rules, *, fused: bool) -> DeviceStepper:
        """What steps it where all state is on its device.

        Args:
            rules: of each slot.
            fused: by the GPU's own kernels, else in plain torch.
        """
        rows = self._rows(len(rules.rows), fused=fused)
        sampler = DeviceSampler(
            rules, self.context, self.vocabulary(), rows.vocabulary, self.device, fused=fused
        )
        return DeviceStepper(rows, sampler)

    def _rows(self, slots: int, *, fused: bool) -> Rows:
        match self.weights:
            case GPT2():
                return GPT2Rows(self.weights, slots, self.context, fused=fused)
            case LSTM():
                return LSTMRows(self.weights, slots, fused=fused)
            case Llama():
                rows = LlamaRows(self.weights, slots, self.context, fused=fused)
                opened: Reference | None = self.opened or vars(self).get("_reference")
                if opened is not None:  # the weights lie elsewhere now
                    opened.share(self.weights)
                return rows


def load_model(
    name: str | Path,
    *,
    device: Device = "auto",
    precision: Precision = "auto",
    reach: int | None = None,
) -> LoadedModel:
    """Loads a model folder, or a model of the Hugging Face hub.

    Args:
        name: a folder with config.json, model.safetensors and tokenizer.json, or with a GGUF, or a
            hub name.
        device: "auto" is CUDA where there is one.
        precision: "auto" is bfloat16 on CUDA, or float16 where a card has no bfloat16, and on a
            CPU what is fastest there.
        reach: tokens of prompt and story that a slot has room for, where the model reads more.

    Raises:
        ModelFolderError: it is missing, damaged, or of a kind that is not told here.
    """
    where, folder = str(name), Path(name)
    chosen_device = choose_device(device)
    with given_back(), one_sentence(where), open_model(name) as found:
        described, opened = found.described, found.opened
        chosen = choose_precision(precision, chosen_device, found.shape)
        held: Weights | Packed
        if chosen == "int8":
            held = packed(found.shape, found.tensors, _context(found.shape, reach))
            if described.settings.num_beams == 1:
                opened = None
        else:
            given = {
                name: rows[:].to(chosen_device, _FLOATS[chosen])
                for name, rows in found.tensors.items()
            }
            held = weights_of(found.shape, given)
            if opened is not None:
                opened.share(held)
    local = folder.is_dir()
    loaded = LoadedModel(
        name=folder.resolve().name if local else where,
        where=str(folder.resolve()) if local else where,
        held=held,
        tokens=described.tokens,
        device=chosen_device,
        precision=chosen,
        settings=described.settings,
        ends=described.ends,
        memfree=_memfree(where, described.settings),
        opened=opened,
        reach=reach,
    )
    _check_ids(loaded)
    if loaded.settings.num_beams > 1:
        _ = loaded.model  # which searches its stories: the first of them is not to wait for it
    return loaded


def _memory(held: Weights | Packed) -> int:
    if isinstance(held, Packed):
        return held.memory
    return sum(tensor.nbytes for tensor in held.parameters())


def _context(shape: Shape, reach: int | None) -> int:
    whole = shape.max_position_embeddings
    return whole if reach is None else min(reach, whole)


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
    highest = max(loaded.tokens.backend.get_vocab().values(), default=0)
    if highest >= size:
        raise ModelFolderError(
            f"the tokenizer of {loaded.name} has a token {highest}, its model {size} tokens"
        )


def _memfree(where: str, settings: StorySettings) -> MemFree | None:
    try:
        memfree = MemFree.find(where)
    except MemFreeError as error:
        raise ModelFolderError(str(error)) from error
    if memfree is None and settings.memfree:
        raise ModelFolderError(
            f"generation_config.json of {where} says memfree, and there is no {MEMFREE_FILE}"
        )
    return memfree
