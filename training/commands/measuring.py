# ruff: noqa: PLC0415  # see the package
"""The commands that measure models, and how fast they are trained."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from training.bars import under_way
from training.commands import number
from training.corpus.texts import Split
from training.errors import InputError
from training.interruption import Interrupted
from training.recipe import load_recipe

if TYPE_CHECKING:
    import argparse

    from training.commands import Commands


def add_measuring(commands: Commands) -> None:
    """`evaluate`, `compare` and `bench`."""
    _add_evaluate(commands)
    _add_compare(commands)
    _add_bench(commands)


def _add_evaluate(commands: Commands) -> None:
    parser = commands.add_parser("evaluate", help="measure a model folder on unseen texts")
    parser.add_argument("--model", required=True, help="a model folder, or a name of the hub")
    parser.add_argument(
        "--corpus",
        type=Path,
        required=True,
        help="made by `clean`, to measure on a split of it; or any synopsis file, as a whole",
    )
    parser.add_argument("--split", choices=["validation", "test"], default="test")
    parser.add_argument(
        "--stories", type=number, default=64, help="to tell and look at (%(default)s)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="tell with another sampling setting than the folder's, such as temperature=0.9",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    with under_way("Starting torch"):
        from training.measuring.evaluation import evaluate, plain, read_after, table
        from training.measuring.unseen import read_unseen
        from training.telling import open_model

    unseen = read_unseen(options.corpus, Split(options.split))
    model, sampling = open_model(options.model)
    sampling = sampling.but(options.settings)
    evaluation = evaluate(model, unseen, sampling, stories=options.stories)
    figures = dict(evaluation.figures())
    print(f"Texts are read after {read_after(model.tokenizer)}.")
    print(table(figures))
    if options.json:
        print(json.dumps(plain(figures)))
    return 0


def _add_compare(commands: Commands) -> None:
    parser = commands.add_parser("compare", help="several models on the same texts, as a report")
    parser.add_argument("models", nargs="+", metavar="MODEL", help="folders, or names of the hub")
    parser.add_argument("--corpus", type=Path, required=True, help="as for `evaluate`")
    parser.add_argument("--split", choices=["validation", "test"], default="test")
    parser.add_argument(
        "--stories", type=number, default=64, help="to tell and look at (%(default)s)"
    )
    parser.add_argument(
        "--alike", action="append", default=[], metavar="NAME=VALUE",
        help="tell as many stories once more with these settings for all models, such as "
        "temperature=0.8; every rule that is not named is off",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="the report's folder")
    parser.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> int:
    with under_way("Starting torch"):
        from training.measuring.report import measure, write_report
        from training.measuring.unseen import read_unseen
        from training.sampling import Sampling
        from training.telling import open_model

    folders = [Path(name).name for name in options.models]
    if len(set(folders)) < len(folders):
        raise InputError("compare names models by their folders: give each folder another name.")
    alike = Sampling(temperature=1.0).but(options.alike, "--alike") if options.alike else None
    unseen = read_unseen(options.corpus, Split(options.split))
    contestants = []
    for name in options.models:
        model, sampling = open_model(name)
        contestants.append(measure(model, sampling, unseen, options.stories, alike))
    write_report(contestants, unseen, options.out, options.alike)
    print(f"The report is in {options.out}.")
    return 0


def _add_bench(commands: Commands) -> None:
    parser = commands.add_parser(
        "bench",
        help="measure tokens a second, beside transformers' own Trainer",
        epilog="Prints a table, then one JSON object on the last line. Ours also saves its "
        "checkpoint in the time that is measured. trainer-tuned groups few texts by length worse "
        "than it does thousands: give as many as you train on.",
    )
    parser.add_argument("--corpus", type=Path, help="made by `clean`; invented texts without")
    parser.add_argument(
        "--recipe", default="starter-gpt2", help="of a model from nothing (%(default)s)"
    )
    parser.add_argument("--texts", type=number, default=400, help="of an epoch (%(default)s)")
    parser.add_argument(
        "--repeat", type=number, default=3, help="rounds that are measured (%(default)s)"
    )
    parser.set_defaults(run=_bench)


def _bench(options: argparse.Namespace) -> int:
    from training.measuring.bench import bench

    try:
        bench(load_recipe(options.recipe), options.corpus, options.texts, options.repeat)
    except Interrupted as interrupted:  # nothing is kept, so nothing is said of going on
        return 128 + interrupted.signal_number
    except KeyboardInterrupt:  # in the Trainer's turn
        return 128 + signal.SIGINT
    return 0
