# ruff: noqa: PLC0415  # see the package
"""The commands that make a corpus, a model folder, and what belongs to either."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from training.bars import under_way
from training.commands import number
from training.corpus.cleaning import clean, table
from training.corpus.rules import RULES
from training.corpus.texts import write_corpus
from training.errors import InputError
from training.recipe import load_recipe

if TYPE_CHECKING:
    import argparse

    from training.commands import Commands


def add_making(commands: Commands) -> None:
    """`clean`, `train`, `memfree` and `imagine`."""
    _add_clean(commands)
    _add_train(commands)
    _add_memfree(commands)
    _add_imagine(commands)


def _add_clean(commands: Commands) -> None:
    parser = commands.add_parser("clean", help="make a corpus of synopsis files")
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help=".csv, .jsonl or .parquet; the first is the target, which alone is held out for "
        "validation and test, the others widen training",
    )
    parser.add_argument("--out", type=Path, required=True, help="the corpus, a .jsonl file")
    parser.add_argument("--rules", choices=sorted(RULES), default="default")
    parser.add_argument("--column", help="where the synopsis stands, if not under a usual name")
    parser.set_defaults(run=_clean)


def _clean(options: argparse.Namespace) -> None:
    cleaned = clean(
        options.files,
        RULES[options.rules],
        column=options.column,
        duplicates=options.rules == "article",
    )
    write_corpus(cleaned.texts, options.out)
    print(table(cleaned.files))
    print(f"{len(cleaned.texts):,} texts written to {options.out}")


def _add_train(commands: Commands) -> None:
    parser = commands.add_parser(
        "train",
        help="train a model folder by a recipe",
        epilog="Several GPUs or machines: torchrun --nproc-per-node N -m training train …; each "
        "step then reads N times as many batches.",
    )
    parser.add_argument("--recipe", required=True, help="one of ours, or a .toml file")
    parser.add_argument("--corpus", type=Path, required=True, help="made by `clean`")
    parser.add_argument("--out", type=Path, required=True, help="the model folder")
    parser.add_argument("--minutes", type=float, help="wall time to spend; shapes the schedule")
    parser.add_argument("--seed", type=int)
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.NAME=VALUE", dest="settings",
        help="another value for anything in the recipe",
    )  # fmt: skip
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="for checkpoints and logs (%(default)s)"
    )
    parser.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> None:
    with under_way("Starting torch"):
        from training.learning.team import team
        from training.learning.train import train

    given = {"minutes": options.minutes, "seed": options.seed}
    settings = [f"training.{name}={value}" for name, value in given.items() if value is not None]
    recipe = load_recipe(options.recipe, [*options.settings, *settings])
    with team() as processes:
        train(recipe, options.corpus, options.out, options.runs, processes)


def _add_memfree(commands: Commands) -> None:
    parser = commands.add_parser(
        "memfree",
        help="keep a model folder's stories from copying its training texts",
        description="Puts a filter of the training texts' n-grams into the folder. A token that "
        "would complete one is then struck out and another drawn; `train` does it where "
        "sampling.memfree is true.",
    )
    parser.add_argument("--model", type=Path, required=True, help="a model folder")
    parser.add_argument("--corpus", type=Path, required=True, help="all that it was trained on")
    parser.set_defaults(run=_memfree)


def _memfree(options: argparse.Namespace) -> None:
    if not options.model.is_dir():
        raise InputError(f"There is no model folder {options.model}.")
    with under_way("Reading the texts"):
        from training.learning.memfree import add_memfree

        count = add_memfree(options.model, options.corpus)
    print(f"The stories of {options.model} keep clear of {count:,} texts.")


def _add_imagine(commands: Commands) -> None:
    parser = commands.add_parser(
        "imagine",
        help="widen a corpus with texts that a model invents",
        description="A small model that learns from a teacher (recipes student-gpt2, student-lstm) "
        "learns more from more texts: the teacher invents them. Stopped, the same command goes on.",
    )
    parser.add_argument("--model", required=True, help="the teacher, trained on the corpus")
    parser.add_argument("--corpus", type=Path, required=True, help="made by `clean`")
    parser.add_argument(
        "--out", type=Path, required=True, help="the corpus with the imagined texts behind it"
    )
    parser.add_argument("--texts", type=number, default=100_000, help="to imagine (%(default)s)")
    parser.add_argument(
        "--batch", type=number, default=256, help="drawn at a time; give a GPU 4096 (%(default)s)"
    )
    parser.add_argument(
        "--length", type=number, default=400, help="tokens of a text at most (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.set_defaults(run=_imagine)


def _imagine(options: argparse.Namespace) -> None:
    with under_way("Starting torch"):
        from training.teaching.imagining import imagine

    imagine(
        options.model,
        options.corpus,
        options.out,
        count=options.texts,
        batch=options.batch,
        length=options.length,
        seed=options.seed,
    )
