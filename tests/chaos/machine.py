"""The machine of the bot's process: its clock is stepped, its disk is full or can only be read.

A shim in C stands between the bot and the C library, and does what the run says. It is compiled
when a run begins; where there is no compiler, or no Linux, there is none.
"""

from __future__ import annotations

import errno
import mmap
import shutil
import struct
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).with_name("machine.c")
COMPILERS = ("cc", "gcc", "clang")
FULL, READ_ONLY = errno.ENOSPC, errno.EROFS
_PAGE = struct.Struct("=qq")


class Machine:
    """What the processes that run under it are told; everything is well until somebody says so."""

    def __init__(self, shim: Path, disk: Path) -> None:
        """Lay out the page that the shim reads, beside it; `disk` is the folder that can fail."""
        file = shim.with_suffix(".page")
        file.write_bytes(bytes(_PAGE.size))
        with file.open("r+b") as opened:
            self._page = mmap.mmap(opened.fileno(), _PAGE.size)
        self._ahead = 0
        self._errors: list[int] = []
        self.environment = {
            "LD_PRELOAD": str(shim),
            "CHAOS_PAGE": str(file),
            "CHAOS_DISK": str(disk.resolve()),
        }
        """What a process needs that shall run under it."""

    @property
    def ahead(self) -> int:
        """Seconds that its clock is ahead of the true one; below 0: behind."""
        return self._ahead

    def step(self, seconds: int) -> None:
        """Set the wall's clock forward, or back; the steady one goes on as it is."""
        self._ahead += seconds
        self._write()

    @contextmanager
    def failing(self, error: int) -> Iterator[None]:
        """Let no file on the disk be written meanwhile; `error` is `FULL` or `READ_ONLY`."""
        self._errors.append(error)
        self._write()
        try:
            yield
        finally:
            self._errors.remove(error)
            self._write()

    def _write(self) -> None:
        _PAGE.pack_into(self._page, 0, self._ahead, self._errors[-1] if self._errors else 0)


def built(folder: Path, disk: Path) -> Machine | None:
    """Compile the shim into a folder; None where that cannot be done."""
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None or sys.platform != "linux":
        return None
    shim = folder.resolve() / "machine.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-o", str(shim), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return Machine(shim, disk)
