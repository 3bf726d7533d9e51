"""The log on standard error: a line an event, for people or, as JSON, for programs."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import discord
import structlog

if TYPE_CHECKING:
    from bot.config import Log


def open_log(settings: Log) -> None:
    """Write one line for each event to standard error; libraries only speak of trouble.

    At DEBUG they say more, but for those that would write down every statement and every request,
    and with them what members wrote and the tokens that answer them.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_for_programs() if settings.format == "json" else _FOR_PEOPLE)
    logging.basicConfig(level=settings.level, handlers=[handler])
    debugging = settings.level == "DEBUG"
    for library in ("aiosqlite", "discord"):
        logging.getLogger(library).setLevel(logging.INFO if debugging else logging.WARNING)
    if not debugging:
        for library in ("aiohttp", "alembic", "asyncio", "sqlalchemy"):
            logging.getLogger(library).setLevel(logging.WARNING)
    # A storyteller that writes needs no voice: discord.py would warn about it at each start.
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False


_FOR_PEOPLE = logging.Formatter(
    "%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%H:%M:%S"
)


def _for_programs() -> logging.Formatter:
    """One object a line; what the task works on, a story or an interaction, is named in it."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
