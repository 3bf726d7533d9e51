"""What travels between the door of a cluster and its replicas: requests and answers of HTTP."""

from __future__ import annotations

from dataclasses import dataclass

Headers = tuple[tuple[bytes, bytes], ...]

_OF_THE_CONNECTION = {
    b"connection",
    b"content-length",
    b"date",
    b"expect",
    b"keep-alive",
    b"server",
    b"transfer-encoding",
    b"upgrade",
}
"""Headers that each connection says for itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came, read to its end."""

    method: str
    target: str
    """Path and query, percent-encoded."""
    headers: Headers
    body: bytes
    model: str
    """That it is about; empty where it is about none."""

    def encoded(self) -> bytes:
        """As HTTP/1.0 says it, so that the answer ends with its connection, in no chunks."""
        lines = [
            f"{self.method} {self.target} HTTP/1.0".encode(),
            *(b": ".join(header) for header in _own(self.headers)),
            b"Content-Length: %d" % len(self.body),
        ]
        return b"\r\n".join([*lines, b"", self.body])


@dataclass(frozen=True, slots=True)
class Head:
    """How an answer begins."""

    status: int
    headers: Headers


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    replica: str
    """Who gave it."""
    head: Head
    body: bytes


def decoded(begin: bytes) -> tuple[Head, bytes]:
    """The head of an answer, and what is known of its body.

    Args:
        begin: the answer's first bytes, the whole head among them.
    """
    head, _, body = begin.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = tuple((name, value.strip()) for name, _, value in (x.partition(b":") for x in lines))
    return Head(int(status.split()[1]), _own(headers)), body


def _own(headers: Headers) -> Headers:
    return tuple(header for header in headers if header[0].lower() not in _OF_THE_CONNECTION)
