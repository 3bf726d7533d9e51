"""What members press under a message; one file for each family."""

from __future__ import annotations

from bot.components.announcing import SayIt
from bot.components.browsing import OpenStory, TurnList
from bot.components.deleting import Delete, ReallyDelete
from bot.components.dueling import CloseDuel, ReadBlind, Vote
from bot.components.more import Details, More, Picture, Post, Read, TurnPage
from bot.components.openings import Begin, Decide
from bot.components.paging import OlderAsked, OlderTrail
from bot.components.privacy import Back, DeleteMine, Export, Forget
from bot.components.rating import Rate
from bot.components.reporting import KeepReported, NextReported, RemoveReported, Report
from bot.components.settings import SettingsControl
from bot.components.stopping import Stop
from bot.components.telling_on import (
    Again,
    AnotherTeller,
    Continue,
    MyTurn,
    Teller,
    Variations,
)
from bot.components.writing_again import WriteAgain

EVERY = (
    *(Rate, Again, AnotherTeller, Teller, Continue, MyTurn, Variations, Stop),
    *(Vote, CloseDuel, ReadBlind),
    *(More, Read, TurnPage, Details, Picture, Post),
    *(TurnList, OpenStory),
    *(Delete, ReallyDelete, Report, KeepReported, RemoveReported, NextReported),
    *(SayIt, SettingsControl, OlderTrail, OlderAsked),
    *(Begin, Decide, Export, DeleteMine, Back, Forget),
    WriteAgain,
)
"""What the client listens for, whether or not it has seen the message before."""
