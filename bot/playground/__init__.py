"""A local stand-in for Discord, with a page that shows a channel: no account, no token."""

from bot.playground.errors import PlaygroundError
from bot.playground.server import Playground

__all__ = ["Playground", "PlaygroundError"]
