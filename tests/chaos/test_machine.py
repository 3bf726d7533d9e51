"""The machine that a run's bot is shown: what it sees is what was said, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.machine import FULL, READ_ONLY, built

if TYPE_CHECKING:
    from pathlib import Path

LOOKS = """
import errno, json, os, sqlite3, sys, time
from datetime import datetime

def tried(act, *given):
    try:
        act(*given)
    except OSError as error:
        return errno.errorcode[error.errno]
    except sqlite3.Error as error:
        return error.sqlite_errorname

def write(folder):
    file = os.open(folder + "/file", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(file, b"words")
    finally:
        os.close(file)

disk, elsewhere = sys.argv[1:]
kept = sqlite3.connect(disk + "/kept.db", isolation_level=None)
kept.execute("PRAGMA journal_mode = WAL")
kept.execute("CREATE TABLE stories (id)")
for _ in sys.stdin:
    clocks = [time.time(), datetime.now().timestamp(), time.clock_gettime(time.CLOCK_REALTIME)]
    clocks += kept.execute("SELECT CAST(strftime('%s', 'now') AS INTEGER)").fetchone()
    print(json.dumps({
        "clocks": clocks,
        "steady": time.monotonic(),
        "there": tried(write, disk),
        "elsewhere": tried(write, elsewhere),
        "deleted": tried(os.unlink, disk + "/file"),
        "row": tried(kept.execute, "INSERT INTO stories VALUES (1)"),
        "rows": kept.execute("SELECT count(*) FROM stories").fetchone()[0],
    }), flush=True)
"""


def test_a_process_sees_the_clock_stepped_and_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    disk, elsewhere = tmp_path / "disk", tmp_path / "elsewhere"
    disk.mkdir()
    elsewhere.mkdir()
    machine = built(tmp_path, disk)
    if machine is None:
        pytest.skip("there is no C compiler here, or no Linux")
    with subprocess.Popen(
        [sys.executable, "-c", LOOKS, str(disk), str(elsewhere)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | machine.environment,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ask, answer = process.stdin, process.stdout

        def look() -> dict[str, Any]:
            print(file=ask, flush=True)
            found: dict[str, Any] = json.loads(answer.readline())
            clocks = found.pop("clocks")
            # Whole hours: however long the look took.
            found["ahead"] = {round((clock - time.time()) / 3600) for clock in clocks}
            found["steady"] = round((found["steady"] - time.monotonic()) / 3600)
            return found

        well = {"there": None, "elsewhere": None, "deleted": None, "row": None, "steady": 0}
        assert look() == well | {"ahead": {0}, "rows": 1}
        machine.step(5 * 3600)
        assert look() == well | {"ahead": {5}, "rows": 2}
        machine.step(-7 * 3600)
        with machine.failing(FULL):
            full = {"there": "ENOSPC", "row": "SQLITE_FULL"}
            assert look() == well | full | {"ahead": {-2}, "rows": 2}
        machine.step(2 * 3600)
        with machine.failing(READ_ONLY):
            only_read = {"there": "EROFS", "deleted": "EROFS", "row": "SQLITE_IOERR_WRITE"}
            assert look() == well | only_read | {"ahead": {0}, "rows": 2}
        assert look() == well | {"ahead": {0}, "rows": 3}
        ask.close()
