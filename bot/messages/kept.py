"""Which messages are remembered: those of stories that wait, are told, or were just pressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.database.tables import Story
    from bot.messages.message import StoryMessage
    from bot.messages.telling import Telling

KEPT = 2000
"""Messages that are remembered; of more, those that only wait lose the upkeep of their place."""


class Kept:
    """Messages by their interaction, and the tellings in them by their story."""

    def __init__(self, make: Callable[[Story], StoryMessage]) -> None:
        """`make`: begins the message of a story that is not known yet."""
        self._make = make
        self._messages: dict[int, StoryMessage] = {}
        self._stories: dict[int, tuple[StoryMessage, Telling]] = {}

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def room(self) -> int:
        """How many more messages may be remembered."""
        return KEPT - len(self._messages)

    def all(self) -> list[StoryMessage]:
        """Those that are remembered now."""
        return list(self._messages.values())

    def find(self, story_id: int) -> tuple[StoryMessage, Telling] | None:
        """Give the message of a story, and its telling there, if it is remembered."""
        return self._stories.get(story_id)

    def of(self, story: Story) -> tuple[StoryMessage, Telling]:
        """Give the message of a story, and its telling there; remembered from now on."""
        if (found := self._stories.get(story.id)) is not None:
            return found
        message = self._messages.get(story.interaction_id)
        if message is None:
            message = self._messages[story.interaction_id] = self._make(story)
            self._trim()
        found = self._stories[story.id] = (message, message.add(story))
        return found

    def forget(self, message: StoryMessage) -> None:
        """Remember a message no longer."""
        if self._messages.get(message.story.interaction_id) is message:
            del self._messages[message.story.interaction_id]
            for telling in message.tellings:
                self._stories.pop(telling.story.id, None)

    def _trim(self) -> None:
        """Forget one that has nothing to show, and that nobody writes or waits for."""
        if self.room >= 0:
            return
        for message in self._messages.values():
            idle = message.urgency is None and not message.in_flight
            if idle and not message.is_telling and not message.is_awaited:
                self.forget(message)
                return
