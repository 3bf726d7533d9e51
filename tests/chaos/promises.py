"""What the bot promises its members, checked on what was seen: see docs/promises.md."""

from __future__ import annotations

import math
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
LIVE = {"queued", "telling"}
"""Of the states of a story those in which it has not come to an end."""
TOKEN_LOST = {"tokens-expire", "rest-401", "rest-404"}
"""Faults after which an interaction takes no more edits."""
TOKEN_LIFE, A_DAY = 600.0, 80_000.0
"""Seconds (less a margin) that a clock has to be off for a token to look dead, for an account to
look old and for a wish to look as if it had waited too long."""
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
    seen.attribute((*kept.stories, *kept.elsewhere))
    return [
        Broken(name, how, history)
        for name, promise in EVERY.items()
        for how, history in promise(seen, kept)
    ]


def is_saved(seen: Seen, kept: Kept) -> Findings:
    """A wish that was answered with a story's message is in the database."""
    known = {row["interaction_id"] for row in (*kept.stories, *kept.elsewhere)}
    for id_, asked in seen.asked.items():
        shown = _public(seen, id_)
        if not shown or id_ in known or not asked.acknowledged:
            continue
        answers = seen.answers[id_]
        if any(one.to is not None for one in answers) and all(map(_is_no_answer, shown)):
            continue  # its member alone was told that it is refused
        first = shown[0].versions[0]
        died = not seen.calm(first["at"], first["at"] + ANSWER)
        if stories_in(first) or (is_unfinished(first) and not died):
            yield f"wish {id_} was acknowledged and is nowhere", seen.about(id_)


def is_drained(seen: Seen, kept: Kept) -> Findings:
    """When the faults are over, the queue drains, and the bot hears again."""
    for row in kept.stories:
        rests = row["guild_id"] in seen.destroyed and row["state"] not in LIVE
        if row["shown_at"] is None and not rests:
            how = f"story {row['id']} is {row['state']} and its end was never shown"
            yield how, seen.about(row["interaction_id"])
    if "drained" not in seen.marks:
        yield "the bot was not done, or not connected, in time after the last fault", []


def is_told_once(seen: Seen, kept: Kept) -> Findings:
    """No wish is answered with two messages."""
    del kept
    for id_ in filter(None, seen.answers):
        # The parts of a saga are told by themselves, so one of a database that stood in for ours
        # may have the same number, elsewhere.
        for channel in {one.channel for one in seen.answers[id_]}:
            shown = [
                one
                for one in _public(seen, id_)
                if one.channel == channel and not _is_no_answer(one)
            ]
            if len(shown) > 1:
                numbers = ", ".join(str(one.id) for one in shown)
                yield f"wish {id_} is told in several messages: {numbers}", seen.about(id_)


def _is_no_answer(shown: Shown) -> bool:
    """Whether a message was deleted before a story stood there."""
    return shown.deleted and not any(stories_in(version) for version in shown.versions)


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
    rows = (*kept.stories, *kept.elsewhere)
    # Elsewhere a wish may never come to its end: that database was put away.
    underway = {row["interaction_id"] for row in rows if row["shown_at"] is None}
    for row in rows:
        if row["interaction_id"] in underway or row["channel_id"] in seen.destroyed:
            continue
        shown = _shown(seen, row)
        how = _wrong(row, shown[0]) if shown else "was never shown"
        if how is None or (row["private"] and _is_out_of_reach(seen, row)):
            continue
        yield f"story {row['id']} {how}", seen.about(row["interaction_id"])


def _shown(seen: Seen, row: Row) -> list[Shown]:
    """The messages that show a story; of a private one there are others for its member alone."""
    to = row["member_id"] if row["private"] else None
    return [
        one
        for one in seen.answers.get(row["interaction_id"], [])
        if (one.to, one.channel) == (to, row["channel_id"])
    ]


def _is_out_of_reach(seen: Seen, row: Row) -> bool:
    """Whether the only way to a private story's reader, its interaction's token, was lost.

    It may be lost long after the last version: while the bot is down, or its database away.
    """
    asked = seen.asked[row["interaction_id"]]
    since = asked.event["at"]
    return (
        not asked.acknowledged
        or seen.met(TOKEN_LOST, since, math.inf)
        or seen.clock_was_off(TOKEN_LIFE, since, math.inf)
    )


def _wrong(row: Row, shown: Shown) -> str | None:
    """What is wrong with a message that shows a story that has ended; it may be deleted."""
    last = shown.versions[-1]
    if shown.deleted:
        return None
    text = stories_in(last).get(row["nth"])
    if text is None:
        return "does not stand in its message"
    if CURSOR in text or is_unfinished(last):
        return "still looks as if it were being told"
    if row["state"] != "told":
        print_ = small_print(last)
        return None if NOTICE in text or print_.strip() else "says nothing of why it was not told"
    whole = words(row["prompt"] + row["text"])
    there = words(text)
    if there == whole or (len(text) > LONG and whole.startswith(there)):
        return None
    return f"stands there otherwise than it was told: {there[-60:]!r}, not {whole[-60:]!r}"


def words_stay(seen: Seen, kept: Kept) -> Findings:
    """No message is edited with older text: words that were shown are never taken back."""
    rows = (*kept.stories, *kept.elsewhere)
    unfit = {row["interaction_id"] for row in rows if row["redrawn"] or row["withheld"]}
    for shown in seen.messages.values():
        if shown.to is not None or shown.of in unfit:
            continue
        for before, after in pairwise(shown.versions):
            old, new = stories_in(before), stories_in(after)
            for nth, text in old.items():
                if not words(new.get(nth, "")).startswith(words(text)) and len(text) < LONG:
                    yield f"words of message {shown.id} were taken back", [before, after]


def places_fall(seen: Seen, kept: Kept) -> Findings:
    """No place in the queue rises without as many wishes, or returns, that may go before it.

    When a story has been told the next wish of its server has its turn, which may have stood behind
    another server's next.
    """
    asked = [one.event["at"] for one in seen.asked.values() if one.acknowledged]
    asked += _parts_asked_for(seen, kept)
    asked += [event["at"] for event in seen.events if event["what"] == "telling-over"]
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


def _parts_asked_for(seen: Seen, kept: Kept) -> Iterator[float]:
    """When sagas went on by themselves: as soon as the part before stood there to its end."""
    for row in kept.stories:
        if row["length"] == "saga" and row["state"] == "told":
            for shown in _shown(seen, row)[:1]:
                ends = (one["at"] for one in shown.versions if not is_unfinished(one))
                if (end := next(ends, None)) is not None:
                    yield end


def is_acknowledged(seen: Seen, kept: Kept) -> Findings:
    """While all is well, everybody is answered in time."""
    del kept
    for id_, asked in seen.asked.items():
        at = asked.event["at"]
        given_up = asked.answer["at"] if asked.answer else at + ANSWER
        if not asked.acknowledged and seen.calm(at - SETTLED, given_up):
            yield f"interaction {id_} was not answered though all was well", seen.about(id_)


def works_again(seen: Seen, kept: Kept) -> Findings:
    """When the faults are over, who asks for a story is told one, the second time at last."""
    told = {row["interaction_id"] for row in kept.stories if row["state"] == "told"}
    last = {one.event["member"]: id_ for id_, one in seen.asked.items() if one.event.get("probe")}
    for id_ in last.values():
        if id_ not in told:
            yield f"wish {id_} was not told though all was well again", seen.about(id_)


def is_sound(seen: Seen, kept: Kept) -> Findings:
    """The database is whole, and keeps no token that is used up."""
    del seen
    for fault in kept.faults:
        yield f"the database is damaged: {fault}", []
    for row in kept.stories:
        if row["shown_at"] is not None and row["answer_token"] is not None:
            yield f"the token of story {row['id']} is still kept", []


def time_flows(seen: Seen, kept: Kept) -> Findings:
    """However the clock is stepped, no wish has waited a day, and no account is older than it is.

    Only a bot that is started while the clock is a day off takes that for the truth.
    """
    for row in kept.stories:
        asked = seen.asked.get(row["interaction_id"])
        if row["state"] != "expired" or asked is None:
            continue
        if not seen.clock_was_off(A_DAY, asked.event["at"], math.inf):
            yield f"story {row['id']} expired", seen.about(row["interaction_id"])
    for row in (*kept.ratings, *kept.duel_votes):
        member = row["member_id"]
        voted = [
            one.event
            for one in seen.asked.values()
            if one.event["member"] == member and one.event.get("custom_id")
        ]
        if member in seen.young and not any(
            seen.clock_was_off(A_DAY, event["at"], event["at"] + ANSWER) for event in voted
        ):
            yield f"{member} voted, whose account is an hour old", voted


def goes_on(seen: Seen, kept: Kept) -> Findings:
    """A saga that nobody stopped goes on until it has come to its end."""
    followed = {row["parent_id"] for row in kept.stories}
    for row in kept.stories:
        waits = row["state"] != "told" or row["shown_at"] is None
        if row["length"] != "saga" or waits or row["final"] or row["id"] in followed:
            continue
        shown = _shown(seen, row)
        gone = row["channel_id"] in seen.destroyed or any(one.deleted for one in shown)
        if not gone:
            yield f"no part follows story {row['id']}", seen.about(row["interaction_id"])


def refuses_newer(seen: Seen, kept: Kept) -> Findings:
    """A database that a later version wrote is left alone."""
    del kept
    newer: Event | None = None
    for event in seen.events:
        if event["what"] == "newer":
            newer = event if event["on"] else None
        ready = event["what"] == "process" and (event["name"], event["did"]) == ("bot", "ready")
        if newer is not None and ready:
            yield "the bot works on a database that a later version wrote", [newer, event]


def lets_go(seen: Seen, kept: Kept) -> Findings:
    """Memory, handles and threads return to where they were."""
    del kept
    moments = {(one["moment"], one["name"]): one for one in seen.measured}
    for name in {name for _, name in moments}:
        if not {("before", name), ("after", name)} <= moments.keys():
            continue
        before, after = moments["before", name], moments["after", name]
        for what, more in (("handles", HANDLES), ("threads", THREADS), ("rss_kb", MEMORY_KB)):
            if after[what] > before[what] + more:
                how = f"{what} of the {name} went from {before[what]} to {after[what]}"
                yield how, [before, after]


def stays_up(seen: Seen, kept: Kept) -> Findings:
    """The bot ends when it is told to, and by itself never."""
    del kept
    for event in seen.events:
        if event["what"] == "ended-by-itself":
            yield f"the {event['name']} ended by itself, with status {event['status']}", [event]
        if event["what"] == "stuck":
            yield f"the {event['name']} did not end when it was told to", [event]


def hands_over(seen: Seen, kept: Kept) -> Findings:
    """Where a bot makes room for a new one and all else is well, that one is soon there."""
    del kept
    for event in seen.events:
        if event["what"] == "handed-over":
            since = event["at"] - event["seconds"] - SETTLED
            others = {kind for kind, *_ in seen.faults} - {"rolling-restart"}
            if event["seconds"] > event["within"] and not seen.met(others, since, event["at"]):
                yield f"{event['name']} handed over in {event['seconds']} seconds", [event]


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
    "time-flows": time_flows,
    "goes-on": goes_on,
    "refuses-newer": refuses_newer,
    "lets-go": lets_go,
    "stays-up": stays_up,
    "hands-over": hands_over,
}
