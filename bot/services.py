"""What commands and buttons work with: the bot without Discord, handed over in one piece."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.database.boards import Boards
from bot.database.departures import Departures
from bot.database.duels import Duels
from bot.database.guilds import Guilds
from bot.database.limits import Limits
from bot.database.openings import Openings
from bot.database.privacy import Privacy
from bot.database.queue import Queue
from bot.database.ratings import Ratings
from bot.database.stories import Stories
from bot.database.tables import Form
from bot.messages.closing import Closing
from bot.messages.confirmations import Confirmations
from bot.messages.drawing import Artist
from bot.messages.presenter import StoryMessages
from bot.safety.beginnings import PromptRefusedError, Refusal, check_fit
from bot.safety.own_words import filter_of
from bot.safety.scripts import is_foreign_to_english
from bot.safety.second_opinion import objects_to
from bot.worker.bell import Bell
from bot.worker.catalogue import Catalogue, UnknownModelError
from bot.worker.completions import GeneratorDownError
from bot.worker.screening import Screening

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Self

    from bot.config import Settings
    from bot.database import Database
    from bot.database.tables import Story
    from bot.database.wishes import Wish
    from bot.messages.pacing import Pace
    from bot.messages.posting import Channels
    from bot.worker.completions import Completions


class UnknownMoodError(Exception):
    """No mood has that name."""

    def __init__(self, mood: str, moods: Sequence[str]) -> None:
        super().__init__(f"no mood {mood!r} among {', '.join(moods)}")
        self.mood = mood
        self.moods = moods


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything behind a command."""

    settings: Settings
    queue: Queue
    stories: Stories
    ratings: Ratings
    duels: Duels
    guilds: Guilds
    openings: Openings
    boards: Boards
    privacy: Privacy
    departures: Departures
    catalogue: Catalogue
    messages: StoryMessages
    closing: Closing
    confirmations: Confirmations
    screening: Screening
    bell: Bell

    @classmethod
    def of(
        cls,
        settings: Settings,
        database: Database,
        completions: Completions,
        channels: Channels,
        pace: Pace,
    ) -> Self:
        """Build everything from the ground up.

        Args:
            settings: The bot's.
            database: Open, and at the code's revision.
            completions: The servers that tell.
            channels: Discord's client, as far as messages are written through it.
            pace: Discord's limits.
        """
        sessions = database.sessions
        queue, stories = Queue(sessions, settings.queue), Stories(sessions)
        ratings, catalogue = Ratings(sessions), Catalogue(completions)
        guilds = Guilds(sessions)
        duels = Duels(sessions, votes=settings.duels.votes)
        messages = StoryMessages(
            channels,
            queue,
            stories,
            Artist(stories, ratings, duels, catalogue),
            settings.stories,
            pace,
        )
        return cls(
            settings=settings,
            queue=queue,
            stories=stories,
            ratings=ratings,
            duels=duels,
            guilds=guilds,
            openings=Openings(sessions),
            boards=Boards(sessions),
            privacy=Privacy(sessions),
            departures=Departures(sessions),
            catalogue=catalogue,
            messages=messages,
            closing=Closing(duels, stories, messages),
            confirmations=Confirmations(),
            screening=Screening(guilds),
            bell=Bell(),
        )

    async def teller(self, guild_id: int | None) -> str:
        """The model that tells in a server, or anywhere else, when a member chooses none."""
        chosen = guild_id and await self.guilds.model(guild_id)
        if not chosen:
            return await self.catalogue.default()
        try:
            return await self.catalogue.find(chosen)
        except UnknownModelError:
            # The host took it away; members who named nobody cannot know that it was ever there.
            return await self.catalogue.default()
        except GeneratorDownError:
            return chosen  # nobody knows yet, and the wish waits in any case

    def mood(self, name: str) -> str:
        """Give a mood's name as the host spells it.

        Raises:
            UnknownMoodError: There is none of that name.
        """
        wanted = name.strip().casefold()
        if wanted not in self.settings.moods:
            raise UnknownMoodError(name, tuple(self.settings.moods))
        return wanted

    async def limits(self, guild_id: int | None, role_ids: Collection[int] = ()) -> Limits:
        """What a member may ask for in a server, or anywhere else.

        Args:
            guild_id: The server; None: outside of every one.
            role_ids: The member's roles in it.
        """
        del guild_id, role_ids
        return Limits.of(self.settings.queue)

    async def ask(self, wishes: Sequence[Wish], role_ids: Collection[int] = ()) -> list[Story]:
        """Save the wishes of one interaction; from then on they are told, whatever happens.

        Args:
            wishes: One or several, told in one message.
            role_ids: The member's roles in the server.

        Raises:
            PromptRefusedError: A beginning is not fit to be told from.
            UnknownModelError: Nobody of that name can tell.
            QueueFullError: There is no room for them now.
        """
        await self._check(wishes)
        with suppress(GeneratorDownError):  # The wishes are kept until the generator is back.
            wishes = [replace(wish, model=await self.catalogue.find(wish.model)) for wish in wishes]
        limits = await self.limits(wishes[0].guild_id, role_ids)
        lasts = self.settings.duels.lasts
        return await self.queue.enqueue_together(wishes, limits, duel_lasts=lasts)

    async def _check(self, wishes: Sequence[Wish]) -> None:
        """Look at a member's words once more, with what takes time: the edge has seen the rest."""
        for prompt in {wish.prompt for wish in wishes if wish.prompt and not wish.house_opening}:
            check_fit(prompt, filter_of(await self.guilds.filter_words(wishes[0].guild_id)))
            if await objects_to(prompt):
                raise PromptRefusedError(Refusal.UNFIT)

    def understands(self, story: Story) -> bool:
        """Whether its teller knows the letters of its beginning, as far as anybody said."""
        only_english = self.catalogue.languages(story.model) == ("en",)
        return not (only_english and is_foreign_to_english(story.prompt))

    async def call_off(self, story: Story, *, moderator_id: int | None = None) -> Story | None:
        """Withdraw a story until its last word stands in the channel; None: it has ended.

        What is shown of it stays, and what was asked for with it is withdrawn too. A moderator who
        does it leaves a line in the audit trail.
        """
        stories = [story]
        if story.form is not Form.STORY:
            stories = await self.stories.together(story.interaction_id)
        ended = [await self._call_off(one, moderator_id) for one in stories]
        self.bell.ring()
        return next((one for one in ended if one is not None), None)

    async def _call_off(self, story: Story, moderator_id: int | None) -> Story | None:
        words, ended = self.messages.freeze(story), None
        try:
            ended = await self.queue.cancel(
                story.id, story.member_id, moderator_id=moderator_id, text=words
            )
        finally:
            if ended is None and words is not None:
                self.messages.thaw(story)
        return ended
