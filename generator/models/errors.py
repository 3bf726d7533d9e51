"""What can be wrong with a model."""

from __future__ import annotations


class ModelFolderError(Exception):
    """The model cannot be loaded; its text is one sentence that says why."""
