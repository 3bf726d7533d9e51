"""Discord's own description of its API, for checking what the bot and the playground say.

The files are Discord's OpenAPI 3.1 document (github.com/discord/discord-api-spec) and a JSON
Schema of gateway events; environment variables say where they are.
"""

from __future__ import annotations

import copy
import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jsonschema.protocols import Validator

    from bot.playground.exchanges import Exchange

OPENAPI = "DISCORD_OPENAPI"
GATEWAY = "DISCORD_GATEWAY_SCHEMA"

EVENTS = {
    "READY": "GatewayReadyDispatch",
    "RESUMED": "GatewayResumedDispatch",
    "GUILD_CREATE": "GatewayGuildCreateDispatch",
    "INTERACTION_CREATE": "GatewayInteractionCreateDispatch",
    "MESSAGE_CREATE": "GatewayMessageCreateDispatch",
    "MESSAGE_UPDATE": "GatewayMessageUpdateDispatch",
}

BY_PATH = {"@original": "{message_id}"}


def described_in(variable: str) -> Path:
    """The file that an environment variable names; without it the test is skipped, saying so."""
    named = os.environ.get(variable)
    if not named:
        pytest.skip(f"{variable} does not name Discord's description, so it is not checked")
    return Path(named)


class RestDescription:
    """Requests and answers as Discord describes them."""

    def __init__(self, path: Path) -> None:
        self._document = json.loads(path.read_text("utf-8"))
        # It gives a field's errors the type of whole ones, with a number; Discord's reference
        # (topics/opcodes-and-status-codes) and its answers have a word there.
        inner = self._document["components"]["schemas"]["InnerErrors"]["properties"]["_errors"]
        inner["items"] = {"type": "object", "required": ["code", "message"]}
        self._requests = copy.deepcopy(self._document)
        # Discord takes ids as numbers too, and discord.py sends some so.
        self._requests["components"]["schemas"]["SnowflakeType"]["type"] = ["string", "integer"]

    @cache  # noqa: B019  # a description lives as long as its test
    def _validator(self, pointer: str, *, request: bool) -> Validator:
        document = self._requests if request else self._document
        return Draft202012Validator(document | {"$ref": f"#{pointer}"})

    def faults(self, exchange: Exchange) -> Iterator[str]:
        """What is wrong with a request that was accepted, or with an answer."""
        operation = self._operation(exchange)
        place = f"{exchange.method} {exchange.route} {exchange.status}"
        if operation is None:
            if exchange.status != 404:
                yield f"{place}: Discord has no such route"
            return
        pointer = f"/paths/{_escaped(exchange.route)}/{exchange.method.lower()}"
        if exchange.status < 400 and exchange.request is not None:
            if "requestBody" not in operation:
                yield f"{place}: Discord takes no body here"
            else:
                body = f"{pointer}/requestBody/content/{_escaped('application/json')}/schema"
                validator = self._validator(body, request=True)
                yield from _faults(validator, exchange.request, f"{place} request")
        answers = operation["responses"]
        status = str(exchange.status) if str(exchange.status) in answers else "4XX"
        if status == "4XX" and exchange.status < 400:
            yield f"{place}: Discord never answers this"
        elif "content" in answers[status]:
            answer = f"{pointer}/responses/{status}/content/{_escaped('application/json')}/schema"
            yield from self._answer(answer, exchange, place)
        elif "$ref" in answers[status]:
            reference = answers[status]["$ref"].removeprefix("#")
            answer = f"{reference}/content/{_escaped('application/json')}/schema"
            yield from self._answer(answer, exchange, place)

    def _operation(self, exchange: Exchange) -> dict[str, Any] | None:
        found = self._document["paths"].get(exchange.route, {}).get(exchange.method.lower())
        return dict(found) if found else None

    def _answer(self, pointer: str, exchange: Exchange, place: str) -> Iterator[str]:
        validator = self._validator(pointer, request=False)
        yield from _faults(validator, exchange.response, f"{place} answer")


class GatewayDescription:
    """Gateway events as Discord describes them."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text("utf-8"))
        self._definitions = {
            name: _without_flag_enums(name, schema)
            for name, schema in document["definitions"].items()
        }

    @cache  # noqa: B019  # a description lives as long as its test
    def _validator(self, definition: str) -> Validator:
        schema = {"$ref": f"#/definitions/{definition}", "definitions": self._definitions}
        return Draft7Validator(schema)

    def faults(self, events: Iterable[dict[str, Any]]) -> Iterator[str]:
        """What is wrong with the events that the description knows."""
        for event in events:
            definition = EVENTS.get(event["t"])
            if definition is not None:
                yield from _faults(self._validator(definition), event, event["t"])


def _without_flag_enums(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Bit flags are listed as the single bits, but none and any combination is meant."""
    return {"type": "integer"} if name.endswith("Flags") else schema


def _escaped(part: str) -> str:
    """A key in a JSON pointer that stands in a URI."""
    escaped = part.replace("~", "~0").replace("/", "~1")
    return escaped.replace("{", "%7B").replace("}", "%7D")


def _faults(validator: Validator, body: Any, place: str) -> Iterator[str]:
    # Enums of the interpreter travel as their numbers; only what travels is judged.
    for error in validator.iter_errors(json.loads(json.dumps(body))):
        deepest = error
        while deepest.context:
            deepest = max(deepest.context, key=lambda one: len(one.absolute_path))
        path = "/".join(map(str, deepest.absolute_path))
        yield f"{place}: {path}: {deepest.message[:300]}"
