"""What members press under a message; one file for each family."""

from __future__ import annotations

from bot.components.calling_off import CallOff
from bot.components.openings import Begin, Decide
from bot.components.privacy import Back, Delete, Export, Forget
from bot.components.rating import Rate
from bot.components.telling_on import Again, Continue

EVERY = (Rate, Again, Continue, CallOff, Export, Delete, Back, Forget, Begin, Decide)
"""What the client listens for, whether or not it has seen the message before."""
