"""`python -m bot bench`: what the bot costs, on a database that is thrown away."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from typing import TYPE_CHECKING, Any

from bot.bench import (
    arriving,
    flood,
    lasting,
    pressing,
    queues,
    rows,
    side_by_side,
    tales,
    waiting,
)
from bot.bench.figures import print_json
from bot.bench.running import BenchError, until_told_to_stop
from bot.database import DatabaseError
from bot.playground.visitor import VisitError

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["add_bench_command", "main"]

HELP = """\
Starts a bot of its own on a database that is thrown away, and measures what it is asked for:

  bench                            how long a member waits for the acknowledgement of /story, for
                                   the first words and for the whole story
  bench --members 100              100 members press and type everything there is while stories
                                   are told: what each kind of acknowledgement takes
  bench --rate 200 --seconds 30    200 /story a second: each is accepted or refused politely
  bench --arriving 60              60 /story a minute, at moments of their own: how long members
                                   wait for words, and how many edits a story takes
  bench --told 20000               so many short stories: whether the bot's memory stays what it was
  bench --jobs 2000 --database URL so many through our queue, on SQLite and on an empty PostgreSQL,
                                   and through procrastinate and Oban where they are installed
  bench --jobs 4000 --database URL --processes 8
                                   so many wishes by one process and by eight, each with servers of
                                   its own: whether they wait for each other
  bench --tales 20 --links 10      how tales read that are told on: whether they loop, whom they
                                   remember, and what no story is to say
  bench --rows 1000000             what each statement costs on a database of so many stories

Discord is a stand-in on this machine, its limits are Discord's, and the bot speaks to it over
sockets as it would to Discord. The last line is one JSON object: ack_p50_ms and ack_p99_ms are
milliseconds until the acknowledgement, rss_mb is the memory of the bot without its generator.
"""


def add_bench_command(commands: argparse._SubParsersAction[Any]) -> None:
    """Describe the command on the command line."""
    parser = commands.add_parser(
        "bench",
        help="measure how long members wait, what the bot bears, or what the database costs",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="gpt2-starter", help="who tells (default: %(default)s)")
    parser.add_argument(
        "--stories", type=_count, default=10, help="how many are measured (default: %(default)s)"
    )
    parser.add_argument(
        "--together",
        type=_count,
        default=1,
        help="how many are asked for at the same time (default: %(default)s)",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--members", type=_count, metavar="N", help="so many press and type")
    which.add_argument("--rate", type=_positive, metavar="N", help="so many /story a second")
    which.add_argument(
        "--arriving", type=_positive, metavar="N", help="so many /story a minute, all of them told"
    )
    which.add_argument(
        "--rows", type=_count, metavar="N", help="measure the database with N stories in it"
    )
    which.add_argument("--told", type=_parts, metavar="N", help="read its memory over N stories")
    which.add_argument("--jobs", type=_count, metavar="N", help="so many through the queue")
    which.add_argument("--tales", type=_count, metavar="N", help="judge the words of N tales")
    parser.add_argument(
        "--links", type=_count, default=10, help="parts of each of --tales (default: %(default)s)"
    )
    parser.add_argument(
        "--show", type=_count, default=0, metavar="N", help="print N of --tales (default: none)"
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        help="an empty PostgreSQL database for --jobs, as in [database] url",
    )
    parser.add_argument(
        "--processes",
        type=_count,
        metavar="N",
        help="enqueue --jobs by so many processes, and by one",
    )
    parser.add_argument(
        "--seconds",
        type=_positive,
        default=30.0,
        help="how long --members, --rate and --arriving last (default: %(default)g)",
    )
    parser.add_argument(
        "--waiting",
        type=_count,
        metavar="N",
        help="so many stories may wait with --rate, whoever asks (default: the bot's own limits), "
        f"and so many wait with --rows (default: {rows.LIVE})",
    )


def main(given: argparse.Namespace) -> int:
    """Measure and print; gives the exit status: 0 well, 1 it could not be measured, 2 a mistake."""
    if given.rows is not None and given.rows < (least := rows.fewest(given.waiting or rows.LIVE)):
        print(f"--rows takes a whole number from {least}", file=sys.stderr)
        return 2
    if given.processes is not None and None in {given.jobs, given.database}:
        print("--processes takes --jobs and --database as well", file=sys.stderr)
        return 2
    try:
        print_json(asyncio.run(until_told_to_stop(_chosen(given))))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\nStopped; nothing is left behind.", file=sys.stderr)
        return 130
    except TimeoutError:
        print("No story was told in time.", file=sys.stderr)
        return 1
    except (BenchError, DatabaseError, VisitError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _chosen(given: argparse.Namespace) -> Coroutine[Any, Any, dict[str, object]]:
    """What is asked for."""
    if given.rows is not None:
        chosen = rows.cost(given.rows, given.waiting or rows.LIVE)
    elif given.processes is not None:
        chosen = side_by_side.compare(given.jobs, given.database, given.processes)
    elif given.jobs is not None:
        chosen = queues.compare(given.jobs, given.database)
    elif given.tales is not None:
        chosen = tales.tell(given.model, given.tales, given.links, shown=given.show)
    elif given.told is not None:
        chosen = lasting.last(given.told)
    elif given.members is not None:
        chosen = pressing.press(given.members, given.seconds)
    elif given.arriving is not None:
        chosen = arriving.arrive(given.arriving, given.seconds)
    elif given.rate is not None:
        chosen = flood.flood(given.rate, given.seconds, given.waiting)
    else:
        chosen = waiting.wait(given.model, given.stories, given.together)
    return chosen


def _count(text: str, least: int = 1) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from {least}")
    return int(text)


def _parts(text: str) -> int:
    return _count(text, lasting.PARTS)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number above 0")
    return number
