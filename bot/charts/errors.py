"""What goes wrong with pictures; apart from what draws them, so that nobody has to load that."""


class NoLettersError(Exception):
    """No font here has the letters of what is to be drawn."""
