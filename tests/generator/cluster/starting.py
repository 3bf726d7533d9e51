"""A cluster of two replicas with one slot each, as a host would start it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

KEY = "crane"
READY = re.compile(r"Kataribe generator ready on (http://127\.0\.0\.1:\d+) \(models: (.*)\)\n")
_PATIENCE_S = 120
_REPLICA = "ray::ServeReplica:kataribe:Replica"


class Cluster:
    """Its process and where it answers."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.log = log
        assert process.stdout
        line = process.stdout.readline()
        match = READY.fullmatch(line)
        assert match, line
        self.process = process
        self.address = match[1]
        self.loaded = match[2].split(", ")

    def replicas(self) -> list[psutil.Process]:
        """The processes that tell."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [one for one in below if one.cmdline()[:1] == [_REPLICA]]


@contextmanager
def started(models: Path, log: Path, **settings: object) -> Iterator[Cluster]:
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    with log.open("w", encoding="utf-8") as errors:
        process = _process(models, words, errors)
    with process:
        try:
            yield Cluster(process, log)
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE_S)
            finally:
                process.kill()


def _process(models: Path, words: list[str], errors: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "generator", "cluster", "--models", models, "--port", "0", *words],
        env=os.environ | {"KATARIBE_ENGINE__API_KEYS": KEY},
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
