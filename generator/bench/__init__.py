"""`python -m generator bench`: how fast this machine tells, beside the engines that others made."""

from __future__ import annotations

import argparse
from pathlib import Path

SHAPES = (
    "gpt2-small",
    "gpt2-medium",
    "gpt2-starter",
    "lstm-article",
    "lstm-starter",
    "smollm2-135m",
)
PEERS = ("transformers", "transformers-static", "ctranslate2", "openvino", "llama.cpp", "forward")

_DESCRIPTION = """\
Measures tokens a second: Kataribe's engine and its peers take turns in one run, each telling the
same number of stories of the same length with the same sampling. Prints a table, then one JSON
object on the last line. A peer that is not installed is said to be missing."""


def add_bench_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its options; `run` of what is parsed returns the exit status."""
    bench = commands.add_parser(
        "bench",
        help="measure tokens a second, beside other engines",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    bench.set_defaults(run=_run)
    model = bench.add_mutually_exclusive_group()
    model.add_argument("--model", type=Path, metavar="FOLDER", help="a model folder")
    model.add_argument(
        "--shape", choices=SHAPES, default=SHAPES[0], help="or random weights (gpt2-small)"
    )
    bench.add_argument(
        "--against",
        type=_peers,
        default=(),
        metavar="PEER,…",
        help=f"of {', '.join(PEERS)}; forward is an LSTM's own, in a plain loop",
    )
    bench.add_argument(
        "--concurrency", type=_numbers, default=(1, 8, 32), metavar="N,…", help="stories (1,8,32)"
    )
    bench.add_argument("--tokens", type=_number, default=64, help="new tokens of each story (64)")
    bench.add_argument(
        "--peer-tokens",
        type=_number,
        metavar="N",
        help="new tokens of each story of a peer, where a slow one would take long (as --tokens)",
    )
    bench.add_argument("--prompt", type=_number, default=6, help="tokens of each prompt (6)")
    drawing = bench.add_mutually_exclusive_group()
    drawing.add_argument("--greedy", action="store_true", help="the likeliest token, no sampling")
    drawing.add_argument(
        "--own-rules",
        action="store_true",
        help="draw by the rules of the model's folder, as far as each contestant has them",
    )
    bench.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    bench.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16", "int8"), default="auto"
    )
    bench.add_argument("--threads", type=int, default=0, help="0: measured (0)")
    bench.add_argument(
        "--arriving",
        type=_number,
        metavar="SECONDS",
        help="also let the stories come one by one over so long, for our engine only",
    )
    bench.add_argument(
        "--http",
        action="store_true",
        help="also over our own server: readers of its streams in a process beside it",
    )
    bench.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="URL",
        help="also over a server that runs already and has this model; may be given several times",
    )
    bench.add_argument(
        "--neighbours",
        type=_number,
        default=0,
        metavar="N",
        help="processes that spin beside all contestants meanwhile (none)",
    )
    bench.add_argument("--repeat", type=_number, default=3, help="rounds that are measured (3)")


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above zero")
    return int(text)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(_number(part) for part in text.split(","))


def _peers(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in PEERS:
            raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(PEERS)}")
    return names


def _run(options: argparse.Namespace) -> int:
    from generator.bench.rounds import run  # noqa: PLC0415  # torch takes seconds to come

    return run(options)
