"""The rules of every slot's story, as both samplers read them: a row a slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from generator.sampling.settings import Sampling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from generator.sampling.requests import Request

_KINDS: dict[object, type[np.generic]] = {float: np.float32, int: np.int32, bool: np.int32}
_IN_C = {"f4": "float", "i4": "int32_t", "u8": "uint64_t"}

ROW = np.dtype(
    [
        *((name, _KINDS[field.annotation]) for name, field in Sampling.model_fields.items()),
        ("min_length", np.int32),  # of prompt and story; below it the end token is not drawn
        ("prompt_length", np.int32),
        ("new_word_at", np.int32),  # length at which a new word has to begin; -1: nowhere
        ("seed", np.uint64),
    ],
    align=True,
)
"""One story's rules, laid out as a C++ compiler lays out the same members."""


def layout() -> str:
    """The members of a row as native/sampling.h has to declare them."""
    fields = ((name, ROW[name].str[1:]) for name in ROW.names or ())
    return "".join(f"{_IN_C[kind]} {name};" for name, kind in fields)


class Rules:
    """The rules of so many slots; a slot's are set by `put` before they are read."""

    def __init__(self, slots: int) -> None:
        self.rows: NDArray[np.void] = np.zeros(slots, ROW)
        """(slots,) of `ROW`."""

    def put(self, slot: int, request: Request) -> None:
        """The slot now tells this request."""
        length = len(request.prompt)
        self.rows[slot] = (
            *(getattr(request.sampling, name) for name in Sampling.model_fields),
            length + request.min_tokens,
            length,
            length if request.begin_word else -1,
            request.seed,
        )
