"""`python -m tests.chaos`: one run; exit status 1 when a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.bot.teller import teller
from tests.chaos.faults import EVERY, OF_A_FLEET, OF_GENERATORS
from tests.chaos.fleet import refusal as no_fleet
from tests.chaos.fleet import run_fleet
from tests.chaos.planting import BUGS, planted
from tests.chaos.report import check, details, summary
from tests.chaos.run import Outcome, Plan, run
from tests.network import OWN
from tests.network import refusal as no_network

IN_OUR_NETWORK = "CHAOS_NETWORK"
"""Set where the process has a network of its own."""


def main() -> int:
    """Run, check, and say what came of it."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="fixes what happens when")
    parser.add_argument(
        "--minutes", type=float, default=4.0, help="in which members ask and faults happen"
    )
    parser.add_argument("--faults", metavar="KIND,KIND", help="only these kinds")
    parser.add_argument(
        "--every", type=float, help="seconds from one fault to the next, about: 3, of a fleet 6"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="where the history, database and logs shall lie"
    )
    parser.add_argument(
        "--fleet", action="store_true", help="several bots on one PostgreSQL, on machines that fail"
    )
    parser.add_argument(
        "--cut-off", type=float, default=40.0, help="seconds for which a fleet's machine is cut off"
    )
    parser.add_argument(
        "--hand-over-within",
        type=float,
        default=5.0,
        help="seconds in which a fleet's bot makes room for a new one",
    )
    parser.add_argument(
        "--stand-in", action="store_true", help="a fleet's stories are told by no model"
    )
    parser.add_argument(
        "--plant", choices=BUGS, help="put this bug into a copy of the bot, which the run must find"
    )
    given = parser.parse_args()
    known = OF_A_FLEET if given.fleet else EVERY
    if given.stand_in:
        known = {name: fault for name, fault in known.items() if name not in OF_GENERATORS}
    kinds = given.faults.split(",") if given.faults else list(known)
    if unknown := set(kinds) - known.keys():
        parser.error(f"there is no fault {', '.join(unknown)}; there are: {', '.join(known)}")
    if given.fleet and IN_OUR_NETWORK not in os.environ:
        if reason := no_fleet() or no_network():
            parser.error(f"there can be no fleet here. {reason}")
        command = [*OWN, sys.executable, "-m", "tests.chaos", *sys.argv[1:]]
        os.execvpe(command[0], command, os.environ | {IN_OUR_NETWORK: "1"})  # noqa: S606
    folder = given.keep or Path(tempfile.mkdtemp(prefix="kataribe-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    code = planted(given.plant, folder / "planted") if given.plant else None
    plan = Plan(
        seed=given.seed,
        seconds=60 * given.minutes,
        kinds=kinds,
        every=given.every or (6.0 if given.fleet else 3.0),
        code=code,
        cut_off=given.cut_off,
        warm_up=min(Plan.warm_up, 15 * given.minutes),
        hand_over_within=given.hand_over_within,
    )
    if given.stand_in:
        outcome = asyncio.run(_with_a_stand_in(plan, folder))
    else:
        outcome = asyncio.run((run_fleet if given.fleet else run)(plan, folder))
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


async def _with_a_stand_in(plan: Plan, folder: Path) -> Outcome:
    async with teller() as tells:
        return await run_fleet(replace(plan, generator=tells.url), folder)


if __name__ == "__main__":
    sys.exit(main())
