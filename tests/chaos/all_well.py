"""A history in which all is well: what the checker's tests plant their bugs in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.chaos.seen import Kept

if TYPE_CHECKING:
    from tests.chaos.history import Event
    from tests.chaos.seen import Row

ASKER, VOTER, SERVER, CHANNEL, WISH, MESSAGE, PRESS = 1, 2, 3, 30, 400, 500, 600


def message(text: str, *buttons: str, footer: str = "", change: str = "edited") -> Event:
    button_row = {"type": 1, "components": [{"type": 2, "custom_id": id_} for id_ in buttons]}
    return {
        "what": "message",
        "change": change,
        "id": MESSAGE,
        "channel": CHANNEL,
        "to": None,
        "of": WISH,
        "content": "",
        "embeds": [{"description": text, "footer": {"text": footer}}],
        "components": [button_row],
    }


def confirmation(text: str) -> Event:
    return message("") | {
        "id": MESSAGE + 1,
        "to": VOTER,
        "of": PRESS,
        "content": text,
        "embeds": [],
        "components": [],
    }


def measured(moment: str, handles: int = 20) -> Event:
    return {
        "what": "measured",
        "name": "bot",
        "moment": moment,
        "handles": handles,
        "threads": 8,
        "rss_kb": 100_000,
    }


def process(did: str) -> Event:
    return {"what": "process", "name": "bot", "did": did}


def asked(id_: int, member: int, **fields: Any) -> Event:
    return {"what": "asked", "id": id_, "member": member, "channel": CHANNEL, **fields}


def well() -> tuple[list[Event], Kept]:
    """A story that is asked for, waits, is told and gets four stars."""
    stop, again = "kataribe:cancel:7", "kataribe:again:7"
    events = [
        process("started"),
        process("ready"),
        measured("before"),
        asked(WISH, ASKER, kind="COMMAND"),
        message("**In the year**", stop, footer="Place 2 in the queue", change="created"),
        {"what": "answered", "id": WISH, "outcome": "answered", "message": MESSAGE},
        message("**In the year**", stop, footer="Next to be told"),
        {"what": "telling", "number": 1, "story": ["gpt2", "In the year", 5]},
        message("**In the year** 2100▌", stop, footer="gpt2 is telling"),
        {"what": "telling-over", "number": 1},
        message("**In the year** 2100 it rained\\.", again, footer="gpt2 · seed 5 · 6 words"),
        asked(PRESS, VOTER, kind="COMPONENT", custom_id="kataribe:rate:7:4", message=MESSAGE),
        {"what": "answered", "id": PRESS, "outcome": "answered", "message": MESSAGE},
        confirmation("★★★★☆ from you. Another star changes your vote."),
        {"what": "quiet"},
        {"what": "drained"},
        measured("after"),
        {"what": "end"},
    ]
    story: Row = {
        "id": 7,
        "interaction_id": WISH,
        "message_id": MESSAGE,
        "nth": 0,
        "guild_id": SERVER,
        "channel_id": CHANNEL,
        "member_id": ASKER,
        "private": 0,
        "length": "short",
        "parent_id": None,
        "final": 0,
        "prompt": "In the year",
        "text": " 2100 it rained.",
        "state": "told",
        "shown_at": "then",
        "answer_token": None,
        "redrawn": 0,
        "withheld": None,
        "votes": 1,
        "stars": 4,
    }
    return events, Kept([story], [{"story_id": 7, "member_id": VOTER, "stars": 4}], [], [])
