"""The decoding step in C++, for a CPU: compiled once on this machine, for its own processor.

What is compiled lies in the user's cache under a name that says what it was made from, so it is
made again only when the source, the compiler or the processor changes.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from ctypes import c_int, c_void_p
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)

_SOURCE = Path(__file__).parent
_FLAGS = ("-std=c++20", "-O3", "-shared", "-fPIC", "-pthread", "-w")
_TIME_LIMIT = 300  # seconds for the compiler

_CALLS = {  # as in library.cpp: result, then arguments
    "threads_open": (c_void_p, c_int),
    "threads_close": (None, c_void_p),
    "gpt2_open": (c_void_p, *[c_void_p] * 7),
    "gpt2_close": (None, c_void_p),
    "gpt2_step": (None, c_void_p, c_void_p, c_int, *[c_void_p] * 5),
    "lstm_open": (c_void_p, c_void_p, c_void_p),
    "lstm_close": (None, c_void_p),
    "lstm_step": (None, c_void_p, c_void_p, c_int, *[c_void_p] * 5),
    "draw_tokens": (None, c_void_p, c_void_p, c_void_p, c_int, *[c_void_p] * 4),
}


class NoCompilerError(Exception):
    """The step cannot be compiled here; its text says why and what would help."""


@cache
def library() -> ctypes.CDLL:
    """The compiled step, compiled first if need be.

    Raises:
        NoCompilerError: there is no C++ compiler, or it does not understand the source.
    """
    compiler = next(
        filter(None, map(shutil.which, (os.environ.get("CXX", ""), "c++", "g++"))), None
    )
    if compiler is None:
        raise NoCompilerError("there is no C++ compiler (install g++ or clang, or set CXX)")
    native = "-mcpu=native" if platform.machine() in {"arm64", "aarch64"} else "-march=native"
    command = [compiler, *_FLAGS, native, str(_SOURCE / "library.cpp")]
    built = _cache_folder() / f"step-{_fingerprint(command)}.so"
    if not built.exists():
        _compile(command, built)
    loaded = ctypes.CDLL(str(built))
    for name, (result, *arguments) in _CALLS.items():
        getattr(loaded, name).restype = result
        getattr(loaded, name).argtypes = arguments
    return loaded


class Threads:
    """The step's threads, shared by all that runs in it; the calling thread is one of them."""

    def __init__(self, count: int) -> None:
        self._library = library()
        self.pointer = self._library.threads_open(count)

    def __del__(self) -> None:
        self._library.threads_close(self.pointer)


def _compile(command: list[str], built: Path) -> None:
    """Under a name of its own first, so that two processes may do it at the same time."""
    log.info("compiling the decoding step for this processor, once")
    built.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=built.parent) as folder:
        fresh = Path(folder) / built.name
        try:
            done = subprocess.run(  # noqa: S603  # the host's own compiler on our own source
                [*command, "-o", str(fresh)],
                capture_output=True,
                text=True,
                timeout=_TIME_LIMIT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoCompilerError(f"{command[0]} did not run: {error}") from error
        if done.returncode != 0:
            reason = next(
                (line for line in done.stderr.splitlines() if "error" in line), done.stderr
            )
            raise NoCompilerError(f"{command[0]} cannot compile the step: {reason.strip()}")
        fresh.replace(built)


def _fingerprint(command: list[str]) -> str:
    """Of all that decides what comes out."""
    mark = hashlib.sha256("\0".join(command[1:]).encode())
    version = subprocess.run(  # noqa: S603  # the host's own compiler
        [command[0], "--version"], capture_output=True, timeout=_TIME_LIMIT, check=False
    )
    mark.update(version.stdout)
    mark.update(_processor().encode())
    for source in sorted([*_SOURCE.glob("*.cpp"), *_SOURCE.glob("*.h")]):
        mark.update(source.read_bytes())
    return mark.hexdigest()[:16]


def _processor() -> str:
    """The processor's name and what it can do, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kataribe"
