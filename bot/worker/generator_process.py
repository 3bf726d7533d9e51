"""Our own generator: a child process, watched over, started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

_log = logging.getLogger("generator")

COMMAND = (
    *(sys.executable, "-m", "generator", "serve"),
    *("--host", "127.0.0.1", "--port", "0", "--with-parent"),
)
NEEDED = (
    # where programs, libraries and files lie
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LC_*", "XDG_*"),
    *("PYTHON*", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_*", "DYLD_*", "NIX_*"),
    # the compiler of its native step
    *("CC", "CXX", "CPATH", "LIBRARY_PATH", "*_INCLUDE_PATH", "CCACHE_*", "SDKROOT", "NATIVE_*"),
    # how processors and graphics cards are used
    *("OMP_*", "KMP_*", "GOMP_*", "MKL_*", "OPENBLAS_*", "ONEDNN_*", "DNNL_*", "ATEN_*"),
    *("TORCH*", "PYTORCH_*", "TRITON_*", "CUDA_*", "CUBLAS_*", "NVIDIA_*", "HIP_*", "HSA_*"),
    *("ROCR_*", "ROCM_*", "MALLOC_*", "GLIBC_TUNABLES"),
    # models and their tokenizers
    *("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_*", "TOKENIZERS_*"),
    "KATARIBE_ENGINE__*",
)
"""Variables that reach it.

Those and no others, since nobody can name all that is secret: the bot's token, the password in its
database's address and the keys of other servers are, and a host may keep more in one environment. A
generator that needs others is started apart, and named in `[generator] url`.
"""
READY = re.compile(r"ready on (http://\S+)")
LOG_LINE = re.compile(r"[\d-]+ [\d:,.]+ (DEBUG|INFO|WARNING|ERROR|CRITICAL)\s+(.*)")
NICER, MOST_NICE = 5, 19
"""By how much it gives way to others, and the most that there is."""
LONGEST_LINE = 1 << 16
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds before it is started again; doubled with each start that failed."""
STOP_WITHIN = 1.0
"""Seconds it has to end by itself."""
USAGE_ERROR = 2
"""Its exit status when its settings are wrong: starting it again would change nothing."""


class GeneratorStartError(Exception):
    """It cannot run at all; the message is one sentence for the host."""


class GeneratorSettingsError(GeneratorStartError):
    """Its settings are wrong; the message is its own sentence."""


class GeneratorProcess:
    """Runs the generator; its output goes line by line to the log named `generator`."""

    def __init__(
        self,
        moved: Callable[[str | None], None],
        *,
        start_timeout: float,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Prepare, and start nothing yet.

        Args:
            moved: Told the generator's address when it is ready, and None when it is gone.
            start_timeout: Seconds until a generator that is not ready is given up.
            command: The program; it must say `ready on http://…` and end with its stdin.
        """
        self._moved = moved
        self._start_timeout = start_timeout
        self._command = command

    async def run(self) -> None:
        """Keep one running until cancelled.

        Raises:
            GeneratorSettingsError: Its settings are wrong.
            GeneratorStartError: It is no program.
        """
        failures = 0
        while True:
            ready, status, last_line = await self._run_once()
            if status == USAGE_ERROR and not ready:
                raise GeneratorSettingsError(last_line or "the generator's settings are wrong")
            failures = 1 if ready else failures + 1
            pause = min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
            _log.error(
                "The generator %s (status %s); stories wait, it starts again in %g s",
                "died" if ready else "did not start",
                status,
                pause,
            )
            await asyncio.sleep(pause)

    async def _run_once(self) -> tuple[bool, int, str]:
        """Run one to its end; gives whether it was ever ready, its status, its last line."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,  # never written to: it ends when the bot does, however the bot ends
                stdout=PIPE,
                stderr=STDOUT,
                limit=LONGEST_LINE,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the bot, which ends its child in order
            )
        except OSError as error:
            raise GeneratorStartError(f"The generator cannot be started: {error}") from error
        _give_way(process.pid)
        ready, last_line = False, ""
        try:
            async with asyncio.timeout(self._start_timeout) as patience:
                async for line in _lines(process):
                    _forward(line)
                    last_line = line
                    if not ready and (match := READY.search(line)):
                        ready = True
                        patience.reschedule(None)
                        self._moved(match[1])
        except TimeoutError:
            _log.error("The generator was not ready within %g s", self._start_timeout)
        finally:
            self._moved(None)
            status = await _stop(process)
        return ready, status, last_line


@contextlib.asynccontextmanager
async def own_generator(
    command: Sequence[str] = COMMAND, *, start_timeout: float
) -> AsyncIterator[str]:
    """Run one for a while; gives where it is, once it is ready.

    Raises:
        GeneratorStartError: It is not ready within the time, in seconds.
    """
    there: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def moved(url: str | None) -> None:
        if not there.done():
            there.set_result(url)

    running = asyncio.create_task(
        GeneratorProcess(moved, start_timeout=start_timeout, command=command).run()
    )
    # A future that fails when the generator cannot run at all.
    running.add_done_callback(lambda _: moved(None))
    try:
        url = await there
        if running.done():
            await running  # it raises
        if url is None:
            raise GeneratorStartError("it ended, or was not ready in time; its last lines say why")
        yield url
    finally:
        running.cancel()
        await asyncio.wait([running])


def _environment() -> dict[str, str]:
    """What it computes with, and its own settings; its lines come as it writes them."""
    needed = {
        name: value
        for name, value in os.environ.items()
        if any(fnmatchcase(name.upper(), pattern) for pattern in NEEDED)
        # Its only client is this bot, which has no key.
        and name.upper() != "KATARIBE_ENGINE__API_KEYS"
    }
    return {**needed, "PYTHONUNBUFFERED": "1"}


def _give_way(pid: int) -> None:
    """Let the bot go first on a busy machine: Discord gives it three seconds, a story has time.

    The generator takes every core it gets; threads that it starts later inherit this.
    """
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            niceness = os.getpriority(os.PRIO_PROCESS, pid)
            os.setpriority(os.PRIO_PROCESS, pid, min(niceness + NICER, MOST_NICE))


async def _lines(process: Process) -> AsyncIterator[str]:
    """What it says, until it closes its output."""
    assert process.stdout is not None  # noqa: S101  # a pipe was asked for
    while True:
        try:
            raw = await process.stdout.readline()
        except ValueError:
            continue  # A line longer than the limit: asyncio has dropped what it had of it.
        if not raw:
            return
        if line := raw.decode(errors="replace").rstrip():
            yield line


def _forward(line: str) -> None:
    """Log a line as the generator meant it; its own time would stand beside ours."""
    level, message = logging.INFO, line
    if match := LOG_LINE.match(line):
        level, message = logging.getLevelNamesMapping()[match[1]], match[2]
    _log.log(level, "%s", message)


async def _stop(process: Process) -> int:
    """End it if it still runs, by force if it must be; gives its exit status."""
    assert process.stdout is not None  # noqa: S101  # a pipe was asked for
    # A program that closed its output is about to end. A signal now would make subprocess look
    # for its exit status, and asyncio, which waits for the same, would no longer find it.
    if process.returncode is None and not process.stdout.at_eof():
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    try:
        async with asyncio.timeout(STOP_WITHIN):
            await process.communicate()
    except TimeoutError:
        _log.warning("The generator did not end by itself within %g s", STOP_WITHIN)
    finally:
        # Also when the wait itself is cancelled: no child is left behind.
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        status = await process.wait()
    return status
