"""What the bot promises its members, checked on what was seen: see docs/promises.md."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.chaos.seen import (
    CURSOR,
    NOTICE,
    PLACE,
    is_unfinished,
    small_print,
    stories_in,
    words,
)
from tests.chaos.votes import votes_count_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.chaos.history import Event
    from tests.chaos.seen import Kept, Row, Seen, Shown

    Findings = Iterator[tuple[str, list[Event]]]

LONG = 3000
"""Characters after which a message may show a part of its story."""
SETTLED = 20.0
"""Seconds after a fault's end in which the bot may still be finding its feet."""
ANSWER = 4.0
"""Seconds after an interaction in which a fault excuses that nobody answered."""
MEANWHILE = 20.0
"""Seconds before a place was drawn in which what moved it may have happened."""
TELLERS = 8
"""Stories that return to the queue together when their telling breaks off."""
HANDLES, THREADS, MEMORY_KB = 40, 12, 60_000
"""What the bot may hold more of than when it had just begun: connections that are kept for the next
request or statement, of which there is a fixed number, and caches that are bounded."""


@dataclass(frozen=True)
class Broken:
    """A promise that was broken, and what was seen of it."""

    promise: str
    how: str
    history: list[Event]


def broken(seen: Seen, kept: Kept) -> list[Broken]:
    """Everything that was not kept."""
    return [
        Broken(name, how, history)
        for name, promise in EVERY.items()
        for how, history in promise(seen, kept)
    ]


def is_saved(seen: Seen, kept: Kept) -> Findings:
    """A wish that was answered with a story's message is in the database."""
    known = {row["interaction_id"] for row in kept.stories}
    for id_, asked in seen.asked.items():
        shown = _public(seen, id_)
        if not shown or id_ in known or not asked.acknowledged:
            continue
        first = shown[0].versions[0]
        died = not seen.calm(first["at"], first["at"] + ANSWER)
        if stories_in(first) or (is_unfinished(first) and not died):
            yield f"wish {id_} was acknowledged and is nowhere", seen.about(id_)


def is_drained(seen: Seen, kept: Kept) -> Findings:
    """When the faults are over, the queue drains, and the bot hears again."""
    for row in kept.stories:
        if row["shown_at"] is None:
            how = f"story {row['id']} is {row['state']} and its end was never shown"
            yield how, seen.about(row["interaction_id"])
    if "drained" not in seen.marks:
        yield "the bot was not done, or not connected, in time after the last fault", []


def is_told_once(seen: Seen, kept: Kept) -> Findings:
    """No wish is answered with two messages."""
    del kept
    for id_ in seen.answers:
        if id_ and len(shown := _public(seen, id_)) > 1:
            numbers = ", ".join(str(one.id) for one in shown)
            yield f"wish {id_} is told in several messages: {numbers}", seen.about(id_)


def is_told_by_one(seen: Seen, kept: Kept) -> Findings:
    """No story is told by two tellers at the same time."""
    del kept
    telling: dict[str, dict[int, Event]] = {}
    stories: dict[int, str] = {}
    for event in seen.events:
        match event["what"]:
            case "telling":
                story = stories[event["number"]] = repr(event["story"])
                others = telling.setdefault(story, {})
                for other in others.values():
                    yield "a story is told by two tellers at the same time", [other, event]
                others[event["number"]] = event
            case "telling-over":
                telling[stories[event["number"]]].pop(event["number"])


def is_told(seen: Seen, kept: Kept) -> Findings:
    """What stands in the channel at the end is the whole story, or says why there is none."""
    for row in kept.stories:
        if row["shown_at"] is None or row["channel_id"] in seen.destroyed:
            continue
        shown = _public(seen, row["interaction_id"])
        if not shown:
            yield f"story {row['id']} was never shown", seen.about(row["interaction_id"])
            continue
        if not shown[0].deleted and (how := _wrong(row, shown[0].versions[-1])):
            yield f"story {row['id']} {how}", seen.about(row["interaction_id"])


def _wrong(row: Row, last: Event) -> str | None:
    """What is wrong with a message that shows a story that has ended."""
    text = stories_in(last).get(row["nth"])
    if text is None:
        return "does not stand in its message"
    if CURSOR in text or is_unfinished(last):
        return "still looks as if it were being told"
    if row["state"] != "told":
        print_ = small_print(last)
        return None if NOTICE in text or print_.strip() else "says nothing of why it was not told"
    whole = words(row["text"] if not last["embeds"] else row["prompt"] + row["text"])
    there = words(text)
    if there == whole or (len(text) > LONG and whole.startswith(there)):
        return None
    return f"stands there otherwise than it was told: {there[-60:]!r}, not {whole[-60:]!r}"


def words_stay(seen: Seen, kept: Kept) -> Findings:
    """No message is edited with older text: words that were shown are never taken back."""
    unfit = {row["interaction_id"] for row in kept.stories if row["redrawn"] or row["withheld"]}
    for shown in seen.messages.values():
        if shown.to is not None or shown.of in unfit:
            continue
        for before, after in pairwise(shown.versions):
            old, new = stories_in(before), stories_in(after)
            for nth, text in old.items():
                if not words(new.get(nth, "")).startswith(words(text)) and len(text) < LONG:
                    yield f"words of message {shown.id} were taken back", [before, after]


def places_fall(seen: Seen, kept: Kept) -> Findings:
    """No place in the queue rises without as many wishes, or returns, that may go before it."""
    del kept
    asked = [one.event["at"] for one in seen.asked.values() if one.acknowledged]
    for shown in seen.messages.values():
        drawn = [
            (version, int(found[1]))
            for version in shown.versions
            if (found := PLACE.search(small_print(version)))
        ]
        for (before, old), (after, new) in pairwise(drawn):
            since, until = before["at"] - MEANWHILE, after["at"]
            came = 3 * sum(since <= at <= until for at in asked)
            returned = 0 if seen.calm(since, until) else 3 * TELLERS
            if new > old + came + returned:
                yield f"the place in message {shown.id} rose from {old} to {new}", [before, after]


def is_acknowledged(seen: Seen, kept: Kept) -> Findings:
    """While all is well, everybody is answered in time."""
    del kept
    for id_, asked in seen.asked.items():
        at = asked.event["at"]
        given_up = asked.answer["at"] if asked.answer else at + ANSWER
        if not asked.acknowledged and seen.calm(at - SETTLED, given_up):
            yield f"interaction {id_} was not answered though all was well", seen.about(id_)


def works_again(seen: Seen, kept: Kept) -> Findings:
    """When the faults are over, whoever asks for a story is told one."""
    told = {row["interaction_id"] for row in kept.stories if row["state"] == "told"}
    for id_, asked in seen.asked.items():
        if asked.event.get("probe") and id_ not in told:
            yield f"wish {id_} was not told though all was well again", seen.about(id_)


def is_sound(seen: Seen, kept: Kept) -> Findings:
    """The database is whole, and keeps no token that is used up."""
    del seen
    for fault in kept.faults:
        yield f"the database is damaged: {fault}", []
    for row in kept.stories:
        if row["shown_at"] is not None and row["answer_token"] is not None:
            yield f"the token of story {row['id']} is still kept", []


def lets_go(seen: Seen, kept: Kept) -> Findings:
    """Memory, handles and threads return to where they were."""
    del kept
    moments = {one["moment"]: one for one in seen.measured}
    if {"before", "after"} <= moments.keys():
        before, after = moments["before"], moments["after"]
        for what, more in (("handles", HANDLES), ("threads", THREADS), ("rss_kb", MEMORY_KB)):
            if after[what] > before[what] + more:
                how = f"{what} went from {before[what]} to {after[what]}"
                yield how, [before, after]


def stays_up(seen: Seen, kept: Kept) -> Findings:
    """The bot ends when it is told to, and by itself never."""
    del kept
    for event in seen.events:
        if event["what"] == "ended-by-itself":
            yield f"the {event['name']} ended by itself, with status {event['status']}", [event]
        if event["what"] == "stuck":
            yield f"the {event['name']} did not end when it was told to", [event]


def _public(seen: Seen, interaction_id: int) -> list[Shown]:
    return [one for one in seen.answers.get(interaction_id, []) if one.to is None]


EVERY: dict[str, Callable[[Seen, Kept], Findings]] = {
    "saved": is_saved,
    "drained": is_drained,
    "told-once": is_told_once,
    "told-by-one": is_told_by_one,
    "told": is_told,
    "words-stay": words_stay,
    "votes-count-once": votes_count_once,
    "places-fall": places_fall,
    "acknowledged": is_acknowledged,
    "works-again": works_again,
    "sound": is_sound,
    "lets-go": lets_go,
    "stays-up": stays_up,
}
