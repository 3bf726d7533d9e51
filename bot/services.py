"""What commands and buttons work with: the bot without Discord, handed over in one piece."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.database.boards import Boards
from bot.database.browsing import Browsing
from bot.database.departures import Departures
from bot.database.duels import Duels
from bot.database.figures import Figures
from bot.database.guilds import Guilds
from bot.database.limits import Limits
from bot.database.mutes import MutedError, Mutes
from bot.database.openings import Openings
from bot.database.privacy import Privacy
from bot.database.queue import Queue
from bot.database.ratings import Ratings
from bot.database.removals import Removals
from bot.database.reports import Reports
from bot.database.retention import Retention
from bot.database.stories import Stories
from bot.database.tables import Form, Length
from bot.database.trail import Trail
from bot.locales import language_of, say
from bot.messages.closing import Closing
from bot.messages.confirmations import Confirmations
from bot.messages.drawing import Artist
from bot.messages.presenter import StoryMessages
from bot.messages.settings_newest import NewestPages
from bot.messages.settings_page import Shown
from bot.months import Months
from bot.pictures import Pictures, Posted
from bot.ranking import Ranking
from bot.safety.beginnings import PromptRefusedError, Refusal, check_fit
from bot.safety.escaping import escaped
from bot.safety.own_words import filter_of
from bot.safety.scripts import is_foreign_to_english
from bot.safety.second_opinion import objects_to
from bot.watching import Watching
from bot.worker.bell import Bell
from bot.worker.catalogue import Catalogue, UnknownModelError
from bot.worker.completions import GeneratorDownError
from bot.worker.metrics import Metrics
from bot.worker.screening import Screening

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Self

    from bot.config import Settings
    from bot.database import Database
    from bot.database.guild_settings import GuildSettings
    from bot.database.tables import Story
    from bot.database.wishes import Wish
    from bot.messages.pacing import Pace
    from bot.messages.posting import Channels
    from bot.worker.completions import Completions

_log = logging.getLogger(__name__)


class NoStoriesHereError(Exception):
    """A server's moderators want stories in other channels."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__(f"stories are told in {channels}")
        self.channels = channels


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
    browsing: Browsing
    pictures: Pictures
    posted: Posted
    ranking: Ranking
    months: Months
    watching: Watching
    mutes: Mutes
    reports: Reports
    removals: Removals
    trail: Trail
    openings: Openings
    boards: Boards
    privacy: Privacy
    departures: Departures
    retention: Retention
    catalogue: Catalogue
    completions: Completions
    messages: StoryMessages
    closing: Closing
    confirmations: Confirmations
    newest_pages: NewestPages
    screening: Screening
    bell: Bell
    metrics: Metrics

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
        figures = Figures(sessions)
        ratings, catalogue = Ratings(sessions, settings.votes), Catalogue(completions)
        guilds, bell = Guilds(sessions), Bell()
        metrics = Metrics(str(settings.discord.shards or ""))
        metrics.listen(pace.trace)
        duels = Duels(sessions, votes=settings.duels.votes)
        messages = StoryMessages(
            channels,
            queue,
            stories,
            Artist(stories, ratings, duels, catalogue, bell),
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
            browsing=Browsing(sessions),
            pictures=Pictures(),
            posted=Posted(),
            ranking=Ranking(figures),
            months=Months(figures),
            watching=Watching(queue, completions),
            mutes=Mutes(sessions),
            reports=Reports(sessions),
            removals=Removals(sessions),
            trail=Trail(sessions),
            openings=Openings(sessions),
            boards=Boards(sessions),
            privacy=Privacy(sessions),
            departures=Departures(sessions),
            retention=Retention(sessions),
            catalogue=catalogue,
            completions=completions,
            messages=messages,
            closing=Closing(duels, stories, messages),
            confirmations=Confirmations(),
            newest_pages=NewestPages(),
            screening=Screening(guilds),
            bell=bell,
            metrics=metrics,
        )

    async def teller(self, guild_id: int | None, *places: int | None) -> str:
        """The model that tells when a member chooses none.

        Args:
            guild_id: The server; None: anywhere else.
            places: The thread and the channel, the narrowest first: each may have its own.
        """
        choices = guild_id and await self.guilds.choices(guild_id)
        chosen = choices and choices.model_of(places)
        if not chosen:
            return await self.catalogue.default()
        try:
            return await self.catalogue.find(chosen)
        except UnknownModelError:
            # The host took it away; members who named nobody cannot know that it was ever there.
            return await self.catalogue.default()
        except GeneratorDownError:
            return chosen  # nobody knows yet, and the wish waits in any case

    async def admit(
        self, guild_id: int | None, member_id: int, *places: int | None
    ) -> GuildSettings:
        """Let a member ask for a story in a place; gives what holds there.

        Args:
            guild_id: The server; None: anywhere else, where everybody may.
            member_id: Who asks.
            places: The thread and the channel.

        Raises:
            MutedError: The server's moderators have muted the member.
            NoStoriesHereError: They want stories elsewhere.
        """
        await self.heed_mute(guild_id, member_id)
        settings = await self.guilds.settings(guild_id)
        if guild_id is not None and not settings.is_story_place(*places):
            raise NoStoriesHereError(settings.story_channels)
        return settings

    async def heed_mute(self, guild_id: int | None, member_id: int) -> None:
        """Let only members be heard through us whom their server's moderators have not muted.

        Raises:
            MutedError: They have muted this one.
        """
        if guild_id is None:
            return
        if (until := await self.mutes.until(guild_id, member_id)) is not None:
            raise MutedError(until)

    async def shown_settings(self, guild_id: int, is_there: Callable[[int], bool]) -> Shown:
        """Give what a server's settings are drawn from; nothing waits for the generator here.

        Args:
            guild_id: The server.
            is_there: Whether a channel of it still exists.
        """
        self.catalogue.refresh()
        choices = await self.guilds.choices(guild_id)
        return Shown(
            settings=choices.settings,
            model=choices.model,
            models=self.catalogue.known,
            moods=tuple(self.settings.moods),
            host=self.settings.queue,
            is_there=is_there,
        )

    async def moods(self, guild_id: int | None) -> tuple[str, ...]:
        """Give the moods that members may choose in a server, or anywhere else."""
        settings = await self.guilds.settings(guild_id)
        allowed = tuple(mood for mood in self.settings.moods if settings.allows_mood(mood))
        # A host may have taken away all that a server had chosen.
        return allowed or tuple(self.settings.moods)

    async def language(self, guild_id: int, locale: object) -> str:
        """What is spoken in a server's channels: what it chose, else its language in Discord."""
        return language_of((await self.guilds.settings(guild_id)).language or str(locale))

    async def length(self, guild_id: int | None) -> Length:
        """How long a story is in a server, or anywhere else, where its member does not say it."""
        return (await self.guilds.settings(guild_id)).length or Length.SHORT

    async def said_of_teller(self, model: str | None) -> str:
        """What a server hears when its moderators chose a model, or none of their own any more."""
        teller = model or await self.catalogue.default()
        return say("model.used" if model else "model.unchosen", model=escaped(teller))

    async def mood(self, name: str, guild_id: int | None) -> str:
        """Give a mood's name as the host spells it.

        Raises:
            UnknownMoodError: Members of the server cannot choose it, if there is one.
        """
        wanted, moods = name.strip().casefold(), await self.moods(guild_id)
        if wanted not in moods:
            raise UnknownMoodError(name, moods)
        return wanted

    async def limits(self, guild_id: int | None, role_ids: Collection[int] = ()) -> Limits:
        """What a member may ask for in a server, or anywhere else; never more than the host lets.

        Args:
            guild_id: The server; None: outside of every one.
            role_ids: The member's roles in it.
        """
        host = Limits.of(self.settings.queue)
        settings = await self.guilds.settings(guild_id)
        return replace(
            host,
            per_member=min(settings.per_member or host.per_member, host.per_member),
            per_server=min(settings.per_server or host.per_server, host.per_server),
            cooldown=max(settings.cooldown, host.cooldown),
            daily=min(filter(None, (settings.quota_of(role_ids), host.daily)), default=0),
        )

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
        stories = await self.queue.enqueue_together(wishes, limits, duel_lasts=lasts)
        for story in stories:
            self.metrics.asked(story)
            _log.info("Story %d is asked for, by interaction %d", story.id, story.interaction_id)
        return stories

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

    async def remove(
        self, story: Story, *, moderator_id: int | None = None, reason: str = ""
    ) -> Story | None:
        """Take a story's words away for good and say so in its message; None: it was done before.

        Args:
            story: Any; while it waits or is told it is called off by this.
            moderator_id: The moderator who does it; None: the member who asked for it.
            reason: Why, in the moderator's words.
        """
        frozen, removed = self.messages.freeze(story), None
        try:
            removed = await self.removals.remove(story.id, moderator_id=moderator_id, reason=reason)
        finally:
            if removed is None and frozen is not None:
                self.messages.thaw(story)
        self.bell.ring()
        if removed is not None:
            await self.redraw_following([removed.id])
        return removed

    async def redraw_following(self, story_ids: Collection[int]) -> None:
        """Let the messages of what goes on from some stories no longer name what is gone."""
        for part in await self.stories.following(story_ids):
            self.messages.redraw(part, line_outdated=True)

    async def tidy(self) -> None:
        """Forget what is over and needed by nobody; to be called now and then."""
        await self.mutes.tidy()
        kept = self.settings.privacy
        while kept.keep_stories and await self.retention.forget_stories(kept.keep_stories):
            pass
        while kept.keep_trail and await self.retention.forget_trail(kept.keep_trail):
            pass
