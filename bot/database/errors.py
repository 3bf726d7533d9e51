"""What goes wrong with a database, and whether it passes."""

from __future__ import annotations

import os
from errno import errorcode

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError


class DatabaseError(Exception):
    """The database cannot be used; the message is one sentence for the host."""


def passes(error: Exception) -> bool:
    """Whether another try may find the database well: it was away, locked, full, or too busy."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | InterfaceError | NoConnectionError | OSError)


def cause(error: Exception) -> str:
    """Say in one line what is wrong with the database."""
    said = getattr(error, "orig", None) or error
    if isinstance(said, OSError) and said.filename is None and (said.errno or 0) in errorcode:
        return os.strerror(said.errno or 0)  # asyncio's own words are an address as a tuple
    return " ".join(str(said).split()) or "no answer in time"
