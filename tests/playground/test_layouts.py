"""Messages that are layouts: what Discord takes of them, and that their parts work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from bot.playground.layouts import numbered, parts_of
from bot.playground.limits import COMPONENTS_V2, MessageBody
from tests.playground.test_rest import MESSAGES, as_bot

if TYPE_CHECKING:
    from bot.playground import Playground

TEXT = {"type": 10, "content": "a word"}
BUTTON = {"type": 2, "style": 1, "label": "Press", "custom_id": "press"}
ROW = {"type": 1, "components": [BUTTON]}


def layout(*components: Any, **fields: Any) -> dict[str, Any]:
    return {"flags": COMPONENTS_V2, "components": list(components)} | fields


def container(*components: Any) -> dict[str, Any]:
    return {"type": 17, "accent_color": 255, "components": list(components)}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (layout(TEXT), {"components": [TEXT]}),  # it has to say that it is one
        (layout(TEXT), layout(TEXT, content="and more")),
        (layout(TEXT), layout(TEXT, embeds=[{"title": "and more"}])),
        (layout(container(TEXT, ROW)), layout(container(container(TEXT)))),
        (layout(*[TEXT] * 40), layout(*[TEXT] * 20, container(*[TEXT] * 20))),
        (
            layout({"type": 10, "content": "x" * 3000}, {"type": 10, "content": "x" * 1000}),
            layout({"type": 10, "content": "x" * 3000}, {"type": 10, "content": "x" * 1001}),
        ),
        (layout(container(ROW)), layout(container(ROW), ROW)),  # each custom id once
        (
            layout({"type": 9, "components": [TEXT], "accessory": BUTTON}),
            layout({"type": 9, "components": [TEXT]}),
        ),
        ({"components": [ROW]}, {"components": [ROW | {"components": [TEXT]}]}),
    ],
)
def test_a_layout_has_limits(right: dict[str, Any], wrong: dict[str, Any]) -> None:
    MessageBody.model_validate(right)
    with pytest.raises(ValidationError):
        MessageBody.model_validate(wrong)


def test_each_part_has_a_number_and_keeps_its_own() -> None:
    body = MessageBody.model_validate(layout(container(TEXT | {"id": 100}, ROW), TEXT))
    parts = list(parts_of(numbered(body.components or [])))
    numbers = [part["id"] for part in parts]
    assert 100 in numbers
    assert len(set(numbers)) == len(parts) == 5


async def test_a_message_that_is_a_layout_stays_one(playground: Playground) -> None:
    async with as_bot(playground) as client:
        _, posted = await client("POST", MESSAGES, json=layout(container(TEXT, ROW)))
        assert posted["flags"] & COMPONENTS_V2
        path = f"{MESSAGES}/{posted['id']}"
        assert (await client("PATCH", path, json={"content": "plain"}))[0] == 400
        changed = layout({"type": 10, "content": "another"})
        _, edited = await client("PATCH", path, json=changed)
        assert edited["components"][0]["content"] == "another"
        _, plain = await client("POST", MESSAGES, json={"content": "plain"})
        path = f"{MESSAGES}/{plain['id']}"
        assert (await client("PATCH", path, json=layout(TEXT)))[0] == 400
        assert (await client("PATCH", path, json=layout(TEXT, content=None)))[0] == 200
