"""Which files of a model are taken: its settings, its tokenizer and one set of weights."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from generator.fetching.errors import FetchError

if TYPE_CHECKING:
    from pathlib import Path

    from generator.fetching.hub import HubFile, Listing

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
_WEIGHTS = "model.safetensors"
_BESIDE = (
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
_WRITTEN = re.compile(r".+\.(?:safetensors|gguf|[0-9a-f]{12}\.part)")
_PARTS = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
_BITS = re.compile(r"(?:^|[-._])(?:I?Q(\d)|(BF16|F16|FP16)|(F32|FP32))(?=[-._])", re.IGNORECASE)
_MOST_BITS = 8


def settings_of(listing: Listing) -> list[HubFile]:
    """What is read before any weights: none of a GGUF, which says all itself."""
    names = (CONFIG, INDEX, *_BESIDE)
    return [listing.files[name] for name in names if name in listing.files]


def has_safetensors(listing: Listing) -> bool:
    """Whether its weights can be had so."""
    return _WEIGHTS in listing.files or INDEX in listing.files


def is_ours(name: str) -> bool:
    """Whether a file of that name may be of a fetch, though perhaps of another revision's."""
    return name in {CONFIG, INDEX, *_BESIDE} or _WRITTEN.fullmatch(name) is not None


def weights_of(listing: Listing, index: Path) -> list[HubFile]:
    """Its safetensors: one file, or those that the index (fetched already) names.

    Raises:
        FetchError: the index is damaged, or names what is not there.
    """
    if _WEIGHTS in listing.files:
        return [listing.files[_WEIGHTS]]
    try:
        named = set(json.loads(index.read_bytes())["weight_map"].values())
        if named and all(name.endswith(".safetensors") for name in named):
            return [listing.files[name] for name in sorted(named)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass
    raise FetchError(f"{INDEX} does not say where the weights are")


def gguf_of(listing: Listing, name: str, wanted: str | None) -> HubFile:
    """The file that is wanted; else the one in 8 bits, or the nearest below.

    Raises:
        FetchError: there is none, or no telling which.
    """
    # Not .GGUF: whoever reads the folder looks for small letters.
    files = {file: kept for file, kept in listing.files.items() if file.endswith(".gguf")}
    if wanted is not None:
        if wanted not in files:
            raise FetchError(
                f"{name} has no GGUF file {wanted!r}; it has {', '.join(sorted(files)) or 'none'}"
            )
        if _PARTS.search(wanted):
            raise FetchError(f"{wanted} is one of several parts, which are not put together here")
        return files[wanted]
    whole = {file: kept for file, kept in files.items() if not _PARTS.search(file)}
    if not files:
        raise FetchError(
            f"{name} has neither safetensors nor GGUF: weights of other kinds can hold code, and "
            "are not taken"
        )
    if not whole:
        raise FetchError(f"{name} has its GGUF files in parts, which are not put together here")
    if len(whole) == 1:
        return next(iter(whole.values()))
    fitting = [
        (bits, kept.size, file)
        for file, kept in whole.items()
        if (bits := bits_of(file)) is not None
    ]
    fitting = [one for one in fitting if one[0] <= _MOST_BITS]
    if not fitting:
        raise FetchError(
            f"{name} has several GGUF files; say --file, of {', '.join(sorted(whole))}"
        )
    return whole[max(fitting)[2]]


def bits_of(file: str) -> int | None:
    """Bits of a weight, as the file's name says it by custom (`…-Q4_K_M.gguf`)."""
    said = _BITS.search(file)
    if said is None:
        return None
    return int(said[1]) if said[1] else 16 if said[2] else 32
