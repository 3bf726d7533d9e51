"""Wherever one can write: posts of a forum, beside a voice channel, servers without the bot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
import pytest

from tests.bot.world import footer, page, reply, world

if TYPE_CHECKING:
    from pathlib import Path

    import simcord

    from tests.bot.world import World

TOLD = "**Zero** a fox found the moon."


async def post(w: World) -> simcord.ChannelHandle:
    """A post of a forum."""
    forum = w.env.guild.create_forum_channel("tales")
    known = w.client.get_channel(forum.id)
    assert isinstance(known, discord.ForumChannel)
    made = await known.create_thread(name="Tonight", content="Who begins?")
    return next(one for one in forum.threads if one.id == made.thread.id)


async def voice(w: World) -> simcord.ChannelHandle:
    """What is written beside a voice channel."""
    return w.env.guild.create_voice_channel("by the fire")


@pytest.mark.parametrize("place", [post, voice])
async def test_a_story_is_told_goes_on_is_rated_and_found_there(tmp_path: Path, place: Any) -> None:
    async with world(tmp_path) as w:
        channel = await place(w)
        message = await w.ready(await w.aki.slash(channel, "story", prompt="Zero"))
        assert (message.channel.id, page(message)) == (channel.id, TOLD)
        onward = await w.ready(await w.ben.click(message, label="Continue"))
        assert onward.channel.id == channel.id
        await w.ben.click(message, label="4 ★")
        await w.idle()
        listed = reply(await w.ben.slash(channel, "stories new"))
        assert "Zero" in page(listed)


async def test_a_member_takes_it_along_into_servers_that_do_not_have_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        emit = w.env.backend.emit

        def elsewhere(event: str, payload: Any, *given: Any, **named: Any) -> None:
            if event == "INTERACTION_CREATE":  # as Discord says it to an app of the member's own
                owner = {"authorizing_integration_owners": {"1": str(w.aki.id)}, "context": 0}
                channel = payload["channel"] | {"id": "71", "guild_id": "70"}
                payload |= owner | {"guild_id": "70", "channel_id": "71", "channel": channel}
            emit(event, payload, *given, **named)

        w.env.backend.emit = elsewhere  # type: ignore[method-assign]  # it knows no such server
        result = await w.aki.slash(w.channel, "story", prompt="Zero")
        message = await w.ready(result)
        assert page(message) == TOLD
        assert footer(message).startswith("gpt2-starter")
        await w.idle()
        sent = [one.path for one in w.env.http_requests if one.method in {"POST", "PATCH"}]
        assert not any(path.startswith("/channels/") for path in sent)
        story = await w.services.stories.get(1)
        assert story is not None
        assert (story.guild_id, story.channel_id, story.answer_token) == (70, 71, None)
