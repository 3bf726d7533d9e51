"""No vote is lost, none counts twice: what the database has is what members were told."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.history import Event
    from tests.chaos.seen import Kept, Row, Seen

RATE = re.compile(r"kataribe:rate:(\d+):([1-5])")
CHOOSE = re.compile(r"kataribe:duel:(\d+):([012])")
CHOICES = ("a", "b", "tie")
CHOSEN = (("You chose A.", "a"), ("You chose B.", "b"), ("You called it a tie.", "tie"))
COUNTED = re.compile(r"(★+)☆* from you")
TAKEN_BACK = "Your vote is taken back"

Value = int | str | None
"""Stars, or a choice in a duel; None: no vote."""
Key = tuple[str, int, int]
"""Stars or a duel, the story, the member."""


@dataclass
class Vote:
    """What a member's vote on a story may be, as far as one can know from outside."""

    possible: set[Value] = field(default_factory=lambda: {None})
    pending: list[Value] = field(default_factory=list)
    """Presses that nobody has confirmed yet."""
    history: list[Event] = field(default_factory=list)

    def pressed(self, value: Value) -> None:
        """A press may count or not, as long as nobody has said so."""
        self.pending.append(value)
        self.possible |= {_after(one, value) for one in self.possible}

    def confirmed(self, value: Value) -> None:
        """The bot has said what counts; later presses may have counted already."""
        self.possible = {value}
        for later in self.pending[1:]:
            self.possible |= {_after(one, later) for one in self.possible}
        self.pending.clear()


def _after(vote: Value, pressed: Value) -> Value:
    """The same star takes the vote back; a duel's choice stays."""
    return None if vote == pressed and isinstance(pressed, int) else pressed


def votes_count_once(seen: Seen, kept: Kept) -> Iterator[tuple[str, list[Event]]]:
    """Each vote is what its member was last told, and a story carries their sum."""
    stories = {row["id"]: row for row in kept.stories}
    votes = _votes(seen, stories)
    of_duels = {row["interaction_id"]: row["id"] for row in kept.duels}
    found: dict[Key, Value] = {
        ("rate", row["story_id"], row["member_id"]): row["stars"] for row in kept.ratings
    }
    choices = {(row["duel_id"], row["member_id"]): row["choice"] for row in kept.duel_votes}
    for key, vote in votes.items():
        kind, story_id, member = key
        value = found.get(key)
        if kind == "duel":
            duel = of_duels.get(stories[story_id]["interaction_id"], 0)
            value = choices.get((duel, member))
        if value not in vote.possible:
            said = " or ".join(sorted(map(str, vote.possible)))
            how = f"the vote of {member} on story {story_id} is {value}, not {said}"
            yield how, vote.history
    for (kind, story_id, member), value in found.items():
        if value is not None and (kind, story_id, member) not in votes:
            yield f"nobody saw {member} vote on story {story_id}", []
        if value is not None and stories[story_id]["member_id"] == member:
            yield f"{member} has a vote on their own story {story_id}", []
    for row in kept.stories:
        given = [one["stars"] for one in kept.ratings if one["story_id"] == row["id"]]
        stars = [one for one in given if one is not None]
        if (len(stars), sum(stars)) != (row["votes"], row["stars"]):
            how = f"story {row['id']} carries {row['votes']} votes and {row['stars']} stars"
            yield f"{how}, not {len(stars)} and {sum(stars)}", []


def _votes(seen: Seen, stories: dict[int, Row]) -> dict[Key, Vote]:
    votes: dict[Key, Vote] = {}
    pressed: dict[int, Key] = {}
    for event in seen.events:
        match event["what"]:
            case "asked" if (found := _press(event)) and _is_of(seen, event, found[0], stories):
                key, value = found
                pressed[event["id"]] = key
                vote = votes.setdefault(key, Vote())
                vote.history.append(event)
                vote.pressed(value)
            case "message" if event["to"] is not None and event["of"] in pressed:
                vote = votes[pressed[event["of"]]]
                vote.history.append(event)
                for value in _confirmed(event["content"]):
                    vote.confirmed(value)
    return votes


def _is_of(seen: Seen, press: Event, key: Key, stories: dict[int, Row]) -> bool:
    """Whether the press is on a message of the story's, not of another that had its number.

    While the database was away, the stories of the one that stood in for it were counted anew.
    """
    story, shown = stories.get(key[1]), seen.messages.get(press["message"])
    return story is not None and (shown is None or shown.of == story["interaction_id"])


def _press(event: Event) -> tuple[Key, Value] | None:
    custom_id = event.get("custom_id", "")
    if found := RATE.fullmatch(custom_id):
        return ("rate", int(found[1]), event["member"]), int(found[2])
    if found := CHOOSE.fullmatch(custom_id):
        return ("duel", int(found[1]), event["member"]), CHOICES[int(found[2])]
    return None


def _confirmed(text: str) -> list[Value]:
    """What a confirmation says that counts; nothing where it says something else."""
    if found := COUNTED.search(text):
        return [len(found[1])]
    if TAKEN_BACK in text:
        return [None]
    return [choice for begin, choice in CHOSEN if text.startswith(begin)]
