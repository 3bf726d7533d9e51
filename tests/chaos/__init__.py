"""Chaos: the bot in its own process among faults, and whether it kept its promises.

`make chaos`; docs/promises.md names the promises.
"""
