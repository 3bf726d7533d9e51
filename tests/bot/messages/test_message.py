"""A story's message as a state machine, without Discord and without time."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from bot.database.tables import State, Story
from bot.messages.message import LONGEST_REST, StoryMessage
from bot.messages.telling import Phase, Telling, Urgency

TWELVE = " one two three four five six seven eight nine ten eleven twelve"
PACE = 5.0


def story(state: State = State.TELLING, text: str = "") -> Story:
    return Story(
        id=1, interaction_id=1, prompt="Zero", text=text, model="m", state=state,
        asked_at=dt.datetime.now(dt.UTC),
    )  # fmt: skip


def telling(text: str = "", now: float = 0.0) -> Telling:
    message = Telling(story(State.QUEUED))
    message.began(story())
    if text:
        message.heard(text, now)
    return message


def test_words_come_at_the_pace_of_a_teller_and_the_first_at_once() -> None:
    message = telling()
    assert message.heard(" one", 10.0) is Urgency.FIRST
    assert message.heard(TWELVE, 10.0) is Urgency.NEXT
    message.reveal(10.0, PACE)
    assert len(message.visible_text.split()) == 5
    message.reveal(11.0, PACE)
    assert len(message.visible_text.split()) == 10
    assert not message.whole
    message.reveal(message.whole_at(PACE), PACE)
    assert message.whole


@pytest.mark.parametrize("pace_after", [0.5, PACE])
def test_words_never_go_back(pace_after: float) -> None:
    message = telling(TWELVE)
    message.reveal(0.0, 0.0)  # all of them
    before = message.visible_text
    message.reveal(0.1, pace_after)
    assert message.visible_text == before
    # Nor when its telling breaks off, and the next one has only begun.
    message.broke_off()
    assert (message.phase, message.visible_text) == (Phase.WAITING, before)
    message.began(story())
    message.heard(" one two", 5.0)
    message.reveal(5.0, 0.0)
    assert message.visible_text == before
    message.heard(" three four five six seven eight nine ten eleven twelve thirteen", 6.0)
    message.reveal(6.0, 0.0)
    assert message.visible_text == TWELVE + " thirteen"


def test_words_that_turn_out_unfit_go_back_and_the_next_telling_begins_anew() -> None:
    message = telling(TWELVE)
    message.reveal(0.0, 0.0)
    message.broke_off()
    message.taken_back()
    assert (message.phase, message.visible_text) == (Phase.WAITING, "")
    message.began(story())
    assert message.heard(" one two three four five six", 60.0) is Urgency.FIRST
    message.reveal(60.0, PACE)
    assert message.visible_text == " one two three four five"


def test_a_story_told_to_its_end_is_shown_to_its_end() -> None:
    message = telling(TWELVE)
    message.reveal(0.0, PACE)
    message.ended(story(State.TOLD, TWELVE))
    assert (message.phase, message.whole) == (Phase.ENDED, False)
    message.reveal(2.0, PACE)
    assert message.whole
    # Words that come late are nobody's.
    assert message.heard(" more", 3.0) is None


def test_what_ended_elsewhere_has_no_pace_to_keep() -> None:
    message = Telling(story(State.QUEUED))
    message.ended(story(State.TOLD, TWELVE))
    assert message.whole


def test_a_frozen_message_shows_no_further_words() -> None:
    message = telling(TWELVE)
    message.reveal(0.0, PACE)
    message.frozen = 1
    message.reveal(100.0, PACE)
    assert len(message.visible_text.split()) == 5
    message.frozen = 0
    message.reveal(100.0, PACE)
    assert message.whole


def test_what_a_telling_that_broke_off_had_not_shown_is_never_shown() -> None:
    message = telling(TWELVE)
    message.reveal(0.0, PACE)
    message.broke_off()
    before = message.visible_text
    message.reveal(100.0, PACE)  # a place is drawn meanwhile
    assert message.visible_text == before


def test_words_of_before_a_restart_stay_until_there_are_more() -> None:
    message = Telling(story(State.QUEUED, " one two three"))
    assert message.visible_text == " one two three"
    message.began(story())
    message.heard(" one two", 0.0)
    message.reveal(0.0, 0.0)
    assert message.visible_text == " one two three"
    message.heard(" three four", 1.0)
    message.reveal(1.0, 0.0)
    assert message.visible_text == " one two three four"


def test_words_that_stand_there_stay_though_the_end_came_before_they_were_read() -> None:
    before = story(State.QUEUED)
    before.message_id = 5
    message = Telling(before)
    message.began(story())
    message.heard(TWELVE, 0.0)
    message.ended(story(State.TOLD, TWELVE))
    assert message.unread
    message.stood(" one two three four five six seven")
    message.reveal(0.0, PACE)
    assert message.visible_text == " one two three four five six seven"
    message.reveal(message.whole_at(PACE), PACE)
    assert (message.visible_text, message.is_over) == (TWELVE, True)


def test_a_word_that_stands_there_stays_though_less_of_it_comes_again() -> None:
    message = Telling(story(State.QUEUED, " one Rudo"))
    message.began(story())
    for piece, stands in ((" one Ru", " one Rudo"), ("d", " one Rudo"), ("olph", " one Rudolph")):
        message.heard(piece, 0.0)
        message.reveal(0.0, 0.0)
        assert message.visible_text == stands
    # What it was at its end is what it is.
    message.ended(story(State.TOLD, " one Rudolph"))
    assert message.visible_text == " one Rudolph"


def test_a_place_is_news_once_and_only_to_who_waits() -> None:
    message = Telling(story(State.QUEUED))
    assert message.placed(3)
    assert not message.placed(3)
    assert message.placed(2)
    message.began(story())
    assert not message.placed(1)
    message.broke_off()
    assert message.placed(1)


def test_out_of_reach_rests_longer_each_time_and_not_after_it_was_reached() -> None:
    message = StoryMessage.of(story())
    rests = []
    for _ in range(8):
        message.out_of_reach(100.0)
        rests.append(message.rests_until - 100.0)
    assert rests[:4] == [1.0, 2.0, 4.0, 8.0]
    assert rests[-1] == LONGEST_REST
    # All tries of an ending take more than a minute: a permission is given back, a server restarts.
    assert sum(rests) > 60
    message.reached()
    message.out_of_reach(200.0)
    assert message.rests_until == 201.0


def test_a_story_whose_last_word_came_while_it_is_being_called_off_stays_frozen() -> None:
    message = telling(TWELVE)
    message.reveal(0.0, PACE)
    message.frozen += 1
    message.ended(story(State.TOLD, TWELVE))
    message.reveal(100.0, PACE)
    assert len(message.visible_text.split()) == 5
    message.ended(story(State.CANCELLED, " one two three four five"))
    assert (message.frozen, message.whole) == (0, True)


async def test_who_waits_for_the_end_is_let_go_once() -> None:
    message = Telling(story())
    first, second = message.shown(), message.shown()
    first.cancel()
    waited = message.is_awaited
    message.settle(ValueError("gone"))
    assert (waited, message.is_awaited) == (True, False)
    with pytest.raises(ValueError, match="gone"):
        await second
    message.settle()
    third = message.shown()
    message.let_down()
    with pytest.raises(asyncio.CancelledError):
        await third


@pytest.mark.parametrize(
    "lost",
    [
        {"removed_at": dt.datetime.now(dt.UTC), "prompt": "", "text": ""},
        {"member_id": 0},
        {"prompt": ""},
    ],
    ids=["words", "name", "copied beginning"],
)
def test_what_was_taken_out_of_a_story_does_not_come_back_with_an_older_reading(
    lost: dict[str, Any],
) -> None:
    def called_off(**changes: Any) -> Story:
        ended = story(State.CANCELLED, " one")
        ended.member_id, ended.ended_at = 7, ended.asked_at
        for name, value in changes.items():
            setattr(ended, name, value)
        return ended

    # The dispatcher has read how it ended when a member deletes all of theirs; that is drawn first.
    message, older, newer = telling(" one"), called_off(), called_off(**lost)
    message.ended(newer)
    message.ended(older)
    assert message.story is newer
    removed = called_off(**lost | {"withheld": "removed", "removed_at": older.asked_at})
    message.ended(removed)
    assert message.story is removed
