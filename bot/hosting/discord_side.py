"""The doctor's look at Discord: the token, what it may do in each server, and the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
import discord

from bot.hosting.findings import ill, note, well
from bot.invitation import NEEDED, invitation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bot.config import Settings
    from bot.hosting.findings import Finding

_PORTAL = "https://discord.com/developers/applications"
_WITHIN = aiohttp.ClientTimeout(total=10)
_PAGE = 200
"""Servers of one answer."""
_SLOW = 5.0
"""Seconds that the clock may be off: Discord wants an answer within three of its own."""
_FEW_STARTS = 20
_NAMED = 5
"""Servers that are named."""
_NOT_DISCORDS = (
    *(aiohttp.ClientError, OSError),
    # What answers with JSON of another kind: a proxy, or a wrong address.
    *(ValueError, LookupError, TypeError, AttributeError),
)


async def discord_side(settings: Settings) -> AsyncIterator[Finding]:
    """Whether Discord lets us in, and what we may do there."""
    if settings.token is None:
        yield note(
            "discord",
            "DISCORD_TOKEN is not set: the bot opens its playground",
            "README's “On your Discord server” says how to get one",
        )
        return
    key = {"Authorization": f"Bot {settings.token.get_secret_value()}"}
    try:
        async with aiohttp.ClientSession(headers=key, timeout=_WITHIN) as http:
            async for finding in _answers(settings.discord.api_url, http):
                yield finding
    except _NOT_DISCORDS as error:
        said = " ".join(str(error).split()) or type(error).__name__
        yield ill(
            "discord",
            f"{settings.discord.api_url} does not answer as Discord does: {said}",
            "look at the network, a proxy, or [discord] api_url",
        )


async def _answers(api: str, http: aiohttp.ClientSession) -> AsyncIterator[Finding]:
    async with http.get(f"{api}/users/@me") as answer:
        if answer.status == HTTPStatus.UNAUTHORIZED:
            yield ill(
                "token",
                "Discord refuses it",
                f"copy it again from the application's Bot page, {_PORTAL}",
            )
            return
        answer.raise_for_status()
        me, clock = await answer.json(), answer.headers.get("Date")
    yield well("token", f"Discord knows it as {me['username']}")
    if clock:
        yield _clock(clock)
    application = await _get(http, f"{api}/applications/@me")
    yield _intents(int(application.get("flags") or 0))
    yield _starts(await _get(http, f"{api}/gateway/bot"))
    commands = await _get(http, f"{api}/applications/{application['id']}/commands")
    if commands:
        yield well("commands", f"Discord knows {len(commands)}")
    else:
        yield note("commands", "Discord knows none yet: the first start tells it")
    async for finding in _servers(api, http, int(application["id"])):
        yield finding


async def _get(http: aiohttp.ClientSession, url: str) -> Any:
    async with http.get(url) as answer:
        answer.raise_for_status()
        return await answer.json()


def _clock(date: str) -> Finding:
    off = (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    said = f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} Discord's"
    if abs(off) > _SLOW:
        return ill("clock", said, "let the system keep the time (timedatectl set-ntp true)")
    return well("clock", said)


def _intents(flags: int) -> Finding:
    known = discord.ApplicationFlags._from_value(flags)  # noqa: SLF001  # it has no public way
    asked = [name for name, on in known if on and name.startswith("gateway_")]
    if asked:
        return note(
            "intents", "privileged ones are on, and none is needed", f"turn them off at {_PORTAL}"
        )
    return well("intents", "none is privileged, and none is needed")


def _starts(gateway: Mapping[str, Any]) -> Finding:
    left = int(gateway["session_start_limit"]["remaining"])
    shards = int(gateway["shards"])
    said = f"{shards} shard{'s'[: shards > 1]}; {left} more connections today"
    if left < _FEW_STARTS:
        return ill("gateway", said, "find out why the bot starts so often; Discord counts each")
    return well("gateway", said)


async def _servers(
    api: str, http: aiohttp.ClientSession, application: int
) -> AsyncIterator[Finding]:
    after, count, lacking = 0, 0, []
    while True:
        url = f"{api}/users/@me/guilds?limit={_PAGE}&after={after}"
        page = await _get(http, url)
        for guild in page:
            after, count = max(after, int(guild["id"])), count + 1
            if missing := _missing(int(guild["permissions"])):
                lacking.append(f"{guild['name']} ({missing})")
        if len(page) < _PAGE:
            break
    if not count:
        yield note("servers", "the bot is in none", f"invite it: {invitation(application)}")
        return
    if not lacking:
        yield well("servers", f"{count}, and in each it may do what it needs")
        return
    more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
    yield ill(
        "servers",
        f"in {len(lacking)} of {count} something is missing: {'; '.join(lacking[:_NAMED])}{more}",
        "give its role these permissions there; a channel may take them away again",
    )


def _missing(value: int) -> str:
    has = discord.Permissions(value)
    if has.administrator:
        return ""
    return ", ".join(
        name.replace("_", " ") for name, needed in NEEDED if needed and not getattr(has, name)
    )
