"""`python -m tests.chaos`: one run; exit status 1 when a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.faults import EVERY
from tests.chaos.planting import BUGS, planted
from tests.chaos.report import check, details, summary
from tests.chaos.run import Plan, run


def main() -> int:
    """Run, check, and say what came of it."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="fixes what happens when")
    parser.add_argument(
        "--minutes", type=float, default=4.0, help="in which members ask and faults happen"
    )
    parser.add_argument(
        "--faults", metavar="KIND,KIND", default=",".join(EVERY), help="only these kinds"
    )
    parser.add_argument(
        "--every", type=float, default=3.0, help="seconds from one fault to the next, about"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="where the history, database and logs shall lie"
    )
    parser.add_argument(
        "--plant", choices=BUGS, help="put this bug into a copy of the bot, which the run must find"
    )
    given = parser.parse_args()
    kinds = given.faults.split(",")
    if unknown := set(kinds) - EVERY.keys():
        parser.error(f"there is no fault {', '.join(unknown)}; there are: {', '.join(EVERY)}")
    folder = given.keep or Path(tempfile.mkdtemp(prefix="kataribe-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    code = planted(given.plant, folder / "planted") if given.plant else None
    plan = Plan(
        seed=given.seed, seconds=60 * given.minutes, kinds=kinds, every=given.every, code=code
    )
    outcome = asyncio.run(run(plan, folder))
    if outcome.left_out:
        left_out = ", ".join(outcome.left_out)
        print(f"Without a C compiler, or Linux, some faults cannot be made: {left_out}")
    seen, kept, found = check(outcome)
    if found:
        print(details(found))
        print(f"The history, the database and the logs lie in {folder}")
    elif given.keep is None:
        shutil.rmtree(folder)
    print(summary(plan, outcome, seen, kept, found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
