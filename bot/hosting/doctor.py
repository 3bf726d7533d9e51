"""`python -m bot doctor`: how every part is, and what to do for each that is not well."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from bot.database.connection import sqlite_file
from bot.database.lock import is_held
from bot.hosting.discord_side import discord_side
from bot.hosting.findings import State
from bot.hosting.machine import database, generator, versions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.config import Settings
    from bot.hosting.findings import Finding


def examine(settings: Settings, config: Path | None, *, as_json: bool) -> int:
    """Print what is found, as it is found; gives the exit status: 1 if something is ill.

    Args:
        settings: The bot's, which were valid.
        config: The file that our own generator reads its settings from, if not config.toml.
        as_json: Print one JSON object instead.
    """
    return asyncio.run(_print(settings, config, as_json=as_json))


async def _print(settings: Settings, config: Path | None, *, as_json: bool) -> int:
    found = []
    async for finding in _findings(settings, config):
        found.append(finding)
        if not as_json:
            print(finding.line(), flush=True)
    ill = sum(finding.state is State.ILL for finding in found)
    if as_json:
        print(json.dumps({"ill": ill, "findings": [finding.json() for finding in found]}))
    elif ill:
        print(f"{ill} to be mended", file=sys.stderr)
    return 1 if ill else 0


async def _findings(settings: Settings, config: Path | None) -> AsyncIterator[Finding]:
    for finding in versions():
        yield finding
    async for finding in database(settings):
        yield finding
    async for finding in discord_side(settings):
        yield finding
    file = sqlite_file(settings.database.url)
    runs = file is not None and is_held(file.resolve())
    async for finding in generator(settings, config, bot_runs=runs):
        yield finding
