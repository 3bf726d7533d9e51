"""`python -m tests.fuzzing`: ten thousand bad requests to a generator, a playground and a bot.

Ends with status 1 if one is answered with a fault of the server, or with nothing in a minute, or if
a server holds a tenth more memory after them than after the first thousand.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzzing import targets
from tests.fuzzing.requests import Answers, BadAnswerError
from tests.generator.small_folders import save_gpt2, save_lstm
from tests.running import running_bot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GROWTH = 1.1
"""How much of its memory after the first requests a server may hold after the last."""


def main() -> int:
    """Send them; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    wanted = parser.parse_args().requests
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            asked = {
                "generator": of_a_generator(Path(folder), wanted * 6 // 10),
                "playground": of_a_process(
                    ["tests.fuzzing.open_playground"], targets.playground, wanted * 3 // 10
                ),
                "bot": asyncio.run(of_a_bot(Path(folder), wanted // 10)),
            }
    except BadAnswerError as error:
        print(error, file=sys.stderr)
        return 1
    told = sum((answers.statuses for answers, _ in asked.values()), start=Counter[int]())
    statuses = ", ".join(f"{count} of {status or 'none'}" for status, count in sorted(told.items()))
    print(
        f"{told.total()} requests in {time.monotonic() - begun:.0f} s, no fault of a server: "
        f"{statuses}; memory: " + ", ".join(f"{name} {grown}" for name, (_, grown) in asked.items())
    )
    return 0


def of_a_generator(folder: Path, wanted: int) -> tuple[Answers, str]:
    """Requests to one with two small models."""
    models = folder / "models"
    models.mkdir()
    names = [save_gpt2(models / "gpt2-small").name, save_lstm(models / "lstm-small").name]

    def send(address: str, answers: Answers, count: int) -> None:
        targets.generator(address, names, answers, count)

    command = ("generator", "--models", str(models), "--port", "0", "--with-parent")
    return of_a_process(command, send, wanted)


def of_a_process(
    command: Sequence[str], send: Callable[[str, Answers, int], None], wanted: int
) -> tuple[Answers, str]:
    """Requests to a process that says where it listens, and ends with its input."""
    answers = Answers()
    with subprocess.Popen(
        [sys.executable, "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        try:
            assert run.stdout
            ready = run.stdout.readline()
            found = re.search(r"http://[^ \n]+", ready)
            assert found, ready
            address = found[0]
            grown = memory_over(run.pid, wanted, lambda count: send(address, answers, count))
        finally:
            run.kill()
    return answers, grown


async def of_a_bot(folder: Path, wanted: int) -> tuple[Answers, str]:
    """Requests to the page on which one says how it is."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    answers = Answers()
    async with running_bot(folder, HEALTH__PORT=str(port), LOG__LEVEL="ERROR") as bot:
        grown = await asyncio.to_thread(
            memory_over,
            bot.process.pid,
            wanted,
            lambda count: targets.health(f"http://127.0.0.1:{port}", answers, count),
        )
        await bot.stop()
    return answers, grown


def memory_over(process: int, wanted: int, send: Callable[[int], None]) -> str:
    """Send a tenth, then the rest; gives what the process held after each.

    Raises:
        BadAnswerError: it holds much more at the end.
    """
    send(wanted // 10)
    before = resident(process)
    send(wanted - wanted // 10)
    after = resident(process)
    said = f"{before >> 20} → {after >> 20} MiB"
    if after > before * GROWTH:
        raise BadAnswerError(f"memory grew: {said}")
    return said


def resident(process: int) -> int:
    """Bytes in memory."""
    pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
