"""The LSTM language model as an ordinary Hugging Face model folder.

Embedding, a stack of LSTM layers, a projection where sizes differ, and a head that shares the
embedding's weights. For training it has locked dropout (Gal and Ghahramani 2016, "A Theoretically
Grounded Application of Dropout in Recurrent Neural Networks") and weight drop (Merity et al. 2017,
"Regularizing and Optimizing LSTM Language Models"); neither changes the model when it tells.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
    initialization,
)
from transformers.utils.generic import ModelOutput

State = tuple[Tensor, Tensor]
"""Hidden and cell, each (layers, batch, hidden) float."""


@strict
class LSTMConfig(PreTrainedConfig):
    """Shape and training-time noise of an `LSTMForCausalLM`."""

    model_type: ClassVar[str] = "kataribe-lstm"

    vocab_size: int = 4096
    embedding_size: int = 512
    hidden_size: int = 768
    num_layers: int = 2
    max_position_embeddings: int = 1024
    """Tokens of prompt and story together; an LSTM has no such limit, its memory of them does."""
    tie_word_embeddings: bool = True
    """The head is the embedding; where hidden and embedding sizes differ, a projection bridges."""

    input_dropout: float = 0.0
    """Share of embedding features dropped in training."""
    layer_dropout: float = 0.0
    """The same between two layers."""
    output_dropout: float = 0.0
    """The same before the head."""
    locked_dropout: bool = True
    """One dropout mask for all steps of a row instead of a new one at each step."""
    weight_drop: float = 0.0
    """Share of hidden-to-hidden weights dropped for a whole batch in training."""
    float32_layers: bool = False
    """Trained in float32 where autocast computes the rest in bfloat16, in which three layers learn
    no more than how frequent each token is. On a GPU always, for autocast would make it float16; on
    a CPU without AVX-512 too, whatever computes: it has no LSTM in bfloat16."""

    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None


@dataclass
class LSTMOutput(ModelOutput):
    """What `LSTMForCausalLM` returns."""

    loss: Tensor | None = None
    """Mean cross-entropy in nats over the targets, where labels were given."""
    logits: Tensor | None = None
    """(batch, length, vocab) float: of the token after each position."""
    state: State | None = None
    """After the last position; given back as `state`, the next call goes on from there."""


class LSTMForCausalLM(PreTrainedModel, GenerationMixin):
    """A language model of LSTM layers over token ids."""

    config_class = LSTMConfig
    config: LSTMConfig
    base_model_prefix = ""
    _tied_weights_keys = {"head.weight": "embedding.weight"}  # noqa: RUF012  # transformers' form

    def __init__(self, config: LSTMConfig) -> None:
        super().__init__(config)
        head_size = config.embedding_size if config.tie_word_embeddings else config.hidden_size
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.lstm = nn.LSTM(
            config.embedding_size, config.hidden_size, config.num_layers, batch_first=True
        )
        self.projection: nn.Linear | None = None
        if head_size != config.hidden_size:
            self.projection = nn.Linear(config.hidden_size, head_size)
        self.head = nn.Linear(head_size, config.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]  # transformers leaves it untyped

    def get_input_embeddings(self) -> nn.Embedding:
        """For transformers, which looks under other names."""
        return self.embedding

    def get_output_embeddings(self) -> nn.Linear:
        """The head, for the same reason."""
        return self.head

    def forward(
        self,
        input_ids: Tensor,
        state: State | None = None,
        labels: Tensor | None = None,
        **_: Any,
    ) -> LSTMOutput:
        """Reads tokens and says what may follow each.

        Args:
            input_ids: (batch, length) int. Rows hold no padding before a token that matters:
                an LSTM cannot skip a step, so an `attention_mask` has no effect.
            state: where an earlier call stopped; None starts from zeros.
            labels: (batch, length) int, equal to `input_ids`; the shift by one is made here and
                targets of -100 are left out, as in transformers' own models.
        """
        output, state = self._layers(self.embedding(input_ids), state)
        if self.projection is not None:
            output = self.projection(output)
        logits = self.head(self._drop(output, self.config.output_dropout))
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten()
            )
        return LSTMOutput(loss=loss, logits=logits, state=state)

    def _layers(self, embedded: Tensor, state: State | None) -> tuple[Tensor, State]:
        """The LSTM itself; layer by layer in training, where noise goes between and inside."""
        run = self._noisy_layers if self.training else self.lstm
        device = embedded.device.type
        exact = device == "cpu" and not _onednn_has_bf16()
        if self.training:
            exact |= self.config.float32_layers or device == "cuda"
        with torch.autocast(device, enabled=False) if exact else nullcontext():
            output: tuple[Tensor, State] = run(embedded, state)
            return output

    def _noisy_layers(self, embedded: Tensor, state: State | None) -> tuple[Tensor, State]:
        config = self.config
        if state is None:
            zeros = embedded.new_zeros(config.num_layers, len(embedded), config.hidden_size)
            state = zeros, zeros
        hidden, cell = [], []
        output = self._drop(embedded, config.input_dropout)
        for layer, weights in enumerate(self.lstm.all_weights):
            if layer:
                output = self._drop(output, config.layer_dropout)
            input_weight, hidden_weight, *biases = weights
            kept_weight = functional.dropout(hidden_weight, config.weight_drop)
            output, last_hidden, last_cell = torch.lstm(
                output,
                (state[0][layer : layer + 1], state[1][layer : layer + 1]),
                [input_weight, kept_weight, *biases],
                has_biases=True,
                num_layers=1,
                dropout=0.0,
                train=True,
                bidirectional=False,
                batch_first=True,
            )
            hidden.append(last_hidden)
            cell.append(last_cell)
        return output, (torch.cat(hidden), torch.cat(cell))

    def _drop(self, features: Tensor, rate: float) -> Tensor:
        """Dropout over (batch, length, features)."""
        if not self.training or rate == 0.0:
            return features
        if not self.config.locked_dropout:
            return functional.dropout(features, rate)
        mask = features.new_ones(features.shape[0], 1, features.shape[2])
        return features * functional.dropout(mask, rate)

    def prepare_inputs_for_generation(  # type: ignore[override]  # transformers' own takes caches
        self, input_ids: Tensor, state: State | None = None, **_: Any
    ) -> dict[str, Any]:
        """For transformers' `generate`: the whole prompt first, then token after token.

        Rows of a batch must be equally long: there is no way to skip padding.
        """
        if state is not None:
            input_ids = input_ids[:, -1:]
        return {"input_ids": input_ids, "state": state}

    @staticmethod
    def _reorder_cache(state: State, beam_idx: Tensor) -> State:
        """Each row goes on from the state of the beam that it now continues."""
        hidden, cell = state
        return hidden[:, beam_idx], cell[:, beam_idx]

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Xavier for inputs, orthogonal for the recurrence, forget gates open at the start."""
        if isinstance(module, nn.LSTM):
            for name, weight in module.named_parameters():
                if name.startswith("weight_ih"):
                    initialization.xavier_uniform_(weight)
                elif name.startswith("weight_hh"):
                    initialization.orthogonal_(weight)
                elif not getattr(weight, "_is_hf_initialized", False):
                    weight.zero_()
                    if name.startswith("bias_ih"):  # gates lie in the order: input, forget, …
                        weight[module.hidden_size : 2 * module.hidden_size] = 1.0
        elif isinstance(module, nn.Embedding):
            initialization.normal_(module.weight, std=0.1)  # smaller ones wake the gates late
        elif isinstance(module, nn.Linear):
            initialization.xavier_uniform_(module.weight)
            if module.bias is not None:
                initialization.zeros_(module.bias)


def _onednn_has_bf16() -> bool:
    """Whether oneDNN, which computes the layers on a CPU, has them in bfloat16 for this one."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001  # nothing else says it


AutoConfig.register(LSTMConfig.model_type, LSTMConfig)
AutoModelForCausalLM.register(LSTMConfig, LSTMForCausalLM)
