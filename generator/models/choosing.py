"""Where a model is told from, and in which numbers."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Literal

import torch

from generator.models.errors import ModelFolderError
from generator.models.packing import LANES
from generator.models.shapes import GPT2Shape, LSTMShape
from generator.native import NoNativeStepError, library

if TYPE_CHECKING:
    from generator.models.shapes import Shape

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


def choose_precision(precision: Precision, device: torch.device, shape: Shape) -> Precision:
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
    reason = misfit(shape)
    if reason is None:
        return "int8"
    if precision == "int8":
        raise ModelFolderError(f"this model is told in float32 only: {reason}")
    _warn_once(reason)
    return "float32"


def misfit(shape: Shape) -> str | None:
    """Why the compiled step cannot tell with such a model; None: it can."""
    if isinstance(shape, LSTMShape):
        return None
    known = {"gelu_new", "gelu_pytorch_tanh"}
    if isinstance(shape, GPT2Shape):
        activation, width = shape.activation_function, shape.n_embd
        if not shape.scale_attn_weights or shape.scale_attn_by_inverse_layer_idx:
            return "it scales attention as no usual GPT-2 does"
        if width % (shape.n_head * LANES):
            return f"its heads have {width // shape.n_head} numbers, no multiple of {LANES}"
        if (shape.n_inner or 0) % LANES:
            return f"its n_inner of {shape.n_inner} is no multiple of {LANES}"
    else:
        activation, width = shape.hidden_act, shape.hidden_size
        known.add("silu")
    if activation not in known:
        return f"its activation is {activation}"
    return f"its width of {width} is no multiple of {LANES}" if width % LANES else None
