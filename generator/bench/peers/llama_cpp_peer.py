"""llama.cpp with Q8_0 weights, through llama-cpp-python: one sequence a story, decoded together."""

from __future__ import annotations

import ctypes
import statistics
import time
from typing import TYPE_CHECKING, Any

import llama_cpp
import torch

from generator.bench.peers import gguf_file
from generator.bench.work import MissingPeerError

if TYPE_CHECKING:
    from pathlib import Path

    from generator.bench.work import Workload
    from generator.models.loading import LoadedModel

_CONTEXT = 512  # tokens of one story at most


class LlamaCpp:
    """Prompts together in one batch, then one token of each story a step."""

    name = "llama.cpp"

    def __init__(self, file: Path, threads: int, stories: int) -> None:
        llama_cpp.llama_log_set(_QUIET, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = _CONTEXT * stories
        settings.n_seq_max = stories
        settings.n_batch = settings.n_ubatch = max(512, stories)
        settings.n_threads = settings.n_threads_batch = threads
        self._model: Any = llama_cpp.llama_model_load_from_file(
            str(file).encode(), llama_cpp.llama_model_default_params()
        )
        self._context: Any = llama_cpp.llama_init_from_model(self._model, settings)
        self._batch: Any = llama_cpp.llama_batch_init(max(512, stories), 0, 1)

    def tell(self, workload: Workload) -> float | None:
        """See `Contestant.tell`."""
        begin = time.perf_counter()
        waits: list[float] = []
        samplers = [self._sampler(workload, seed) for seed in range(len(workload.prompts))]
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        per_batch = max(1, 512 // len(workload.prompts[0]))
        last = [0] * len(workload.prompts)
        for first in range(0, len(workload.prompts), per_batch):
            group = range(first, min(first + per_batch, len(workload.prompts)))
            rows = self._decode(
                [
                    (story, position, token, position + 1 == len(workload.prompts[story]))
                    for story in group
                    for position, token in enumerate(workload.prompts[story])
                ]
            )
            for story, row in zip(group, rows, strict=True):
                last[story] = llama_cpp.llama_sampler_sample(samplers[story], self._context, row)
                waits.append(time.perf_counter() - begin)
        for step in range(workload.tokens - 1):
            position = len(workload.prompts[0]) + step
            rows = self._decode(
                [(story, position, last[story], True) for story in range(len(last))]
            )
            for story, row in enumerate(rows):
                last[story] = llama_cpp.llama_sampler_sample(samplers[story], self._context, row)
        for sampler in samplers:
            llama_cpp.llama_sampler_free(sampler)
        return statistics.median(waits)

    def close(self) -> None:
        """See `Contestant.close`."""
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    def _decode(self, tokens: list[tuple[int, int, int, bool]]) -> list[int]:
        """Tokens as (story, position, token, whether its logits are wanted); rows of the wanted."""
        batch = self._batch
        batch.n_tokens = len(tokens)
        for row, (story, position, token, wanted) in enumerate(tokens):
            batch.token[row], batch.pos[row] = token, position
            batch.n_seq_id[row], batch.seq_id[row][0] = 1, story
            batch.logits[row] = wanted
        if llama_cpp.llama_decode(self._context, batch) != 0:
            raise RuntimeError("llama.cpp did not decode")
        return [row for row, part in enumerate(tokens) if part[3]]

    @staticmethod
    def _sampler(workload: Workload, seed: int) -> Any:
        chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        if workload.sampling.temperature == 0:
            links = [llama_cpp.llama_sampler_init_greedy()]
        else:
            links = [
                llama_cpp.llama_sampler_init_top_k(workload.sampling.top_k),
                llama_cpp.llama_sampler_init_top_p(workload.sampling.top_p, 1),
                llama_cpp.llama_sampler_init_temp(workload.sampling.temperature),
                llama_cpp.llama_sampler_init_dist(seed),
            ]
        for link in links:
            llama_cpp.llama_sampler_chain_add(chain, link)
        return chain


def load(_: Path, loaded: LoadedModel, scratch: Path) -> LlamaCpp:
    """See `rounds._peer`."""
    model = loaded.model
    if not gguf_file.can_be_written(model) or loaded.device.type != "cpu":
        raise MissingPeerError("told here for GPT-2, Llama and Qwen2 on a CPU only")
    file = scratch / "model.gguf"
    gguf_file.write(model, file)
    return LlamaCpp(file, torch.get_num_threads(), stories=64)


def _ignore(_level: int, _text: bytes, _data: object) -> None:
    """Takes llama.cpp's log and does nothing with it."""


_QUIET = llama_cpp.llama_log_callback(_ignore)  # held for as long as llama.cpp may call it
