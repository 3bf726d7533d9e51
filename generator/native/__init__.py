"""The decoding step in C++, for a CPU: compiled once on this machine, for its own processor.

What is compiled lies in the user's cache under a name that says what it was made from, so it is
made again only when the source, the compiler or the processor changes.

`NATIVE_ISA` in the environment lets this processor stand for a lesser one (sse2, avx2, avx512,
vnni, amx), or for one that has no step at all (off).
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from ctypes import c_bool, c_char_p, c_int, c_void_p
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)

_SOURCE = Path(__file__).parent
# Without contraction, as a compiler that fuses a product and a sum in one copy of a function and
# not in another makes a story depend on the number of threads.
_FLAGS = ("-std=c++20", "-O3", "-ffp-contract=off", "-shared", "-fPIC", "-pthread", "-w")
_NATIVE = ("-march=native", "-mcpu=native", "")  # tried in turn: compilers differ in what they know
_TIME_LIMIT = 300  # seconds for the compiler
_ISA = "NATIVE_ISA"  # in the environment: auto, off, or a name of these
_TARGETS = {  # what -march= calls it, and what it needs of the processor
    "sse2": ("x86-64", "sse2"),
    "avx2": ("haswell", "avx2"),
    "avx512": ("skylake-avx512", "avx512bw"),
    "vnni": ("icelake-server", "avx512_vnni"),
    "amx": ("sapphirerapids", "amx_int8"),
}
_DIGEST = hashlib.sha256().digest_size  # bytes at the end of a kept library, of what is before them

_CALLS = {  # as in library.cpp: result, then arguments
    "failure": (c_char_p,),
    "threads_open": (c_void_p, c_int),
    "threads_close": (None, c_void_p),
    "transformer_open": (c_void_p, *[c_void_p] * 7),
    "transformer_close": (None, c_void_p),
    "transformer_step": (c_bool, c_void_p, c_void_p, c_int, *[c_void_p] * 5),
    "lstm_open": (c_void_p, c_void_p, c_void_p),
    "lstm_close": (None, c_void_p),
    "lstm_step": (c_bool, c_void_p, c_void_p, c_int, *[c_void_p] * 5),
    "rules_layout": (c_char_p,),
    "draw_tokens": (c_bool, c_void_p, c_void_p, c_void_p, c_int, *[c_void_p] * 4),
    "search_tokens": (
        *(c_bool, c_void_p, c_void_p, c_void_p, c_int, *[c_void_p] * 3),
        *(c_int, c_int, *[c_void_p] * 3),
    ),
}


class NoNativeStepError(Exception):
    """The step cannot be had here; its text says why and what would help."""


class NativeStepError(Exception):
    """The step failed in C++, most likely for want of memory; its text is the exception's."""


def library() -> ctypes.CDLL:
    """The compiled step, compiled first if need be.

    Raises:
        NoNativeStepError: there is no C++ compiler, or it makes nothing of the source that runs
            here, or NATIVE_ISA forbids it.
    """
    outcome = _outcome()
    if isinstance(outcome, str):
        raise NoNativeStepError(outcome)
    return outcome


def forget() -> None:
    """The next call of `library` looks for the compiler anew."""
    _outcome.cache_clear()


@cache
def _outcome() -> ctypes.CDLL | str:
    """The library, or why there is none; found out once, as failing may take time too."""
    flags: tuple[str, ...] = _NATIVE
    isa = os.environ.get(_ISA, "auto")
    if isa == "off":
        return f"{_ISA} is off"
    if isa != "auto":
        if isa not in _TARGETS:
            return f"{_ISA} takes auto, off, {', '.join(_TARGETS)}, not {isa!r}"
        march, needed = _TARGETS[isa]
        if needed not in _processor().split():
            return f"{_ISA} is {isa}, and this processor has no {needed}"
        flags = (f"-march={march}",)
    compiler = _compiler()
    if compiler is None:
        return "there is no C++ compiler (install g++ or clang, or set CXX)"
    reason = ""
    for flag in flags:
        options = [*_FLAGS, *([flag] if flag else [])]
        try:
            return _declared(_made_by(compiler, options))
        except NoNativeStepError as error:
            reason = reason or str(error)
    return reason


def _declared(loaded: ctypes.CDLL) -> ctypes.CDLL:
    """The same, with the types of its functions; those that failed in C++ raise."""

    def checked(result: object, *_: object) -> object:
        if not result:
            raise NativeStepError(loaded.failure().decode(errors="replace"))
        return result

    for name, (result, *arguments) in _CALLS.items():
        function = getattr(loaded, name)
        function.restype = result
        function.argtypes = arguments
        if result in {c_bool, c_void_p}:
            function.errcheck = checked
    return loaded


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
        if hasattr(self, "pointer"):
            self._library.threads_close(self.pointer)


def _made_by(compiler: list[str], options: list[str]) -> ctypes.CDLL:
    """From the user's cache; where nothing can be kept or loaded, from a folder for now only."""
    name = f"step-{_fingerprint(compiler, options)}.so"
    command = [*compiler, *options, str(_SOURCE / "library.cpp")]
    try:
        folder = _cache_folder()
        _ours_alone(folder)
        built = folder / name
        if not _is_whole(built):
            with (folder / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not _is_whole(built):  # or another process has just made it
                    with tempfile.TemporaryDirectory(dir=folder) as fresh:
                        _sealed(_compile(command, Path(fresh) / name)).replace(built)
        return ctypes.CDLL(str(built))
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        log.warning("the decoding step is compiled at every start, as no cache serves: %s", error)
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder_for_now:
            return ctypes.CDLL(str(_compile(command, Path(folder_for_now) / name)))
    except OSError as error:
        raise NoNativeStepError(f"the compiled step cannot be loaded: {error}") from error


def _ours_alone(folder: Path) -> None:
    """Makes the cache's folder; nobody else writes there, for what lies there is run.

    Raises:
        OSError: it is somebody else's.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to another user")
    folder.chmod(0o700)


def _sealed(built: Path) -> Path:
    """The same file with its digest behind it, which a loader does not read."""
    with built.open("r+b") as file:
        file.write(hashlib.sha256(file.read()).digest())
    return built


def _is_whole(built: Path) -> bool:
    """Whether it is as it was built: what was cut short would end the process that loads it.

    It is nobody else's either, put there while the folder was open to others.
    """
    try:
        if built.stat().st_uid != os.geteuid():
            return False
        content = built.read_bytes()
    except FileNotFoundError:
        return False
    return hashlib.sha256(content[:-_DIGEST]).digest() == content[-_DIGEST:]


def _compile(command: list[str], built: Path) -> Path:
    log.info("compiling the decoding step for this processor, once")
    done = _run([*command, "-o", str(built)])
    if done.returncode != 0:
        reason = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr)
        raise NoNativeStepError(f"{command[0]} cannot compile the step: {reason.strip()}")
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
        raise NoNativeStepError(f"{command[0]} did not run: {error}") from error


def _fingerprint(compiler: list[str], options: list[str]) -> str:
    """Of all that decides what comes out, wherever the source lies."""
    mark = hashlib.sha256("\0".join([*compiler[1:], *options]).encode())
    mark.update(_run([*compiler, "--version"]).stdout.encode())
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
