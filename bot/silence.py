"""Connections whose other end is gone without a word: when the system gives them up."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from aiohttp.connector import AddrInfoType

SILENCE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 20_000}
"""When a connection is asked whether it lives, and given up: seconds, times, milliseconds. Sooner
than a lease ends: what a bot sent while it was cut off must not arrive when another tells on."""


def notice_silence(line: socket.socket) -> None:
    """Have the system end a connection whose other end is gone without a word, after 20 seconds.

    By itself it would try for a quarter of an hour, and send then what is long out of date; or wait
    for ever where nothing is sent.
    """
    if line.family == socket.AF_UNIX:
        return
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in SILENCE.items():
        if hasattr(socket, name):  # not every system has each
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def connector() -> aiohttp.TCPConnector:
    """What opens connections over HTTP, as many as are asked for; made where an event loop runs."""
    return aiohttp.TCPConnector(limit=0, socket_factory=_watched)


def _watched(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    line = socket.socket(family, kind, protocol)
    notice_silence(line)
    return line
