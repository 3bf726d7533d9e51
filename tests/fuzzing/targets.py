"""Our servers, each with what is worth sending to it."""

from __future__ import annotations

import json
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.playground.rest import ROOT
from bot.playground.server import TOKEN
from bot.playground.world import APPLICATION_ID, World
from tests.fuzzing.requests import PATIENCE, fuzz_described, fuzz_json, fuzz_raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fuzzing.requests import Answers

DESCRIPTION = Path(__file__).parents[2] / "generator" / "server" / "openapi.json"
_CHANNEL = "/channels/{channel_id}"
_MESSAGE = _CHANNEL + "/messages/{message_id}"
_WEBHOOK = "/webhooks/{application_id}/{token}"
ROUTES = [
    ("GET", "/users/@me"),
    ("GET", _CHANNEL),
    ("POST", _CHANNEL + "/typing"),
    ("GET", _CHANNEL + "/messages"),
    ("POST", _CHANNEL + "/messages"),
    ("GET", _MESSAGE),
    ("PATCH", _MESSAGE),
    ("DELETE", _CHANNEL + "/messages/{another}"),
    ("GET", _WEBHOOK + "/messages/{message_id}"),
    ("PATCH", _WEBHOOK + "/messages/{message_id}"),
    ("POST", _WEBHOOK),
    ("POST", "/interactions/{message_id}/{token}/callback"),
    ("GET", "/applications/{application_id}/commands"),
    ("PUT", "/applications/{application_id}/commands"),
    ("GET", "/{another}"),
]


def generator(address: str, models: Sequence[str], answers: Answers, count: int) -> None:
    """By its own description, and bytes."""
    fuzz_described(DESCRIPTION, address, models, answers, count * 3 // 4)
    fuzz_raw(address, ["/v1/completions", "/v1/models", "/health"], answers, count // 4)


def health(address: str, answers: Answers, count: int) -> None:
    """The bot's page."""
    fuzz_raw(address, ["/health", "/metrics"], answers, count)


def playground(address: str, answers: Answers, count: int) -> None:
    """Discord's REST, as the bot may speak to it; and bytes."""
    routes = [(method, ROOT + path) for method, path in ROUTES]
    headers = {"Authorization": f"Bot {TOKEN}"}
    channel = str(next(iter(World("Kataribe").channels)))
    with closing(HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE)) as http:
        said = headers | {"Content-Type": "application/json"}
        http.request("POST", f"{ROOT}/channels/{channel}/messages", b'{"content": "One."}', said)
        message = json.load(http.getresponse())["id"]
    known = {
        "channel_id": channel,
        "message_id": message,
        "application_id": str(APPLICATION_ID),
    }
    fuzz_json(address, routes, headers, known, answers, count * 3 // 4)
    fuzz_raw(
        address, ["/", f"{ROOT}/gateway", "/live", "/gw/", "/attachments/1/a"], answers, count // 4
    )
