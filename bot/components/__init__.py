"""What members press under a message; one file for each family."""

from __future__ import annotations

from bot.components.dueling import CloseDuel, ReadBlind, Vote
from bot.components.openings import Begin, Decide
from bot.components.privacy import Back, Delete, Export, Forget
from bot.components.rating import Rate
from bot.components.stopping import Stop
from bot.components.telling_on import (
    Again,
    AnotherTeller,
    Continue,
    MyTurn,
    Teller,
    Variations,
)

EVERY = (
    Rate,
    Again,
    AnotherTeller,
    Teller,
    Continue,
    MyTurn,
    Variations,
    Stop,
    Export,
    Delete,
    Back,
    Forget,
    Begin,
    Decide,
    Vote,
    CloseDuel,
    ReadBlind,
)
"""What the client listens for, whether or not it has seen the message before."""
