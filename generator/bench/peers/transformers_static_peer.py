"""transformers' `generate` on a GPU with a static cache, which it compiles; see its neighbour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.bench.peers import transformers_peer
from generator.bench.work import MissingPeerError
from generator.models.shapes import LSTM_KIND

if TYPE_CHECKING:
    from pathlib import Path

    from generator.models.loading import LoadedModel


def load(folder: Path, loaded: LoadedModel, _: Path) -> transformers_peer.Transformers:
    """See `rounds._peer`."""
    if loaded.config.model_type == LSTM_KIND:
        raise MissingPeerError("transformers has no LSTM; use forward")
    if loaded.device.type != "cuda":
        raise MissingPeerError("it is for a GPU")
    return transformers_peer.Transformers(folder, loaded, static=True)
