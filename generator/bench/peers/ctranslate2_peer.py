"""CTranslate2, with its int8 weights on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ctranslate2
from ctranslate2.converters import TransformersConverter

from generator.bench.work import MissingPeerError

if TYPE_CHECKING:
    from pathlib import Path

    from generator.bench.work import Workload
    from generator.models.loading import LoadedModel


class CTranslate2:
    """One batch from start to end."""

    name = "ctranslate2"

    def __init__(self, folder: Path, loaded: LoadedModel, scratch: Path) -> None:
        where, kind = scratch / "ctranslate2", "int8" if loaded.precision == "int8" else "float32"
        converter = TransformersConverter(str(folder))
        converter.convert(str(where), quantization=kind)
        self._generator: Any = ctranslate2.Generator(
            str(where), device=loaded.device.type, compute_type=kind
        )
        self._words = loaded.tokenizer.convert_ids_to_tokens

    def tell(self, workload: Workload) -> float | None:
        """See `Contestant.tell`."""
        sampling = workload.sampling
        self._generator.generate_batch(
            [self._words(list(prompt)) for prompt in workload.prompts],
            max_length=workload.tokens,
            min_length=workload.tokens,
            include_prompt_in_result=False,
            sampling_topk=sampling.top_k if sampling.temperature > 0 else 1,
            sampling_topp=sampling.top_p,
            sampling_temperature=sampling.temperature or 1,
        )
        return None

    def close(self) -> None:
        """See `Contestant.close`."""
        del self._generator


def load(folder: Path, loaded: LoadedModel, scratch: Path) -> CTranslate2:
    """See `rounds._peer`."""
    if loaded.config.model_type != "gpt2":
        raise MissingPeerError("told here for GPT-2 only")
    return CTranslate2(folder, loaded, scratch)
