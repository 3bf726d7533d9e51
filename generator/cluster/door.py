"""The door as a server of its own: nothing of Ray is between a story's words and who asked."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

from aiohttp import ClientError, web

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from generator.cluster.front import Front

log = logging.getLogger(__name__)


async def keep_open(
    front: Front, listening: socket.socket, *, drain: float, ready: Callable[[], None]
) -> None:
    """Answer until SIGTERM or SIGINT, and then until the stories that are told have ended.

    Args:
        front: who answers.
        listening: where.
        drain: seconds that stories have to end; a second signal ends them at once.
        ready: called when requests are answered.
    """
    told_to_stop, at_once = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (at_once if told_to_stop.is_set() else told_to_stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    server = web.Server(
        _answering(front), handler_cancellation=True, auto_decompress=False, access_log=None
    )
    runner = web.ServerRunner(server, shutdown_timeout=drain)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    ready()
    await told_to_stop.wait()
    log.info("stopping: running stories have %g s to end", drain)
    tasks = [asyncio.create_task(runner.cleanup()), asyncio.create_task(at_once.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    if at_once.is_set():
        log.info("told to stop again: they are cut")
    for task in tasks:
        task.cancel()
    await front.close()


def _answering(front: Front) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def answer(asked: web.BaseRequest) -> web.StreamResponse:
        pieces = aiter(asked.content.iter_any())
        reply = await front.answer(asked.method, asked.raw_path, asked.headers, pieces)
        try:
            if reply.told is None:
                return web.Response(status=reply.status, headers=reply.headers, body=reply.body)
            response = web.StreamResponse(status=reply.status, headers=reply.headers)
            await response.prepare(asked)
            try:
                async for piece in reply.pieces():
                    await response.write(piece)
            except ClientError:
                # Its replica died: it breaks off, as that one's own answer did.
                asked.protocol.force_close()
                if asked.transport is not None:
                    asked.transport.close()
            return response
        finally:
            reply.let_go()

    return answer
