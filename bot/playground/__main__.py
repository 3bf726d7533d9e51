"""`python -m bot.playground`: the stand-in alone, for any bot that can be pointed at it."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from bot.playground import Playground, PlaygroundError


def main() -> int:
    """Run until told to stop; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bot.playground", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=_port, default=8888, help="0: any free one")
    parser.add_argument("--state", type=Path, help="keep the channel in this file over a restart")
    arguments = parser.parse_args()
    playground = Playground(
        arguments.host,
        arguments.port,
        state=arguments.state,
    )
    try:
        asyncio.run(_run(playground))
    except PlaygroundError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:  # noqa: PLR2004  # the largest port
        raise argparse.ArgumentTypeError(f"{text} is no port: 0 to 65535")
    return int(text)


async def _run(playground: Playground) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with playground:
        print(f"page     {playground.url}")
        print(f"api      {playground.api_url}")
        print(f"gateway  {playground.gateway_url}")
        print(f"token    {playground.token}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
