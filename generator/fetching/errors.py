"""What keeps a model from being fetched."""

from __future__ import annotations


class FetchError(Exception):
    """Its text is one sentence that says why, and what would help."""
