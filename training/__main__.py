"""`python -m training`: from a synopsis file to a model folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.cleaning import RULES
from training.corpus import clean, table, write_corpus
from training.reading import CorpusError


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit status: 2 for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_clean(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except CorpusError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


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


if __name__ == "__main__":
    sys.exit(main())
