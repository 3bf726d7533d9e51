"""Bad requests for our servers, and some good ones among them."""

from __future__ import annotations

import json
import socket
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy
    from schemathesis import Case

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds for an answer: more is a server that hangs."""
WAITS = 0.3
"""Seconds after which a server may be waiting for a body that was promised."""
FEW = 100
"""Requests of a test that has to be short."""
PATIENT = frozenset({503})
"""Statuses of 500 and more that no bad request is to blame for: a server that says to come back."""

WORDS = st.sampled_from(
    ["", "0", "-1", "null", "..", "%2e%2e%2f", "@original", "\ud7ff", "%00", "💮"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=12), inner, max_size=5)
    ),
    max_leaves=12,
)


class BadAnswerError(AssertionError):
    """A server answered with a fault of its own."""


class Answers:
    """What came back, by status."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()

    @property
    def count(self) -> int:
        """All of them."""
        return self.statuses.total()

    def note(self, status: int, asked: object) -> None:
        """Count one.

        Raises:
            BadAnswerError: the fault is the server's.
        """
        self.statuses[status] += 1
        if status >= 500 and status not in PATIENT:
            raise BadAnswerError(f"{status} for {asked!r}")


def send_all(strategy: SearchStrategy[T], send: Callable[[T], None], count: int) -> None:
    """Send so many, each another one as far as the strategy has them; the same in every run."""
    everything = settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    everything(given(strategy)(send))()


def fuzz_described(
    description: Path, address: str, models: Sequence[str], answers: Answers, count: int
) -> None:
    """Requests of every operation of an OpenAPI description, half of them not as it wants them."""
    # A second to load, which a worker that runs other tests need not wait for.
    from schemathesis import GenerationMode, openapi  # noqa: PLC0415

    document: dict[str, Any] = json.loads(description.read_text("utf-8"))
    named = {"type": "string", "enum": [*models, "nobody"]}
    document["components"]["schemas"]["CompletionRequest"]["properties"]["model"] = named
    for path in document["paths"].values():
        for parameter in path.get("parameters", ()):
            parameter["schema"] = named
    last = answers.count + count
    schema = openapi.from_dict(document)

    def send(case: Case[Any]) -> None:
        response = case.call(base_url=address, timeout=PATIENCE)
        answers.note(response.status_code, case.as_curl_command())

    for path, item in document["paths"].items():
        for method in item.keys() & {"get", "post"}:
            operation = schema[path][method.upper()]
            share = count // 20  # a request with a name and no body has few kinds
            send_all(operation.as_strategy(generation_mode=GenerationMode.POSITIVE), send, share)
    tells = schema["/v1/completions"]["POST"]
    # What breaks a description is thought out for some seconds before the first is sent.
    modes = [GenerationMode.POSITIVE] if count < FEW else [*GenerationMode]
    for number, mode in enumerate(modes):
        left = (last - answers.count) // (len(modes) - number)
        send_all(tells.as_strategy(generation_mode=mode), send, left)


def fuzz_json(
    address: str,
    routes: Sequence[tuple[str, str]],
    headers: dict[str, str],
    known: dict[str, str],
    answers: Answers,
    count: int,
) -> None:
    """Any JSON, or nearly JSON, to each route of a server.

    The paths of `routes` have {names}, for which `known` has what gets past the door now and then.
    """

    def filled(route: tuple[str, str]) -> SearchStrategy[tuple[str, str]]:
        method, path = route
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        values = st.fixed_dictionaries(
            {name: st.just(known[name]) | WORDS if name in known else WORDS for name in names}
        )
        return values.map(lambda chosen: (method, path.format_map(chosen)))

    keys = st.sampled_from(
        ["content", "embeds", "components", "type", "data", "flags", "nonce", "attachments", "name"]
    )
    bodies = (st.dictionaries(keys, JSON, max_size=5) | JSON).map(
        lambda body: json.dumps(body).encode()
    ) | st.binary(max_size=60)
    kinds = st.sampled_from(
        ["application/json"] * 5
        + ["application/json; charset=none", "multipart/form-data; boundary=x", "text/plain", ""]
    )

    def send(asked: tuple[tuple[str, str], bytes, str]) -> None:
        (method, path), body, kind = asked
        raw = _request(method, path, headers | {"Content-Type": kind}, body, address)
        answers.note(_exchange(address, raw), raw)

    send_all(st.tuples(st.sampled_from(routes).flatmap(filled), bodies, kinds), send, count)


def fuzz_raw(address: str, paths: Sequence[str], answers: Answers, count: int) -> None:
    """What is hardly HTTP: any method, path, headers and body, as bytes on the line."""
    line = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=40)
    names = st.sampled_from(
        ["Host", "Origin", "Authorization", "Content-Type", "Content-Encoding", "Accept", "Range",
         "Transfer-Encoding", "Expect", "Upgrade", "X-Forwarded-For", "Cookie", "If-None-Match"]
    )  # fmt: skip
    methods = st.just("GET") | st.sampled_from(
        ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"]
    )

    def send(asked: tuple[str, str, dict[str, str], bytes]) -> None:
        method, path, headers, body = asked
        raw = _request(method, path, headers, body, address)
        answers.note(_exchange(address, raw), raw)

    everything = st.tuples(
        methods,
        st.sampled_from(paths) | st.sampled_from(paths) | line.map(lambda text: f"/{text}"),
        st.dictionaries(names, line | st.sampled_from(["[::1", "Bearer \xff", "gzip", "chunked"])),
        st.binary(max_size=100),
    )
    send_all(everything, send, count)


def _request(method: str, path: str, headers: dict[str, str], body: bytes, address: str) -> bytes:
    place = urlsplit(address).netloc
    said = {"Host": place} | headers | {"Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items())]
    return "\r\n".join([*lines, "", ""]).encode(errors="surrogatepass") + body


def _exchange(address: str, raw: bytes) -> int:
    """Send it and read to the end; gives the status."""
    place = urlsplit(address)
    answered = b""
    # A server that has answered may not read the rest.
    there = (place.hostname or "", place.port or 0)
    with suppress(ConnectionError), socket.create_connection(there, PATIENCE) as line:
        line.sendall(raw)
        line.settimeout(WAITS)
        with suppress(TimeoutError):
            while piece := line.recv(1 << 16):
                answered += piece
            return _status(answered)
        line.settimeout(PATIENCE)  # it waits for more of the body, and hears that there is none
        line.shutdown(socket.SHUT_WR)
        while piece := line.recv(1 << 16):
            answered += piece
    return _status(answered)


def _status(answered: bytes) -> int:
    status = answered.partition(b"\r\n")[0].split(b" ")
    if len(status) < 2 or not status[1].isdigit():
        return 0  # it hung up, as one may on who speaks no HTTP
    return int(status[1])
