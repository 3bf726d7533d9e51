"""The commands of `python -m training`; each imports what it needs once it runs.

Torch takes seconds to import, which `clean` and `--help` need not wait for.
"""

from __future__ import annotations

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  # its only name


def number(text: str) -> int:
    """An argument's whole number above zero."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above zero")
    return int(text)
