"""The run itself: contestants take turns, so that what disturbs the machine disturbs them all."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers.utils import logging as transformers_logging

from generator.bench.work import (
    Contestant,
    MissingPeerError,
    Workload,
    save_random,
    some_prompts,
    step_weights,
)
from generator.engine.loop import Engine
from generator.models.errors import ModelFolderError
from generator.models.loading import LoadedModel, load_model
from generator.sampling.requests import Request
from generator.sampling.settings import Sampling

if TYPE_CHECKING:
    import argparse

_ARTICLE = Sampling(temperature=0.6, top_k=1000, top_p=0.95)
_GREEDY = Sampling(temperature=0)
_SLOTS, _CONTEXT = 32, 2048  # as the server has them, where it is not told otherwise
_WEIGHT_BYTES = {"int8": 1, "bfloat16": 2, "float16": 2, "float32": 4}


class Kataribe:
    """Our own engine, in an event loop of its own."""

    name = "kataribe"

    def __init__(self, loaded: LoadedModel, slots: int, threads: int) -> None:
        self._runner = asyncio.Runner()
        self._engine = Engine(loaded, slots=slots, threads=threads)
        self._runner.run(self._engine.__aenter__())

    def tell(self, workload: Workload) -> float | None:
        """See `Contestant.tell`."""
        return statistics.median(told.first for told in self._runner.run(self._tell(workload)))

    def tell_arriving(self, workload: Workload, seconds: float) -> dict[str, float]:
        """The stories all at once, then one after the other over so long; for the last line."""
        told: dict[str, float] = {"stories": len(workload.prompts), "over_s": seconds}
        for name, over in (("_together", 0.0), ("", seconds)):
            begin = time.perf_counter()
            stories = self._runner.run(self._tell(workload, over))
            told[f"seconds{name}"] = round(time.perf_counter() - begin, 2)
            longest = max(story.longest_pause for story in stories)
            told[f"longest_pause_ms{name}"] = round(1000 * longest, 1)
        return told

    def close(self) -> None:
        """See `Contestant.close`."""
        self._runner.run(self._engine.__aexit__(None, None, None))
        self._runner.close()

    async def _tell(self, workload: Workload, over: float = 0.0) -> list[_Told]:
        async def one(seed: int, prompt: tuple[int, ...]) -> _Told:
            await asyncio.sleep(seed * over / len(workload.prompts))
            begin = time.perf_counter()
            generation = self._engine.submit(
                Request(
                    prompt=prompt,
                    sampling=workload.sampling,
                    seed=seed,
                    max_tokens=workload.tokens,
                    min_tokens=workload.tokens,
                )
            )
            times = [time.perf_counter() async for _ in generation]
            pauses = (after - before for before, after in pairwise(times))
            return _Told(first=times[0] - begin, longest_pause=max(pauses, default=0.0))

        return await asyncio.gather(*(one(*pair) for pair in enumerate(workload.prompts)))


@dataclass(frozen=True, slots=True)
class _Told:
    """One story's times, in seconds."""

    first: float
    longest_pause: float
    """Between two tokens."""


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


def run(options: argparse.Namespace) -> int:
    """Runs what the command line asks for; returns the exit status."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as open_ones:
        folder = options.model
        if folder is None:
            folder = Path(scratch) / options.shape
            save_random(options.shape, folder)
        _say(f"loading kataribe on {options.device} …")
        try:
            loaded = load_model(
                folder,
                device=options.device,
                precision=options.precision,
                reach=max(_CONTEXT, options.prompt + options.tokens),
            )
        except ModelFolderError as error:
            print(error, file=sys.stderr)
            return 2
        if options.prompt + options.tokens > loaded.context:
            print(
                f"{loaded.name} reads {loaded.context} tokens at most: lower --prompt or --tokens",
                file=sys.stderr,
            )
            return 2
        slots = max(_SLOTS, *options.concurrency)
        ours = Kataribe(loaded, slots, options.threads)
        contestants: list[Contestant] = [ours]
        missing = {}
        for name in options.against:
            _say(f"loading {name} …")
            try:
                contestants.append(_peer(name, folder, loaded, Path(scratch)))
            except MissingPeerError as error:
                missing[name] = str(error)
        for contestant in contestants:
            open_ones.callback(contestant.close)
        sampling = _sampling(options, loaded)
        workloads = [
            Workload(
                prompts=some_prompts(count, options.prompt, loaded.config.vocab_size),
                tokens=options.tokens,
                sampling=sampling,
            )
            for count in options.concurrency
        ]
        rows = _measure(
            contestants, workloads, options.repeat, options.peer_tokens or options.tokens
        )
        arriving = options.arriving and ours.tell_arriving(workloads[-1], options.arriving)
        bound = _bandwidth(loaded.device) / (
            step_weights(loaded.model) * _WEIGHT_BYTES[loaded.precision]
        )
    device = _device(loaded)
    print(f"{loaded.name}, {loaded.precision}, on {device}")
    print(
        f"{options.tokens} new tokens after {options.prompt}, {options.repeat} rounds, {sampling}"
        f"{f'; peers {options.peer_tokens} new tokens' if options.peer_tokens else ''}"
    )
    _print_table(rows, bound)
    for name, reason in missing.items():
        print(f"{name} is missing: {reason}")
    if arriving:
        print(
            "arriving one by one:", ", ".join(f"{name} {told}" for name, told in arriving.items())
        )
    told: dict[str, Any] = {
        "device": device,
        "model": loaded.name,
        "precision": loaded.precision,
        "bound_tokens_per_second": round(bound, 1),
        "rows": [row.as_json(bound) for row in rows],
        "missing": missing,
    }
    if arriving:
        told["arriving"] = arriving
    print(json.dumps(told))
    return 0


def _sampling(options: argparse.Namespace, loaded: LoadedModel) -> Sampling:
    """How all stories are drawn."""
    if options.own_rules:
        return Sampling(**loaded.settings.model_dump(include=set(Sampling.model_fields)))
    return _GREEDY if options.greedy else _ARTICLE


def _say(line: str) -> None:
    """At once, and not among what is measured: a run may take minutes."""
    print(line, file=sys.stderr, flush=True)


def _peer(name: str, folder: Path, loaded: LoadedModel, scratch: Path) -> Contestant:
    """Loads a peer; raises `MissingPeerError` where it is not installed."""
    module = name.replace(".", "_").replace("-", "_")
    try:
        peer = importlib.import_module(f"generator.bench.peers.{module}_peer")
    except ImportError as error:
        raise MissingPeerError(f"not installed ({error.name})") from error
    loading: Contestant = peer.load(folder, loaded, scratch)
    return loading


def _measure(
    contestants: list[Contestant], workloads: list[Workload], repeat: int, peer_tokens: int
) -> list[Row]:
    """Round 0 is not counted, then come all; each starts with another contestant."""
    rows = [
        Row(contestant.name, len(workload.prompts), [], [])
        for workload in workloads
        for contestant in contestants
    ]
    for turn in range(repeat + 1):
        for at, ours in enumerate(workloads):
            for place in range(len(contestants)):
                who = (turn + place) % len(contestants)
                workload = ours if who == 0 else replace(ours, tokens=peer_tokens)
                gc.collect()
                begin = time.perf_counter()
                wait = contestants[who].tell(workload)
                seconds = time.perf_counter() - begin
                speed = workload.all_tokens / seconds
                _say(
                    f"round {turn} of {repeat}: {contestants[who].name}, "
                    f"{len(workload.prompts)} at a time, {speed:,.0f} tokens/s, "
                    f"{speed / len(workload.prompts):,.0f} steps/s"
                )
                if turn > 0:
                    row = rows[at * len(contestants) + who]
                    row.speeds.append(speed)
                    row.waits.extend([] if wait is None else [wait])
    return rows


def _bandwidth(device: torch.device) -> float:
    """Bytes a second that the whole device reads from its memory: the best of a few passes."""
    much = torch.zeros(1 << 26, device=device)  # 256 MiB, more than caches hold
    best = float("inf")
    for _ in range(8):
        begin = time.perf_counter()
        much.sum().item()  # which waits for a GPU
        best = min(best, time.perf_counter() - begin)
    return much.nbytes / best


def _device(loaded: LoadedModel) -> str:
    if loaded.device.type == "cuda":
        return torch.cuda.get_device_name(loaded.device)
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
    return f"{name}, {torch.get_num_threads()} threads"


def _print_table(rows: list[Row], bound: float) -> None:
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
