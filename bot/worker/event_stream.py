"""Server-sent events, read as they come in: https://html.spec.whatwg.org/#parsing-an-event-stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

LONGEST_LINE = 1 << 20
"""Bytes after which a line without an end is no event but a fault."""


class EventError(Exception):
    """What came in is not an event stream."""


async def events(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """Give each event's data, wherever the network cut the stream.

    Args:
        chunks: Bytes as they arrive.

    Raises:
        EventError: A line is endless or is not UTF-8.
    """
    data: list[str] = []
    async for line in _lines(chunks):
        if not line:
            if data:
                yield "\n".join(data)
                data = []
            continue
        field, _, value = line.partition(":")
        # Comments (an empty field) keep a connection alive; ids and types are not used here.
        if field == "data":
            data.append(value.removeprefix(" "))
    # An event without its blank line was cut off: the standard says to drop it.


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """Give lines that end with LF, CR LF or CR."""
    rest = b""
    async for chunk in chunks:
        # A CR at the very end may be half of a CR LF: it waits for the next chunk.
        rest += chunk
        held = rest.endswith(b"\r")
        whole = (rest[:-1] if held else rest).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = whole.split(b"\n")
        rest += b"\r" * held
        if len(rest) > LONGEST_LINE:
            raise EventError(f"a line of the stream has more than {LONGEST_LINE} bytes")
        for line in lines:
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                raise EventError("the stream is not UTF-8") from error
