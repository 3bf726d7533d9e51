"""What our generator measures of itself, read from its page for Prometheus."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Self

_QUOTED = r'"((?:[^"\\\n]|\\.)*)"'
_SAMPLE = re.compile(rf"^(kataribe_\w+)\{{((?:\w+={_QUOTED},?)*)\}} (\S+)$", re.MULTILINE)
_LABEL = re.compile(rf"(\w+)={_QUOTED}")
LARGEST = 2**53
"""What more is said than this, nobody has: sums and rates of larger numbers are no numbers."""


@dataclass(slots=True)
class Gauges:
    """By model, for those that are loaded; of a generator of many replicas, their sums."""

    memory: dict[str, int] = field(default_factory=dict)
    """Bytes at most."""
    telling: dict[str, int] = field(default_factory=dict)
    """Stories being told."""
    written: int = 0
    """Tokens of stories since the generator started, of all models together."""
    replicas: dict[str, bool] = field(default_factory=dict)
    """Whether each answers; none where there is but one generator."""

    @classmethod
    def read(cls, page: str) -> Self:
        """Read what is known of it; other servers' measures are others."""
        gauges = cls()
        for name, labels, _, value in _SAMPLE.findall(page):
            of = {label: re.sub(r"\\(.)", r"\1", said) for label, said in _LABEL.findall(labels)}
            try:
                number = int(float(value))
            except (ValueError, OverflowError):
                continue  # NaN, or an infinity
            if not 0 <= number <= LARGEST:
                continue
            model = of.get("model", "")
            match name:
                case "kataribe_model_bytes":
                    gauges.memory[model] = gauges.memory.get(model, 0) + number
                case "kataribe_slots_in_use":
                    gauges.telling[model] = gauges.telling.get(model, 0) + number
                case "kataribe_replica_up":
                    gauges.replicas[of.get("replica", "")] = bool(number)
                case "kataribe_tokens_total" if of.get("kind") == "completion":
                    gauges.written += number
        return gauges
