"""From a member's wish to its place in the queue: saved first, answered then."""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict, Unpack

import discord

from bot.answering import left_to_answer
from bot.apologies import think_aloud
from bot.database.wishes import Wish
from bot.locales import language_of, say, speaking
from bot.messages import introductions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.client import Kataribe
    from bot.database.guild_settings import GuildSettings
    from bot.database.tables import Form, Length, Story

_log = logging.getLogger(__name__)

SEEDS = 1_000_000
"""Seeds are drawn below this: enough stories for one beginning, and short enough to read."""


def places(interaction: discord.Interaction[Kataribe]) -> tuple[int | None, int | None]:
    """Where an interaction is: its channel or thread, and the channel that the thread is in."""
    return interaction.channel_id, getattr(interaction.channel, "parent_id", None)


class Chosen(TypedDict, total=False):
    """What of a wish may be left to its defaults; see the stories table."""

    form: Form
    nth: int
    seed: int
    mood: str | None
    length: Length
    private: bool
    parent_id: int | None


def wish_of(
    interaction: discord.Interaction[Kataribe],
    *,
    prompt: str,
    house_opening: bool,
    model: str,
    **chosen: Unpack[Chosen],
) -> Wish:
    """Give the wish for a story, of who asks by an interaction and where they do.

    Args:
        interaction: The command or the press of a button.
        prompt: The beginning, checked.
        house_opening: It is one of the house's own.
        model: Who shall tell, as a member may write it.
        chosen: What else the member chose; without a seed, one is drawn.
    """
    if interaction.channel_id is None:
        raise RuntimeError("an interaction outside of every channel")
    chosen.setdefault("seed", random.randrange(SEEDS))
    return Wish(
        interaction_id=interaction.id,
        guild_id=interaction.guild_id,
        channel_id=interaction.channel_id,
        thread_of=_thread_of(interaction.channel),
        member_id=interaction.user.id,
        prompt=prompt,
        house_opening=house_opening,
        model=model,
        language=_language(interaction, private=chosen.get("private", False)),
        answer_token=interaction.token,
        **chosen,
    )


def _thread_of(channel: object) -> int | None:
    """The channel of a public thread, whose readers are the thread's; None: it is none."""
    if not isinstance(channel, discord.Thread) or channel.is_private():
        return None
    return channel.parent_id


def _language(interaction: discord.Interaction[Kataribe], *, private: bool) -> str:
    """What the message is written in: the server's, or the member's own where no other reads it."""
    everybody = None if private else interaction.guild_locale
    return language_of(str(everybody or interaction.locale))


async def ask(
    interaction: discord.Interaction[Kataribe], *wishes: Wish, introduction: str | None = None
) -> None:
    """Put wishes into the queue and answer with the message in which they will be told.

    Args:
        interaction: The command or the press of a button; not answered yet.
        wishes: One or several, by `wish_of`.
        introduction: The text above the story, where Discord does not say who asked.

    Raises:
        UnknownModelError: Nobody of that name can tell.
        QueueFullError: There is no room for it now.
        MutedError: The server's moderators have muted the member.
        NoStoriesHereError: They want stories elsewhere.
    """
    services = interaction.client.services
    private = wishes[0].private
    with services.queue.rush.joined(), services.messages.answering(interaction.id):
        saving = asyncio.create_task(_save(interaction, wishes))
        try:
            stories = await asyncio.wait_for(asyncio.shield(saving), left_to_answer(interaction))
        except TimeoutError:
            # The database is busy, or it was the generator that took the time: the member sees
            # that the bot thinks, and nothing is lost.
            try:
                if private:
                    await interaction.response.defer(thinking=True, ephemeral=True)
                else:
                    await think_aloud(interaction)
            except Exception:  # noqa: BLE001  # the wish may stand by now
                _log.warning("A wish is being saved and not acknowledged", exc_info=True)
            stories = await saving
        try:
            with speaking(stories[0].language):
                await _answer(interaction, stories, introduction)
            if not all(map(services.understands, stories)):
                await interaction.followup.send(say("sorry.english_only"), ephemeral=True)
        except Exception:  # noqa: BLE001  # whatever it is, the wish stands
            # The wish is saved, and nothing that goes wrong now may tell the member to try again:
            # it is told in the message that may stand there, or in one of its own.
            _log.warning("The wish for story %d is not answered", stories[0].id, exc_info=True)
        finally:
            services.bell.ring()


async def _save(interaction: discord.Interaction[Kataribe], wishes: Sequence[Wish]) -> list[Story]:
    services = interaction.client.services
    settings = await services.admit(interaction.guild_id, interaction.user.id, *places(interaction))
    wanted = [_as_the_server_wants(wish, settings) for wish in wishes]
    return await services.ask(wanted, _roles(interaction))


def _as_the_server_wants(wish: Wish, settings: GuildSettings) -> Wish:
    """The wish in the server's look and language, and in no mood that it does not want."""
    if not wish.private:
        language = language_of(settings.language) if settings.language else wish.language
        wish = replace(wish, plain=settings.plain, language=language)
    return wish if settings.allows_mood(wish.mood) else replace(wish, mood=None)


def _roles(interaction: discord.Interaction[Kataribe]) -> list[int]:
    """The member's roles in the server where they asked."""
    member = interaction.user
    return [role.id for role in member.roles] if isinstance(member, discord.Member) else []


async def _answer(
    interaction: discord.Interaction[Kataribe], stories: Sequence[Story], introduction: str | None
) -> None:
    """Answer with the stories' message, and write down which it is."""
    services, first = interaction.client.services, stories[0]
    for story in stories:
        services.messages.answered(story, None, interaction.token)
    for story in stories:
        place = await services.queue.position(story.id)
        services.messages.answered(story, None, interaction.token, place)
    drawing = await services.messages.waits(stories)
    fields = drawing.fields
    if introduction is not None:
        chain = await services.stories.thread(first, depth=introductions.LOOKED_BACK)
        # In plain text the line is a part of every drawing.
        fields.setdefault("content", introductions.line(introduction, first, chain))
    if interaction.response.is_done():
        answer = await interaction.edit_original_response(**fields)
        message_id: int | None = answer.id
    else:
        callback = await interaction.response.send_message(**fields, ephemeral=first.private)
        message_id = callback.message_id
    if message_id is not None:
        services.messages.answered(first, message_id, interaction.token)
        await services.messages.note(first)
