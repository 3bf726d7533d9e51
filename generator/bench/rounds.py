"""The run itself: contestants take turns, so that what disturbs the machine disturbs them all."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers.utils import logging as transformers_logging

from generator.bench.neighbours import neighbours
from generator.bench.ours import Kataribe
from generator.bench.over_http import OverHTTP, Served
from generator.bench.report import Row, bandwidth, device_name, print_table
from generator.bench.work import (
    Contestant,
    MissingPeerError,
    Workload,
    save_random,
    some_prompts,
    step_weights,
)
from generator.models.errors import ModelFolderError
from generator.models.loading import LoadedModel, load_model
from generator.sampling.settings import Sampling

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

_ARTICLE = Sampling(temperature=0.6, top_k=1000, top_p=0.95)
_GREEDY = Sampling(temperature=0)
_SLOTS, _CONTEXT = 32, 2048  # as the server has them, where it is not told otherwise
_WEIGHT_BYTES = {"int8": 1, "bfloat16": 2, "float16": 2, "float32": 4}


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
        for name, load in _others(options, folder, loaded, Path(scratch), slots):
            _say(f"loading {name} …")
            try:
                contestants.append(load())
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
        with neighbours(options.neighbours):
            rows = _measure(
                contestants, workloads, options.repeat, options.peer_tokens or options.tokens
            )
        arriving = options.arriving and ours.tell_arriving(workloads[-1], options.arriving)
        bound = bandwidth(loaded.device) / (
            step_weights(loaded.model) * _WEIGHT_BYTES[loaded.precision]
        )
    device = device_name(loaded)
    print(f"{loaded.name}, {loaded.precision}, on {device}")
    print(
        f"{options.tokens} new tokens after {options.prompt}, {options.repeat} rounds, {sampling}"
        f"{f'; peers {options.peer_tokens} new tokens' if options.peer_tokens else ''}"
        f"{f'; {options.neighbours} spinning beside' if options.neighbours else ''}"
    )
    print_table(rows, bound)
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
        "neighbours": options.neighbours,
        "rows": [row.as_json(bound) for row in rows],
        "missing": missing,
    }
    if arriving:
        told["arriving"] = arriving
    print(json.dumps(told))
    return 0


def _others(
    options: argparse.Namespace, folder: Path, loaded: LoadedModel, scratch: Path, slots: int
) -> Iterator[tuple[str, Callable[[], Contestant]]]:
    """Who else takes part, and how it is loaded."""
    for name in options.against:
        yield name, partial(_peer, name, folder, loaded, scratch)
    if options.http:
        same = {
            "device": options.device,
            "precision": options.precision,
            "threads": options.threads,
            "slots": slots,
            "context": max(_CONTEXT, options.prompt + options.tokens),
        }
        yield "a server", partial(OverHTTP, folder, scratch, same)
    for address in options.at:
        yield address, partial(Served, address, folder.resolve().name, address)


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
                is_ours = isinstance(contestants[who], Kataribe | Served)
                workload = ours if is_ours else replace(ours, tokens=peer_tokens)
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
