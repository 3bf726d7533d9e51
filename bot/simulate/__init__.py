"""`python -m bot simulate`: a week of one server, a thousand, a hundred thousand, on paper."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Any

from bot.bench.figures import print_json, show_progress
from bot.bench.running import BenchError, until_told_to_stop

__all__ = ["add_simulate_command", "main"]

SIZES = (1, 1_000, 100_000)
"""Servers."""
SECONDS = 60.0
"""That a rate is held while it is compared with a real bot."""
HELP = """\
Lets servers ask for stories through a week with evening peaks and one viral hour (Saturday, from
nine in the evening), and says how long members wait, what live text loses to Discord's limits,
what machines it takes, and what breaks next. Up to some thousand servers every story and edit is
simulated by itself, beyond that stories are counted second by second.

  simulate                       1, 1,000 and 100,000 servers
  simulate --servers 20000       so many
  simulate --picture FILE.png    also draws how long members wait
  simulate --check               beside a real bot with its generator on this machine, some minutes:
                                 whether the simulation is right at the small end (exit status 1:
                                 more than 20 % apart)

How much a server asks for is assumed; what machines carry was measured: docs/scale.md has both.
The last line is one JSON object.
"""


def add_simulate_command(commands: argparse._SubParsersAction[Any]) -> None:
    """Describe the command on the command line."""
    parser = commands.add_parser(
        "simulate",
        help="how many machines so many servers take, and what breaks next",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--servers",
        type=_count,
        nargs="+",
        metavar="N",
        help="how many servers, one or several sizes (default: 1 1000 100000)",
    )
    parser.add_argument(
        "--stories",
        type=_positive,
        default=10.0,
        metavar="N",
        help="that a server asks for on a day, on average (default: %(default)g)",
    )
    parser.add_argument(
        "--viral",
        type=_positive,
        default=10.0,
        metavar="N",
        help="times as much in the viral hour (default: %(default)g)",
    )
    parser.add_argument(
        "--gpu-price",
        type=_positive,
        default=3.0,
        metavar="N",
        help="dollars for a GPU, an hour (default: %(default)g)",
    )
    parser.add_argument(
        "--core-price",
        type=_positive,
        default=0.04,
        metavar="N",
        help="dollars for a processor core, an hour (default: %(default)g)",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--picture", type=_picture, metavar="FILE", help="a PNG to be drawn")
    parser.add_argument("--check", action="store_true", help="compare it with a real bot")
    parser.add_argument(
        "--seconds",
        type=_positive,
        metavar="N",
        help="how long --check asks at each rate (default: 60)",
    )


def main(given: argparse.Namespace) -> int:
    """Simulate and print; gives the exit status.

    0: well, 1: it could not be done or disagrees, 2: what was asked for does not go together.
    """
    if wrong := _not_together(given):
        print(wrong, file=sys.stderr)
        return 2
    if importlib.util.find_spec("simpy") is None:
        print("This needs SimPy: pip install -c constraints.txt '.[bot,scale]'", file=sys.stderr)
        return 1
    try:
        if not given.check:
            return _simulate(given)
        from bot.simulate.check import check  # noqa: PLC0415  # SimPy is there

        figures = asyncio.run(until_told_to_stop(check(given.seconds or SECONDS)))
        print_json(figures)
        return 0 if figures["agrees"] else 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\nStopped; nothing is left behind.", file=sys.stderr)
        return 130
    except (BenchError, OSError) as error:  # a timeout says nothing of itself
        print(str(error) or "No story was told in time.", file=sys.stderr)
        return 1


def _simulate(given: argparse.Namespace) -> int:
    from bot.simulate import week  # noqa: PLC0415  # SimPy is there
    from bot.simulate.assumptions import Prices, Village  # noqa: PLC0415  # the same

    prices = Prices(given.gpu_price, given.core_price)
    villages = [Village(servers, given.stories, given.viral) for servers in given.servers or SIZES]
    tried = [(village, fleet) for village in villages for fleet in week.fleets(village)]
    weeks: list[week.Week] = []
    for village, fleet in tried:
        show_progress(len(weeks), len(tried), "weeks")
        weeks.append(week.simulate(village, fleet, given.seed))
    show_progress(len(weeks), len(tried), "weeks")
    week.print_weeks(weeks, prices)
    if given.picture is not None:
        from bot.simulate.picture import picture  # noqa: PLC0415  # draws, where that is wanted

        given.picture.write_bytes(picture({one.name: one.outcome for one in weeks}))
    print_json({"seed": given.seed, "weeks": [one.figures(prices) for one in weeks]})
    return 0


def _not_together(given: argparse.Namespace) -> str:
    """What would be passed over in silence; empty: nothing."""
    if not given.check:
        return "--seconds is of --check: give both, or neither" if given.seconds else ""
    if given.servers or given.picture:
        return "--check measures this machine: it takes no --servers, and draws no --picture"
    return ""


def _picture(text: str) -> Path:
    """A file that can be written once all is simulated, which takes a while."""
    file = Path(text)
    if file.is_dir() or not file.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no file in a folder that is there")
    return file


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000_000:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 to 10000000")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1e6:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{text} is no number above 0, up to 1000000")
    return number
