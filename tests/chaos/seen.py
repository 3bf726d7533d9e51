"""A run's history, read: who asked what, what stood in each message and when, what went wrong."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from pathlib import Path

    from tests.chaos.history import Event

WORDS_ID = 100
"""Of the text in a layout that has its first story's words."""
TEXT = 10
"""Discord's number of a text in a layout."""
CURSOR = "▌"
NOTICE = "-# "
"""What the bot says of a story in small print, apart from its words."""
PLACE = re.compile(r"Place (\d+) in the queue")
STOP = re.compile(r"kataribe:cancel:\d+")
TABLES = ("stories", "ratings", "duels", "duel_votes")
WISH = re.compile("kataribe:(continue|variations|again):")

Row = dict[str, Any]


@dataclass
class Shown:
    """A message: each of its versions, until it was deleted."""

    id: int
    channel: int
    to: int | None
    """The member who alone sees it."""
    of: int
    """The interaction that it answers."""
    versions: list[Event] = field(default_factory=list)
    deleted: bool = False


@dataclass
class Asked:
    """What a member did, and what became of it."""

    event: Event
    answer: Event | None = None

    @property
    def acknowledged(self) -> bool:
        """Whether the bot answered in time."""
        return self.answer is not None and self.answer["outcome"] != "no answer"


@dataclass
class Seen:
    """Everything of a run, by what it is about."""

    asked: dict[int, Asked] = field(default_factory=dict)
    messages: dict[int, Shown] = field(default_factory=dict)
    answers: dict[int, list[Shown]] = field(default_factory=dict)
    """By the interaction that they answer."""
    destroyed: set[int] = field(default_factory=set)
    """Messages, channels and servers that were deleted."""
    young: set[int] = field(default_factory=set)
    """Members whose accounts are too new for their votes to count."""
    runs: list[tuple[float, set[int]]] = field(default_factory=list)
    """When each process of the bot's began, and how many seconds its clock was ahead until it was
    ready: at some moment of that time it looked."""
    troubled: list[tuple[float, float]] = field(default_factory=list)
    """From when to when a fault happened, the deaths of processes among them."""
    faults: list[tuple[str, float, float]] = field(default_factory=list)
    """Each by its kind, from when to when."""
    marks: dict[str, float] = field(default_factory=dict)
    """When the run came to quiet, drained and end."""
    measured: list[Event] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    _begun: dict[str, list[float]] = field(default_factory=dict)
    """When the faults began that are not over, by their kind."""
    _ahead: int = 0
    """Seconds that the bot's clock is ahead."""
    _starting: bool = False
    """The last run is not ready yet."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> Seen:
        """Read a history."""
        seen = cls()
        for event in events:
            seen.events.append(event)
            match event["what"]:
                case "asked":
                    seen._asked(event)
                case "answered":
                    seen.asked[event["id"]].answer = event
                case "message":
                    seen._message(event)
                case "destroyed":
                    what = ("message", "channel", "server")
                    seen.destroyed |= {event[name] for name in what if name in event}
                case "clock":
                    seen._clock(event)
                case "fault":
                    seen._fault(event)
                case "process":
                    seen._process(event)
                case "measured":
                    seen.measured.append(event)
                case mark:
                    seen.marks[mark] = event["at"]
        return seen

    def _asked(self, event: Event) -> None:
        self.asked[event["id"]] = Asked(event)
        if event.get("young"):
            self.young.add(event["member"])

    def _fault(self, event: Event) -> None:
        begun = self._begun.setdefault(event["kind"], [])
        if event["on"]:
            begun.append(event["at"])
        else:
            since = begun.pop(0)
            self.troubled.append((since, event["at"]))
            self.faults.append((event["kind"], since, event["at"]))

    def _clock(self, event: Event) -> None:
        self._ahead = event["ahead"]
        if self._starting:
            self.runs[-1][1].add(self._ahead)

    def _process(self, event: Event) -> None:
        self.troubled.append((event["at"], event["at"]))
        if event["name"].startswith("bot"):
            self._starting = event["did"] == "started"
            if self._starting:
                self.runs.append((event["at"], {self._ahead}))

    def _message(self, event: Event) -> None:
        known = self.messages.get(event["id"])
        if known is None:
            known = Shown(event["id"], event["channel"], event["to"], event["of"])
            self.messages[known.id] = known
            self.answers.setdefault(known.of, []).append(known)
        if event["change"] == "deleted":
            known.deleted = True
        else:
            known.versions.append(event)

    def attribute(self, stories: Iterable[Mapping[str, Any]]) -> None:
        """Take messages of a saga's later parts for theirs.

        Where the bot is no member (any more) they are posted by the interaction that asked for the
        first part, and look as if they answered it.
        """
        for row in stories:
            shown, of = self.messages.get(row["message_id"]), row["interaction_id"]
            if shown is not None and shown.of != of and of < 0:
                self.answers[shown.of].remove(shown)
                shown.of = of
                self.answers.setdefault(of, []).append(shown)

    def calm(self, since: float, until: float) -> bool:
        """Whether nothing was wrong in all that time."""
        return not any(begin <= until and end >= since for begin, end in self.troubled)

    def met(self, kinds: Container[str], since: float, until: float) -> bool:
        """Whether a fault of one of these kinds happened in that time."""
        return any(
            kind in kinds and begin <= until and end >= since for kind, begin, end in self.faults
        )

    def clock_was_off(self, seconds: float, since: float, until: float) -> bool:
        """Whether a bot that ran then was started under a clock that was off by more than that.

        Such a bot takes the wrong time for the true one, and cannot know better.
        """
        ends = [*(begin for begin, _ in self.runs[1:]), float("inf")]
        return any(
            max(map(abs, aheads)) > seconds and begin <= until and end >= since
            for (begin, aheads), end in zip(self.runs, ends, strict=True)
        )

    def about(self, interaction_id: int) -> list[Event]:
        """The events of one interaction, and of the messages that answer it."""
        mine = {shown.id for shown in self.answers.get(interaction_id, [])}
        return [
            event
            for event in self.events
            if (event["what"] in {"asked", "answered"} and event["id"] == interaction_id)
            or (event["what"] == "message" and event["id"] in mine)
            or (event["what"] == "destroyed" and event.get("message") in mine)
        ]


@dataclass
class Kept:
    """What the database holds at the end."""

    stories: list[Row]
    ratings: list[Row]
    duels: list[Row]
    duel_votes: list[Row]
    faults: list[str] = field(default_factory=list)
    """What SQLite finds wrong with the file."""
    elsewhere: list[Row] = field(default_factory=list)
    """Stories of databases that stood in for this one while it was away."""

    @classmethod
    def of(cls, database: Path, stood_in: Iterable[Path] = ()) -> Kept:
        """Read it, and the others that stood in for it."""
        others = [cls.of(one) for one in stood_in]
        with closing(sqlite3.connect(database)) as connection:
            connection.row_factory = sqlite3.Row

            def rows(table: str) -> list[Row]:
                return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608

            stories, ratings, duels, duel_votes = map(rows, TABLES)
            faults = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            faults += [str(tuple(row)) for row in connection.execute("PRAGMA foreign_key_check")]
            return cls(
                stories,
                ratings,
                duels,
                duel_votes,
                [fault for fault in faults if fault != "ok"]
                + [fault for other in others for fault in other.faults],
                [story for other in others for story in other.stories],
            )


def is_wish(asked: Event) -> bool:
    """Whether it asks for a story: every command does, and some of what is pressed."""
    return "custom_id" not in asked or WISH.match(asked["custom_id"]) is not None


def texts_of(components: Iterable[Any]) -> Iterator[tuple[int, str]]:
    """Every text in a layout with its id, in order."""
    for component in components:
        if component["type"] == TEXT:
            yield component.get("id", 0), component["content"]
        yield from texts_of(component.get("components", []))


def stories_in(version: Event) -> dict[int, str]:
    """The stories that stand in a message, by which of them it is; the beginning is part of one."""
    if version["embeds"]:
        return {0: version["embeds"][0].get("description", "")}
    found = texts_of(version["components"])
    return {id_ - WORDS_ID: text for id_, text in found if WORDS_ID <= id_ < WORDS_ID + 10}


def small_print(version: Event) -> str:
    """Everything that a message says beside its stories' words."""
    texts = [version["content"]]
    for embed in version["embeds"]:
        texts += [embed.get("footer", {}).get("text", ""), _notice(embed.get("description", ""))]
    texts += [text for _, text in texts_of(version["components"])]
    return "\n".join(texts)


def _notice(page: str) -> str:
    return page.rpartition("\n\n" + NOTICE)[2] if "\n\n" + NOTICE in page else ""


def words(text: str) -> str:
    """A text's letters and digits: neither escapes nor marks, nor the notice under it."""
    told = text.rpartition("\n\n" + NOTICE)[0] if "\n\n" + NOTICE in text else text
    return "".join(sign for sign in told if sign.isalnum())


def custom_ids(components: Iterable[Any]) -> Iterator[str]:
    """What can be pressed."""
    for component in components:
        if "custom_id" in component:
            yield component["custom_id"]
        yield from custom_ids(component.get("components", []))


def is_unfinished(version: Event) -> bool:
    """Whether a story in the message can still be stopped, or nothing stands in it yet."""
    empty = not (version["content"] or version["embeds"] or version["components"])
    return empty or any(map(STOP.fullmatch, custom_ids(version["components"])))
