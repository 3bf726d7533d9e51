"""What Discord takes and says, described in `discord.json` beside this, and what is not so."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jsonschema.protocols import Validator

    from bot.playground.exchanges import Exchange

_DESCRIPTION = json.loads(Path(__file__).with_name("discord.json").read_text("utf-8"))
_ROUTES: dict[str, dict[str, Any]] = _DESCRIPTION["routes"]
_EVENTS: dict[str, Any] = _DESCRIPTION["events"]


def faults_of_exchange(exchange: Exchange) -> Iterator[str]:
    """What is wrong with a request that was accepted, or with its answer."""
    name = f"{exchange.method} {exchange.route}"
    place = f"{name} {exchange.status}"
    route = _ROUTES.get(name)
    if route is None:
        if exchange.status != 404:
            yield f"{place}: Discord has no such route, or discord.json lacks it"
        return
    if exchange.status >= 400:
        shape = "RateLimited" if exchange.status == 429 else "Error"
        yield from _faults({"$ref": f"#/$defs/{shape}"}, exchange.response, f"{place} answer")
        return
    if exchange.request is not None:
        yield from _faults(route.get("takes", False), exchange.request, f"{place} request")
    if exchange.response is not None:
        yield from _faults(route.get("answer", False), exchange.response, f"{place} answer")


def faults_of_events(events: Iterable[dict[str, Any]]) -> Iterator[str]:
    """What is wrong with what the gateway dispatched."""
    for event in events:
        yield from _faults({"$ref": "#/$defs/Dispatch"}, event, "dispatch")
        shape = _EVENTS.get(event["t"], False)
        yield from _faults(shape, event["d"], event["t"])


@cache
def _validator(shape: str) -> Validator:
    return Draft202012Validator({"$defs": _DESCRIPTION["$defs"], "allOf": [json.loads(shape)]})


def _faults(shape: Any, body: Any, place: str) -> Iterator[str]:
    # Enums of the interpreter travel as their numbers; only what travels is judged.
    for error in _validator(json.dumps(shape)).iter_errors(json.loads(json.dumps(body))):
        deepest = error
        while deepest.context:
            deepest = max(deepest.context, key=lambda one: len(one.absolute_path))
        path = "/".join(map(str, deepest.absolute_path))
        yield f"{place}: {path}: {deepest.message[:300]}"
