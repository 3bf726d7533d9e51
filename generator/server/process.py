"""The generator as a process: ready when it says so, gone when it is told or its parent is."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from generator.server.app import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from generator.config import EngineSettings

log = logging.getLogger(__name__)


class StartError(Exception):
    """The generator cannot start; the message is one sentence for the host."""


async def serve(settings: EngineSettings, *, with_parent: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends the grace period of running stories.

    Prints one line on stdout when it is ready: "Kataribe generator ready on URL (models: …)".

    Args:
        settings: what to serve and where.
        with_parent: also stop when standard input ends, as it does when the parent dies.

    Raises:
        StartError: the address is taken or there is no model to serve.
    """
    told_to_stop = asyncio.Event()
    server = Server(settings)

    def stop() -> None:
        if told_to_stop.is_set():
            server.end_grace()
        told_to_stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if with_parent:
        threading.Thread(target=_watch_parent, args=(loop, stop), daemon=True).start()

    start = asyncio.create_task(_start(server, settings))
    stopped = asyncio.create_task(told_to_stop.wait())
    try:
        await asyncio.wait([start, stopped], return_when=asyncio.FIRST_COMPLETED)
        if start.done():
            print(start.result(), flush=True)
            await stopped
            log.info("stopping: running stories have %g s to end", settings.grace)
    finally:
        start.cancel()
        stopped.cancel()
        await server.close()


async def _start(server: Server, settings: EngineSettings) -> str:
    """Opens the server; returns the line that says so."""
    if not server.registry.folders():
        raise StartError(
            f"There is no model folder in {settings.models}: put one there, or say where they are "
            "(--models, engine.models)."
        )
    try:
        address = await server.open()
    except OSError as error:
        # asyncio words the system's errors anew, with the address that is said here already.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise StartError(
            f"Cannot listen on {settings.host} port {settings.port}: {reason}. "
            "Choose another with --port, or --port 0 for any that is free."
        ) from error
    names = ", ".join(resident.name for resident in server.registry.residents)
    if not names:
        raise StartError(f"None of the models in {settings.models} can be loaded; see above.")
    return f"Kataribe generator ready on {address} (models: {names})"


def _watch_parent(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """In a thread of its own, because not every kind of standard input can be polled."""
    with suppress(OSError):  # there is none
        while os.read(0, 4096):
            pass
    with suppress(RuntimeError):  # the loop has ended before the parent did
        loop.call_soon_threadsafe(stop)
