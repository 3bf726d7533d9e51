"""`python -m bot bench`: what the bot costs, on a database that is thrown away."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from bot.bench import rows, waiting

if TYPE_CHECKING:
    import argparse

__all__ = ["add_bench_command", "main"]


def add_bench_command(commands: argparse._SubParsersAction[Any]) -> None:
    """Describe the command on the command line."""
    parser = commands.add_parser(
        "bench",
        help="measure how long a member waits, or what the database costs",
        description=(
            "Starts a bot of its own with a playground, asks it for stories, and prints how long "
            "a member waits: for the acknowledgement, the first words, and the whole story. With "
            "--rows it measures each statement of the bot on a database of so many stories "
            "instead. The last line is one JSON object."
        ),
    )
    parser.add_argument("--model", default="gpt2-starter", help="who tells (default: %(default)s)")
    parser.add_argument(
        "--stories", type=int, default=10, help="how many are measured (default: %(default)s)"
    )
    parser.add_argument(
        "--together",
        type=int,
        default=1,
        help="how many are asked for at the same time (default: %(default)s)",
    )
    parser.add_argument(
        "--rows", type=int, metavar="N", help="measure the database with N stories in it"
    )


def main(given: argparse.Namespace) -> int:
    """Measure and print; gives the exit status."""
    if given.rows is None:
        return waiting.main(given)
    if given.rows < rows.FEWEST:
        print(f"--rows takes a whole number from {rows.FEWEST}", file=sys.stderr)
        return 2
    rows.show(given.rows, asyncio.run(rows.measure(given.rows)))
    return 0
