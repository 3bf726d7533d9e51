"""What goes wrong with a database as a whole."""


class DatabaseError(Exception):
    """The database cannot be used; the message is one sentence for the host."""
