"""`python -m training`: from a synopsis file to a model folder."""

from __future__ import annotations

import argparse
import sys

from training.commands.making import add_making
from training.commands.measuring import add_measuring
from training.errors import InputError, TeamLostError
from training.interruption import Interrupted


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit status: 2 for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_making(commands)
    add_measuring(commands)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options) or 0
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except Interrupted as interrupted:
        print(interrupted, file=sys.stderr)
        return 128 + interrupted.signal_number
    except TeamLostError as lost:
        print(lost, file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a folder that is none or not ours to write
        # Of two names the second is what was to be written.
        name = error.filename2 or error.filename or "Input or output"
        print(f"{name}: {error.strerror or error}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
