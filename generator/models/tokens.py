"""A model's tokenizer as the generator uses it: Rust's own, and which tokens are special."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Turns a text into its own tokens, no more and no fewer, and back."""

    backend: Tokenizer
    bos_id: int | None
    """The token that begins a text, if there is one."""
    eos_id: int | None
    """The token that the tokenizer says ends a text."""
    unk_id: int | None
    """The unknown word."""

    @property
    def controls(self) -> dict[int, str]:
        """The special tokens, as the tokenizer spells them: they are no text."""
        known = self.backend.get_added_tokens_decoder().items()
        return {token: added.content for token, added in known if added.special}


def plain(backend: Tokenizer) -> None:
    """Switches off what its file says and a prompt is not to get.

    `<|endoftext|>` in a prompt is its letters. Whoever calls transformers' tokenizer instead of
    this backend reads it as the token that it is in a corpus, and sets this back.
    """
    backend.no_padding()
    backend.no_truncation()
    backend.encode_special_tokens = True
    with suppress(Exception):  # one of whole words need not know these
        backend.encode("In the year")


def is_panic(error: BaseException) -> bool:
    """Whether a tokenizer broke down: what Rust calls a panic is no `Exception`.

    Its type cannot be imported, and can only be known by its name.
    """
    return type(error).__name__ == "PanicException"
