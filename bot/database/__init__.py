"""The one truth: stories (the queue is their own rows), ratings, servers, audit.

A transaction that writes begins with its write. SQLite lets the second of two transactions
that read first and write later fail at once, however long its busy timeout is.
"""

from bot.database.connection import Database, open_database
from bot.database.errors import DatabaseError

__all__ = ["Database", "DatabaseError", "open_database"]
