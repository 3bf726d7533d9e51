"""The checker itself: a history in which all is well, and one bug after the other planted in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.all_well import (
    ASKER,
    MESSAGE,
    PRESS,
    SERVER,
    WISH,
    asked,
    measured,
    message,
    process,
    well,
)
from tests.chaos.promises import broken
from tests.chaos.seen import Kept, Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.history import Event

    Plant = Callable[[list[Event], Kept], None]


def promises(plant: Plant) -> set[str]:
    """Those that are broken once something was planted."""
    events, kept = well()
    plant(events, kept)
    timed = [{**event, "at": 100.0 * number} for number, event in enumerate(events)]
    return {one.promise for one in broken(Seen.of(timed), kept)}


def index(events: list[Event], text: str) -> int:
    return next(n for n, event in enumerate(events) if text in repr(event))


def test_a_history_in_which_all_is_well_breaks_nothing() -> None:
    assert promises(lambda _, __: None) == set()


def _never_saved(_: list[Event], kept: Kept) -> None:
    kept.stories.clear()
    kept.ratings.clear()


def _saved_after_it_was_sent(events: list[Event], kept: Kept) -> None:
    _never_saved(events, kept)
    del events[index(events, "is telling") :]
    events += [{"what": "quiet"}, {"what": "drained"}]


def _lost_wake_up(_: list[Event], kept: Kept) -> None:
    kept.stories[0] |= {"state": "queued", "shown_at": None}


def _never_drained(events: list[Event], _: Kept) -> None:
    events.remove({"what": "drained"})


def _told_in_two_messages(events: list[Event], _: Kept) -> None:
    second = message("**In the year** 2100 it rained.", change="created") | {"id": MESSAGE + 9}
    events.append(second)


def _lease_ignored(events: list[Event], _: Kept) -> None:
    at = index(events, "telling-over")
    events.insert(at, {"what": "telling", "number": 2, "story": ["gpt2", "In the year", 5]})


def _cut_short(_: list[Event], kept: Kept) -> None:
    kept.stories[0]["text"] += " And it went on."


def _still_telling(events: list[Event], _: Kept) -> None:
    del events[index(events, "6 words")]


def _no_reason_given(events: list[Event], kept: Kept) -> None:
    events[index(events, "6 words")]["embeds"] = [{"description": "**In the year** 2100"}]
    kept.stories[0] |= {"state": "failed", "text": ""}
    _vote_lost(events, kept)
    events[:] = [one for one in events if one.get("id") not in {PRESS, MESSAGE + 1}]


def _never_shown(events: list[Event], _: Kept) -> None:
    events[:] = [event for event in events if event.get("of") != WISH]


def _older_text(events: list[Event], _: Kept) -> None:
    at = index(events, "6 words")
    events.insert(at + 1, events[index(events, "is telling")])
    events.insert(at + 2, events[at])


def _vote_lost(_: list[Event], kept: Kept) -> None:
    kept.ratings.clear()
    kept.stories[0] |= {"votes": 0, "stars": 0}


def _vote_counted_twice(_: list[Event], kept: Kept) -> None:
    kept.stories[0] |= {"votes": 2, "stars": 8}


def _another_star_counted(_: list[Event], kept: Kept) -> None:
    kept.ratings[0]["stars"] = kept.stories[0]["stars"] = 5


def _vote_before_its_check(events: list[Event], kept: Kept) -> None:
    events[index(events, "rate:7")]["member"] = ASKER
    del events[index(events, "from you")]
    kept.ratings[0]["member_id"] = ASKER


def _place_rises(events: list[Event], _: Kept) -> None:
    at = index(events, "Next to be told")
    events[at] = message("**In the year**", "kataribe:cancel:7", footer="Place 3 in the queue")


def _place_rises_for_whose_turn_comes(events: list[Event], kept: Kept) -> None:
    _place_rises(events, kept)
    told = {"number": 0, "story": ["gpt2", "Long ago", 6]}
    events.insert(0, {"what": "telling", **told})
    events.insert(index(events, "Place 3"), {"what": "telling-over", "number": 0})


def _place_rises_for_a_saga(events: list[Event], kept: Kept) -> None:
    _place_rises(events, kept)
    part = message("**Long ago** it rained\\.", "kataribe:again:8", change="created")
    part |= {"id": MESSAGE + 20, "of": WISH + 20}
    events.insert(index(events, "Place 3"), part)
    other = {"id": 8, "interaction_id": WISH + 20, "length": "saga", "votes": 0, "stars": 0}
    other |= {"prompt": "Long ago", "text": " it rained."}
    next_part = other | {"id": 9, "interaction_id": -8, "parent_id": 8, "shown_at": None}
    next_part["message_id"] = None
    kept.stories += [kept.stories[0] | other, kept.stories[0] | next_part]
    kept.stories[-1] |= {"guild_id": SERVER + 1, "state": "told", "final": 1}
    events.append({"what": "destroyed", "server": SERVER + 1})


def _nobody_answers(events: list[Event], _: Kept) -> None:
    events.append(asked(WISH + 1, ASKER, kind="COMMAND"))


def _wrong_for_ever(events: list[Event], _: Kept) -> None:
    events.append(asked(WISH + 1, ASKER, kind="COMMAND", probe=True))
    events.append({"what": "answered", "id": WISH + 1, "outcome": "answered", "message": None})


def _damaged(_: list[Event], kept: Kept) -> None:
    kept.faults.append("row 3 missing from index")


def _token_kept(_: list[Event], kept: Kept) -> None:
    kept.stories[0]["answer_token"] = "secret"


def _handles_stay_open(events: list[Event], _: Kept) -> None:
    events[index(events, "'after'")] = measured("after", handles=200)


def _ends_by_itself(events: list[Event], _: Kept) -> None:
    events.append({"what": "ended-by-itself", "name": "bot", "status": 1})


def _handed_over_late(events: list[Event], _: Kept) -> None:
    events.append({"what": "handed-over", "name": "bot", "seconds": 6.5, "within": 5})


def _handed_over_among_faults(events: list[Event], _: Kept) -> None:
    events += [{"what": "fault", "kind": "bot-cut-off", "on": on} for on in (True, False)]
    events.append({"what": "handed-over", "name": "bot", "seconds": 90, "within": 5})


def _server_gone_and_still_queued(events: list[Event], kept: Kept) -> None:
    _server_gone_and_never_shown(events, kept)
    kept.stories[0]["state"] = "queued"


def _server_gone_and_never_shown(events: list[Event], kept: Kept) -> None:
    events.append({"what": "destroyed", "server": SERVER})
    kept.stories[0]["shown_at"] = None


def _expired(_: list[Event], kept: Kept) -> None:
    kept.stories[0]["state"] = "expired"


def _expired_by_a_step(events: list[Event], kept: Kept) -> None:
    # The clock was put right before the next bot was started.
    events[2:2] = [{"what": "clock", "ahead": 200_000}, {"what": "clock", "ahead": 0}]
    events.append(process("started"))
    _expired(events, kept)


def _started_in_the_future(events: list[Event], kept: Kept) -> None:
    events[index(events, "telling-over")] = process("started")
    events.insert(2, {"what": "clock", "ahead": 200_000})
    _expired(events, kept)


def _stepped_while_it_started(events: list[Event], kept: Kept) -> None:
    events[1:1] = [{"what": "clock", "ahead": 200_000}, {"what": "clock", "ahead": 0}]
    _expired(events, kept)


def _part_posted_through_the_first(events: list[Event], kept: Kept) -> None:
    other = message("**In the year** it went on\\.", change="created") | {"id": MESSAGE + 2}
    part = {"id": 8, "interaction_id": -7, "message_id": MESSAGE + 2, "text": " it went on."}
    kept.stories.append(kept.stories[0] | part | {"votes": 0, "stars": 0})
    events.insert(index(events, "rate:7"), other)


def _thought_was_deleted(events: list[Event], _: Kept) -> None:
    thinking = message("", change="created") | {"id": MESSAGE + 2, "embeds": [], "components": []}
    at = index(events, "'created'")
    events[at:at] = [thinking, thinking | {"change": "deleted"}]


def _refused_after_a_thought(events: list[Event], _: Kept) -> None:
    of = {"of": WISH + 3, "embeds": [], "components": []}
    thinking = message("", change="created") | of | {"id": MESSAGE + 3}
    refused = thinking | {"content": "I keep no more than 3 of your stories at a time."}
    events += [
        asked(WISH + 3, ASKER, kind="COMMAND"),
        thinking,
        {"what": "answered", "id": WISH + 3, "outcome": "answered", "message": MESSAGE + 3},
        thinking | {"change": "deleted"},
        refused | {"id": MESSAGE + 4, "to": ASKER, "change": "created"},
    ]


def _told_at_the_second_time(events: list[Event], kept: Kept) -> None:
    _wrong_for_ever(events, kept)
    events.append(asked(WISH + 2, ASKER, kind="COMMAND", probe=True))
    second = message("**In the year** 2100 it rained\\.", change="created")
    events.append(second | {"id": MESSAGE + 2, "of": WISH + 2})
    answer = {"what": "answered", "id": WISH + 2, "outcome": "answered", "message": MESSAGE + 2}
    events.append(answer)
    again = {"id": 9, "interaction_id": WISH + 2, "message_id": MESSAGE + 2}
    kept.stories.append(kept.stories[0] | again | {"votes": 0, "stars": 0})


def _young_vote(events: list[Event], _: Kept) -> None:
    events[index(events, "rate:7")]["young"] = True


def _private_and_out_of_reach(events: list[Event], kept: Kept) -> None:
    kept.stories[0] |= {"private": 1, "text": " something else"}
    events[:] = [event | {"to": ASKER} if event.get("of") == WISH else event for event in events]


def _token_lost(events: list[Event], kept: Kept) -> None:
    _private_and_out_of_reach(events, kept)
    at = index(events, "is telling")
    events[at:at] = [{"what": "fault", "kind": "tokens-expire", "on": on} for on in (True, False)]


def _saga_forgotten(_: list[Event], kept: Kept) -> None:
    kept.stories[0]["length"] = "saga"


def _saga_at_its_end(events: list[Event], kept: Kept) -> None:
    _saga_forgotten(events, kept)
    kept.stories[0]["final"] = 1


def _works_on_a_newer_database(events: list[Event], _: Kept) -> None:
    events += [{"what": "newer", "on": True}, process("ready"), {"what": "newer", "on": False}]


def _works_on_it_again(events: list[Event], _: Kept) -> None:
    events += [{"what": "newer", "on": True}, {"what": "newer", "on": False}, process("ready")]


def _vote_on_a_story_of_the_same_number(events: list[Event], _: Kept) -> None:
    other = message("**Another**", change="created") | {"id": MESSAGE + 7, "of": WISH + 7}
    events[index(events, "rate:7")]["message"] = other["id"]
    events.insert(0, other)


def _told_elsewhere(_: list[Event], kept: Kept) -> None:
    kept.elsewhere.append(kept.stories[0] | {"text": " something else"})


@pytest.mark.parametrize(
    ("plant", "promise"),
    [
        (_never_saved, "saved"),
        (_saved_after_it_was_sent, "saved"),
        (_lost_wake_up, "drained"),
        (_never_drained, "drained"),
        (_told_in_two_messages, "told-once"),
        (_lease_ignored, "told-by-one"),
        (_cut_short, "told"),
        (_still_telling, "told"),
        (_no_reason_given, "told"),
        (_never_shown, "told"),
        (_older_text, "words-stay"),
        (_vote_lost, "votes-count-once"),
        (_vote_counted_twice, "votes-count-once"),
        (_another_star_counted, "votes-count-once"),
        (_vote_before_its_check, "votes-count-once"),
        (_place_rises, "places-fall"),
        (_nobody_answers, "acknowledged"),
        (_wrong_for_ever, "works-again"),
        (_damaged, "sound"),
        (_token_kept, "sound"),
        (_server_gone_and_still_queued, "drained"),
        (_expired, "time-flows"),
        (_expired_by_a_step, "time-flows"),
        (_young_vote, "time-flows"),
        (_private_and_out_of_reach, "told"),
        (_saga_forgotten, "goes-on"),
        (_works_on_a_newer_database, "refuses-newer"),
        (_vote_on_a_story_of_the_same_number, "votes-count-once"),
        (_told_elsewhere, "told"),
        (_handles_stay_open, "lets-go"),
        (_ends_by_itself, "stays-up"),
        (_handed_over_late, "hands-over"),
    ],
)
def test_a_planted_bug_breaks_its_promise_and_no_other(plant: Plant, promise: str) -> None:
    assert promises(plant) == {promise}


@pytest.mark.parametrize(
    "plant",
    [
        _server_gone_and_never_shown,
        _started_in_the_future,
        _stepped_while_it_started,
        _part_posted_through_the_first,
        _told_at_the_second_time,
        _thought_was_deleted,
        _refused_after_a_thought,
        _token_lost,
        _saga_at_its_end,
        _place_rises_for_a_saga,
        _place_rises_for_whose_turn_comes,
        _works_on_it_again,
        _handed_over_among_faults,
    ],
)
def test_what_nobody_could_help_breaks_no_promise(plant: Plant) -> None:
    assert promises(plant) == set()


def test_a_press_that_nobody_answered_may_count_or_not() -> None:
    def unanswered(events: list[Event], _: Kept) -> None:
        del events[index(events, "from you")]

    def unanswered_and_not_counted(events: list[Event], kept: Kept) -> None:
        unanswered(events, kept)
        _vote_lost(events, kept)

    assert promises(unanswered) == promises(unanswered_and_not_counted) == set()
