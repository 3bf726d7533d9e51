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
import shlex
import shutil
import subprocess
import tempfile
from ctypes import c_char_p, c_int, c_void_p
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)

_SOURCE = Path(__file__).parent
# Without contraction, as a compiler that fuses a product and a sum in one copy of a function and
# not in another makes a story depend on the number of threads.
_FLAGS = ("-std=c++20", "-O3", "-ffp-contract=off", "-shared", "-fPIC", "-pthread", "-w")
_NATIVE = ("-march=native", "-mcpu=native", "")  # tried in turn: compilers differ in what they know
_TIME_LIMIT = 300  # seconds for the compiler
_TARGET = "NATIVE_TARGET"  # for tests: another processor, as -march= names it

_CALLS = {  # as in library.cpp: result, then arguments
    "threads_open": (c_void_p, c_int),
    "threads_close": (None, c_void_p),
    "gpt2_open": (c_void_p, *[c_void_p] * 7),
    "gpt2_close": (None, c_void_p),
    "gpt2_step": (None, c_void_p, c_void_p, c_int, *[c_void_p] * 5),
    "lstm_open": (c_void_p, c_void_p, c_void_p),
    "lstm_close": (None, c_void_p),
    "lstm_step": (None, c_void_p, c_void_p, c_int, *[c_void_p] * 5),
    "rules_layout": (c_char_p,),
    "draw_tokens": (None, c_void_p, c_void_p, c_void_p, c_int, *[c_void_p] * 4),
}


class NoCompilerError(Exception):
    """The step cannot be compiled here; its text says why and what would help."""


def library() -> ctypes.CDLL:
    """The compiled step, compiled first if need be.

    Raises:
        NoCompilerError: there is no C++ compiler, or it makes nothing of the source that runs here.
    """
    outcome = _outcome()
    if isinstance(outcome, str):
        raise NoCompilerError(outcome)
    return outcome


def forget() -> None:
    """The next call of `library` looks for the compiler anew."""
    _outcome.cache_clear()


@cache
def _outcome() -> ctypes.CDLL | str:
    """The library, or why there is none; found out once, as failing may take time too."""
    compiler = _compiler()
    if compiler is None:
        return "there is no C++ compiler (install g++ or clang, or set CXX)"
    target = os.environ.get(_TARGET)
    reason = ""
    for flag in (f"-march={target}",) if target else _NATIVE:
        command = [*compiler, *_FLAGS, *([flag] if flag else []), str(_SOURCE / "library.cpp")]
        try:
            loaded = _made_by(command)
        except NoCompilerError as error:
            reason = reason or str(error)
            continue
        for name, (result, *arguments) in _CALLS.items():
            getattr(loaded, name).restype = result
            getattr(loaded, name).argtypes = arguments
        return loaded
    return reason


def _compiler() -> list[str] | None:
    """The first that is installed, with the arguments that CXX may give it."""
    for words in (shlex.split(os.environ.get("CXX", "")), ["c++"], ["g++"], ["clang++"]):
        if words and (path := shutil.which(words[0])):
            return [path, *words[1:]]
    return None


class Threads:
    """The step's threads, shared by all that runs in it; the calling thread is one of them."""

    def __init__(self, count: int) -> None:
        self._library = library()
        self.pointer = self._library.threads_open(count)

    def __del__(self) -> None:
        self._library.threads_close(self.pointer)


def _made_by(command: list[str]) -> ctypes.CDLL:
    """From the user's cache; where nothing can be kept or loaded, from a folder for now only."""
    name = f"step-{_fingerprint(command)}.so"
    try:
        folder = _cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        built = folder / name
        if not built.exists():
            # Under a name of its own first, so that two processes may do it at the same time.
            with tempfile.TemporaryDirectory(dir=folder) as fresh:
                _compile(command, Path(fresh) / name).replace(built)
        return ctypes.CDLL(str(built))
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        log.warning("the decoding step is compiled at every start, as no cache serves: %s", error)
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder_for_now:
            return ctypes.CDLL(str(_compile(command, Path(folder_for_now) / name)))
    except OSError as error:
        raise NoCompilerError(f"the compiled step cannot be loaded: {error}") from error


def _compile(command: list[str], built: Path) -> Path:
    log.info("compiling the decoding step for this processor, once")
    done = _run([*command, "-o", str(built)])
    if done.returncode != 0:
        reason = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr)
        raise NoCompilerError(f"{command[0]} cannot compile the step: {reason.strip()}")
    return built


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603  # the host's own compiler on our own source
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIME_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoCompilerError(f"{command[0]} did not run: {error}") from error


def _fingerprint(command: list[str]) -> str:
    """Of all that decides what comes out."""
    mark = hashlib.sha256("\0".join(command[1:]).encode())
    mark.update(_run([command[0], "--version"]).stdout.encode())
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
    identifying = (
        "model name",
        "flags",
        "Features",
        "CPU implementer",
        "CPU part",
    )  # of x86, of ARM
    return "\n".join(sorted({line for line in lines if line.startswith(identifying)}))


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kataribe"
