"""Where to train, what that is called, and whether bfloat16 is faster there."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

import torch

_ISAS_WITHOUT_BF16 = {
    "SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI",
}  # fmt: skip
"""Of those that `ONEDNN_MAX_CPU_ISA` may hold oneDNN to, which multiplies for torch."""


def best_device() -> torch.device:
    """The first NVIDIA GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; emulated it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    able = torch.cpu.get_capabilities()
    held_to = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return held_to not in _ISAS_WITHOUT_BF16 and any(
        able.get(name, False) for name in ("avx512_bf16", "amx_bf16")
    )


def name_of(device: torch.device) -> str:
    """What the device is called, for people."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
    bf16 = "" if has_bf16(device) else " without bfloat16"
    return f"{name}{bf16}, {torch.get_num_threads()} threads"
