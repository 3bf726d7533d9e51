"""`python -m training`: from a synopsis file to a model folder."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from training.cleaning import RULES
from training.corpus import Split, clean, table, write_corpus
from training.errors import InputError
from training.interruption import Interrupted
from training.recipe import load_recipe

if TYPE_CHECKING:
    from generator.models.loading import LoadedModel
    from training.sampling import Sampling


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit status: 2 for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_clean(commands)
    _add_train(commands)
    _add_memfree(commands)
    _add_imagine(commands)
    _add_evaluate(commands)
    _add_compare(commands)
    _add_bench(commands)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options) or 0
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except Interrupted as interrupted:
        print(interrupted, file=sys.stderr)
        return 128 + interrupted.signal_number
    except OSError as error:  # a full disk, a folder that is none or not ours to write
        # Of two names the second is what was to be written.
        name = error.filename2 or error.filename or "Input or output"
        print(f"{name}: {error.strerror or error}", file=sys.stderr)
        return 2
    return status


def _add_clean(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    # torch takes seconds to import, which `clean` and `--help` need not wait for.
    from training.team import team  # noqa: PLC0415
    from training.train import train  # noqa: PLC0415

    given = {"minutes": options.minutes, "seed": options.seed}
    settings = [f"training.{name}={value}" for name, value in given.items() if value is not None]
    recipe = load_recipe(options.recipe, [*options.settings, *settings])
    with team() as processes:
        train(recipe, options.corpus, options.out, options.runs, processes)


def _add_memfree(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "memfree",
        help="keep a model folder's stories from copying its training texts",
        description="Puts a filter of the training texts' n-grams into the folder. Stories then "
        "have no eight words in a row out of any of them; `train` does it by sampling.memfree.",
    )
    parser.add_argument("--model", type=Path, required=True, help="a model folder")
    parser.add_argument("--corpus", type=Path, required=True, help="that it was trained on")
    parser.set_defaults(run=_memfree)


def _memfree(options: argparse.Namespace) -> None:
    from training.memfree import add_memfree  # noqa: PLC0415

    if not options.model.is_dir():
        raise InputError(f"There is no model folder {options.model}.")
    model, _ = _load(str(options.model))
    count = add_memfree(model, options.model, options.corpus)
    print(f"The stories of {options.model} copy none of {count:,} texts any more.")


def _add_imagine(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    parser.add_argument("--texts", type=_number, default=100_000, help="to imagine (%(default)s)")
    parser.add_argument(
        "--batch", type=_number, default=256, help="drawn at a time; give a GPU 4096 (%(default)s)"
    )
    parser.add_argument(
        "--length", type=_number, default=400, help="tokens of a text at most (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.set_defaults(run=_imagine)


def _imagine(options: argparse.Namespace) -> None:
    from training.imagining import imagine  # noqa: PLC0415

    imagine(
        options.model,
        options.corpus,
        options.out,
        count=options.texts,
        batch=options.batch,
        length=options.length,
        seed=options.seed,
    )


def _add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
        "--stories", type=_number, default=64, help="to tell and look at (%(default)s)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="tell with another sampling setting than the folder's, such as temperature=0.9",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    from training.evaluation import evaluate, read_texts, table  # noqa: PLC0415

    held_out, training = read_texts(options.corpus, Split(options.split))
    model, sampling = _load(options.model)
    sampling = sampling.but(options.settings)
    evaluation = evaluate(model, held_out, training, sampling, stories=options.stories)
    print(table(evaluation))
    if options.json:
        print(json.dumps(evaluation.plain()))
    return 0


def _load(name: str) -> tuple[LoadedModel, Sampling]:
    """A model and its own sampling settings."""
    from generator.models.loading import ModelFolderError, load_model  # noqa: PLC0415
    from training.sampling import Sampling  # noqa: PLC0415

    try:
        model = load_model(name)
    except ModelFolderError as error:
        raise InputError(f"{error}.") from error
    return model, Sampling.of(model.model.generation_config)


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("compare", help="several models on the same texts, as a report")
    parser.add_argument("models", nargs="+", metavar="MODEL", help="folders, or names of the hub")
    parser.add_argument("--corpus", type=Path, required=True, help="as for `evaluate`")
    parser.add_argument("--split", choices=["validation", "test"], default="test")
    parser.add_argument(
        "--stories", type=_number, default=64, help="to tell and look at (%(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="the report's folder")
    parser.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> int:
    from training.evaluation import read_texts  # noqa: PLC0415
    from training.report import measure, write_report  # noqa: PLC0415

    held_out, training = read_texts(options.corpus, Split(options.split))
    folders = [Path(name).name for name in options.models]
    if len(set(folders)) < len(folders):
        raise InputError("compare names models by their folders: give each folder another name.")
    contestants = []
    for name in options.models:
        model, sampling = _load(name)
        contestants.append(measure(model, sampling, held_out, training, options.stories))
    write_report(contestants, len(held_out), options.out)
    print(f"The report is in {options.out}.")
    return 0


def _add_bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "bench",
        help="measure tokens a second, beside transformers' own Trainer",
        epilog="Prints a table, then one JSON object on the last line. Ours also saves its "
        "checkpoint in the time that is measured. trainer-tuned groups few texts by length worse "
        "than it does thousands: give as many as you train on.",
    )
    parser.add_argument("--corpus", type=Path, help="made by `clean`; invented texts without")
    parser.add_argument(
        "--recipe", default="starter-gpt2", help="of a GPT-2 from nothing (%(default)s)"
    )
    parser.add_argument("--texts", type=_number, default=400, help="of an epoch (%(default)s)")
    parser.add_argument(
        "--repeat", type=_number, default=3, help="rounds that are measured (%(default)s)"
    )
    parser.set_defaults(run=_bench)


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above zero")
    return int(text)


def _bench(options: argparse.Namespace) -> int:
    from training.bench import bench  # noqa: PLC0415

    try:
        bench(load_recipe(options.recipe), options.corpus, options.texts, options.repeat)
    except Interrupted as interrupted:  # nothing is kept, so nothing is said of going on
        return 128 + interrupted.signal_number
    except KeyboardInterrupt:  # in the Trainer's turn
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main())
