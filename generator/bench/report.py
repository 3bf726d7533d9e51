"""What was measured, for people and for programs, and on what."""

from __future__ import annotations

import contextlib
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from generator.bench.ours import Kataribe

if TYPE_CHECKING:
    from generator.models.loading import LoadedModel


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant at one concurrency, over all rounds."""

    engine: str
    concurrency: int
    speeds: list[float]
    """Tokens a second."""
    waits: list[float]
    """Seconds to the first token; empty where unknown."""

    @property
    def speed(self) -> float:
        """The median."""
        return statistics.median(self.speeds)

    def share(self, bound: float) -> float:
        """Of the steps a second that reading the weights allows."""
        return self.speed / self.concurrency / bound

    def as_json(self, bound: float) -> dict[str, Any]:
        """For the last line."""
        wait = round(1000 * statistics.median(self.waits), 1) if self.waits else None
        return {
            "engine": self.engine,
            "concurrency": self.concurrency,
            "tokens_per_second": round(self.speed, 1),
            "tokens_per_second_low": round(min(self.speeds), 1),
            "tokens_per_second_high": round(max(self.speeds), 1),
            "ttft_ms": wait,
            "share_of_bound": round(self.share(bound), 4),
        }


def print_table(rows: list[Row], bound: float) -> None:
    """For people; `bound` is in tokens a second."""
    ours = {row.concurrency: row.speed for row in rows if row.engine == Kataribe.name}
    print(f"{'engine':<14}{'stories':>8}{'tokens/s':>10}{'range':>16}{'ours is':>9}", end="")
    print(f"{'first token':>13}{'of bound':>10}")
    for row in rows:
        spread = f"{min(row.speeds):.0f}-{max(row.speeds):.0f}"
        ratio = "" if row.engine == Kataribe.name else f"{ours[row.concurrency] / row.speed:.2f} x"
        wait = f"{1000 * statistics.median(row.waits):.0f} ms" if row.waits else "unknown"
        share = f"{row.share(bound):.0%}"
        print(
            f"{row.engine:<14}{row.concurrency:>8}{row.speed:>10.1f}{spread:>16}{ratio:>9}", end=""
        )
        print(f"{wait:>13}{share:>10}")
    print(
        f"bound: one story at {bound:.0f} tokens/s, if every step only read its weights from memory"
    )


def bandwidth(device: torch.device) -> float:
    """Bytes a second that the whole device reads from its memory: the best of a few passes."""
    much = torch.zeros(1 << 26, device=device)  # 256 MiB, more than caches hold
    best = float("inf")
    for _ in range(8):
        begin = time.perf_counter()
        much.sum().item()  # which waits for a GPU
        best = min(best, time.perf_counter() - begin)
    return much.nbytes / best


def device_name(loaded: LoadedModel) -> str:
    """What it was measured on."""
    if loaded.device.type == "cuda":
        return torch.cuda.get_device_name(loaded.device)
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
    return f"{name}, {torch.get_num_threads()} threads"
