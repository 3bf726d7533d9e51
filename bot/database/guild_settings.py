"""What a server's moderators chose, as one typed object; what is wrong in it breaks nothing."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bot.database.tables import Length  # pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Collection

_log = logging.getLogger(__name__)

MOST_CHANNELS = 25
"""Story channels, as many as one of Discord's menus takes."""
MOST_QUOTAS = 20
"""Roles with a quota of their own."""
MOST_WORDS = 100
SHORTEST_WORD, LONGEST_WORD = 1, 32
"""Words of a server's filter, and the characters of one."""
LONGEST_COOLDOWN = 86_400
"""Seconds."""
LARGEST_QUOTA = 10_000
"""Stories a day."""
HOURS = range(24)

Snowflake = Annotated[int, Field(gt=0, lt=2**63)]
Word = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=SHORTEST_WORD, max_length=LONGEST_WORD),
]
Quota = Annotated[int, Field(ge=0, le=LARGEST_QUOTA)]


class GuildSettings(BaseModel):
    """One server's settings; each has a default, with which a new server begins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    story_channels: Annotated[tuple[Snowflake, ...], Field(max_length=MOST_CHANNELS)] = ()
    """Where stories may be asked for, threads in them included; none: everywhere."""
    log_channel: Snowflake | None = None
    """Where moderators are told of reports and removals."""
    announce_model: bool = True
    """A change of the model is said in the channel, for everybody."""
    moods: Annotated[tuple[Annotated[str, Field(max_length=32)], ...], Field(max_length=25)] = ()
    """The moods that members may choose; none: all that there are."""
    length: Length | None = None
    """How long a story is where a member does not say it; None: the host's choice."""
    plain: bool = False
    """Stories are plain text, without a frame."""
    cooldown: Annotated[int, Field(ge=0, le=LONGEST_COOLDOWN)] = 0
    """Seconds between two wishes of a member."""
    quota: Quota = 0
    """Wishes of a member on one day; 0: as many as they like."""
    role_quotas: Annotated[dict[Snowflake, Quota], Field(max_length=MOST_QUOTAS)] = {}
    """The same for those who have a role, by its id; of several the most generous counts."""
    per_member: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Wishes of a member that wait or are being told; None: as many as the host lets."""
    per_server: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """The same for the server."""
    filter_words: Annotated[tuple[Word, ...], Field(max_length=MOST_WORDS)] = ()
    """Words that neither a beginning nor a story may have here."""
    daily_channel: Snowflake | None = None
    """Where a beginning is offered every day; None: nowhere."""
    daily_hour: Annotated[int, Field(ge=0, lt=24)] = 18
    """At which hour, in UTC."""
    learning: bool = False
    """Ratings of stories that the house began may teach the models."""
    language: Annotated[str, Field(max_length=10)] | None = None
    """What is said in the channels; None: what the server's language is in Discord."""

    @classmethod
    def read(cls, saved: str, guild_id: int) -> Self:
        """Read what the database has; what is unknown or wrong falls back to its default."""
        values: Any
        try:
            values = json.loads(saved)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            _log.warning("The settings of server %d cannot be read: the defaults hold", guild_id)
            return cls()
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            wrong = {str(details["loc"][0]) for details in error.errors()}
        _log.warning(
            "Settings of server %d are not known or not right, and their defaults hold: %s",
            guild_id,
            ", ".join(sorted(wrong)),
        )
        return cls.model_validate({n: value for n, value in values.items() if n not in wrong})

    def saved(self) -> str:
        """Give what differs from the defaults, as the database keeps it."""
        return self.model_dump_json(exclude_defaults=True)

    def with_changes(self, **changes: object) -> Self:
        """Give the settings with some changed.

        Raises:
            ValidationError: One of them may not be so.
        """
        return self.model_validate({**self.model_dump(), **changes})

    def is_story_place(self, *places: int | None) -> bool:
        """Whether stories may be asked for in a thread or channel: it, or what it is in."""
        return not self.story_channels or not set(self.story_channels).isdisjoint(places)

    def allows_mood(self, mood: str | None) -> bool:
        """Whether members may choose a mood; None, the model's own, always."""
        return mood is None or not self.moods or mood in self.moods

    def quota_of(self, role_ids: Collection[int]) -> int:
        """Wishes a day of a member with these roles; 0: as many as they like."""
        own = [quota for role, quota in self.role_quotas.items() if role in role_ids]
        if not own:
            return self.quota
        return 0 if 0 in own else max(own)
