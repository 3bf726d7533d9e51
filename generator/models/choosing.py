"""Where a model is told from, and in which numbers."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Literal

import torch

from generator.models.errors import ModelFolderError
from generator.models.quantised import QuantisedGPT2
from generator.models.weights import GPT2, LSTM
from generator.native import NoNativeStepError, library

if TYPE_CHECKING:
    from generator.models.weights import Weights

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16", "float16", "int8"]


def choose_device(device: Device) -> torch.device:
    """What "auto" is here, and whether CUDA can be had."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelFolderError("device is cuda, but torch sees no NVIDIA GPU; use auto or cpu")
    return torch.device(device)


@cache
def _warn_once(reason: str) -> None:
    """For many models the reason is the same."""
    log.warning("stories are told in float32, several times slower than int8: %s", reason)


def choose_precision(precision: Precision, device: torch.device, model: Weights) -> Precision:
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
    if isinstance(model, LSTM) or (isinstance(model, GPT2) and QuantisedGPT2.fits(model)):
        return "int8"
    if precision == "int8":
        raise ModelFolderError("this model's activation or sizes are told in float32 only")
    return "float32"
