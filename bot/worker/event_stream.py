"""Server-sent events, read as they come in: https://html.spec.whatwg.org/#parsing-an-event-stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

LONGEST_EVENT = 1 << 20
"""Bytes after which a line, or an event, without an end is a fault."""
BYTE_ORDER_MARK = "\ufeff"


class EventError(Exception):
    """What came in is not an event stream."""


async def events(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """Give each event's data, wherever the network cut the stream.

    Args:
        chunks: Bytes as they arrive.

    Raises:
        EventError: A line or an event is endless, or a line is not UTF-8.
    """
    data: list[str] = []
    size = 0
    async for line in _lines(chunks):
        if not line:
            if data:
                yield "\n".join(data)
            data, size = [], 0
            continue
        field, _, value = line.partition(":")
        # Comments (an empty field) keep a connection alive; ids and types are not used here.
        if field == "data":
            data.append(value.removeprefix(" "))
            size += len(value) + 1
            if size > LONGEST_EVENT:
                raise EventError(f"an event of the stream has more than {LONGEST_EVENT} bytes")
    # An event without its blank line was cut off: the standard says to drop it.


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """Give lines that end with LF, CR LF or CR; a byte costs the same however it comes."""
    begun = bytearray()
    """A line that has no end yet."""
    first, halved = True, False
    async for chunk in chunks:
        if not chunk:
            continue
        # A CR at the end of the last chunk was half of a CR LF.
        news = chunk.removeprefix(b"\n") if halved else chunk
        halved = news.endswith(b"\r")
        *ends, rest = news.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for end in ends:
            line = bytes(begun + end)
            begun.clear()
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                raise EventError("the stream is not UTF-8") from error
            yield text.removeprefix(BYTE_ORDER_MARK) if first else text
            first = False
        begun += rest
        if len(begun) > LONGEST_EVENT:
            raise EventError(f"a line of the stream has more than {LONGEST_EVENT} bytes")
