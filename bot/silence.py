"""Connections whose other end is gone without a word: when the system gives them up."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from aiohttp.connector import AddrInfoType

GIVEN_UP_WITHIN = 20.0
"""Seconds after which a connection is given up whose other end is gone."""
SILENCE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""When one on which nothing is sent is asked whether it lives: seconds, and times."""
WRITTEN_WITHIN = 10.0
"""The same of Discord's: what a bot sent there while it was cut off must not arrive when another
one tells on, which is 18 seconds after the cut at the soonest."""


def notice_silence(line: socket.socket, within: float = GIVEN_UP_WITHIN) -> None:
    """Have the system end a connection whose other end is gone without a word, in so many seconds.

    By itself it would try for a quarter of an hour, and send then what is long out of date; or wait
    for ever where nothing is sent.
    """
    if line.family == socket.AF_UNIX:
        return
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in {**SILENCE, "TCP_USER_TIMEOUT": int(1000 * within)}.items():
        if hasattr(socket, name):  # not every system has each
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def connector(within: float = GIVEN_UP_WITHIN) -> aiohttp.TCPConnector:
    """What opens connections over HTTP, as many as are asked for; made where an event loop runs.

    `within`: seconds after which one is given up whose other end is gone.
    """

    def watched(address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, _ = address
        line = socket.socket(family, kind, protocol)
        notice_silence(line, within)
        return line

    return aiohttp.TCPConnector(limit=0, socket_factory=watched)
