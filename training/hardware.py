"""Where to train, and whether bfloat16 is faster there."""

from __future__ import annotations

import torch


def best_device() -> torch.device:
    """The first NVIDIA GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; emulated it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
