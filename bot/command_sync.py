"""Discord's list of our commands, kept up to date: it takes few changes a day."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
from discord.http import Route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discord import app_commands

_log = logging.getLogger(__name__)

SYNC_WITHIN = 30.0
"""Seconds after which the bot goes on without: a limit on changes can hold one up for hours."""
_COMPARED = frozenset({
    "name", "description", "name_localizations", "description_localizations", "options", "choices",
    "required", "autocomplete", "value", "min_value", "max_value", "min_length", "max_length",
    "channel_types", "default_member_permissions", "contexts", "integration_types", "nsfw",
})  # fmt: skip
"""Fields of a command that we decide; Discord adds its own, and leaves defaults out."""


async def sync(tree: app_commands.CommandTree[Any]) -> dict[str, int]:
    """Tell Discord about the commands where they changed; a refusal is a warning.

    Members then go on with the commands that Discord knows, and the next start tries again.
    Gives the commands' ids by their names, by which they can be mentioned; none after a refusal.
    """
    try:
        async with asyncio.timeout(SYNC_WITHIN):
            ours = await _ours(tree)
            known = await _known(tree.client)
            if _by_name(known) == _by_name(ours):
                _log.info("Discord already knows the commands")
                return {command["name"]: int(command["id"]) for command in known}
            # `tree.sync` would translate everything once more.
            assert tree.client.application_id is not None  # noqa: S101  # login has set it
            told = await tree.client.http.bulk_upsert_global_commands(
                tree.client.application_id, payload=ours
            )
            _log.info("Told Discord about %d commands", len(ours))
            return {command["name"]: int(command["id"]) for command in told}
    except (
        discord.HTTPException,
        aiohttp.ClientError,
        OSError,
    ) as error:
        _log.warning("Discord did not take the commands, the old ones stay: %s", repr(error))
        return {}


async def _ours(tree: app_commands.CommandTree[Any]) -> list[dict[str, Any]]:
    """The commands as `tree.sync` would send them."""
    if (translator := tree.translator) is None:
        return [command.to_dict(tree) for command in tree.get_commands()]
    return [
        await command.get_translated_payload(tree, translator) for command in tree.get_commands()
    ]


async def _known(client: discord.Client) -> list[dict[str, Any]]:
    """What Discord has; discord.py's own call leaves the translations out."""
    route = Route(
        "GET", "/applications/{application_id}/commands", application_id=client.application_id
    )
    known: list[dict[str, Any]] = await client.http.request(
        route, params={"with_localizations": "true"}
    )
    return known


def _by_name(commands: Sequence[Any]) -> dict[str, Any]:
    """Commands in comparable form, as Discord or discord.py writes them, in any order."""
    return {command["name"]: _essence(command) for command in commands}


def _essence(value: Any) -> Any:
    """What we decide of a command, without what Discord adds or either side leaves out."""
    if isinstance(value, dict):
        kept = {
            # A translation's keys are languages, all of them ours.
            key: value[key] if key.endswith("_localizations") else _essence(value[key])
            for key in _COMPARED & value.keys()
        }
        if permissions := value.get("default_member_permissions"):
            kept["default_member_permissions"] = str(permissions)
        # 1 is what an absent type means, for a command as for a subcommand.
        kept["type"] = value.get("type", 1)
        return {k: v for k, v in kept.items() if v is not False and v not in (None, "", [], {})}
    if isinstance(value, list):
        if all(isinstance(item, dict) for item in value):
            return [_essence(item) for item in value]
        return sorted(value)
    return value
