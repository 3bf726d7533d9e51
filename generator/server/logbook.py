"""The log probabilities of one choice's tokens, as its text is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.server.protocol import Logprobs
from generator.text.transcript import REPLACEMENT, Detokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from generator.engine.generation import Generation, Logprob
    from generator.server.prompts import EncodedPrompt


class Logbook:
    """Which tokens stand where in a text, and how likely each was."""

    def __init__(
        self, generation: Generation, tokenizer: Tokenizer, prompt: EncodedPrompt, *, echo: bool
    ) -> None:
        """Begins before the first token of the story, or with `echo` of its prompt."""
        self._tokenizer = tokenizer
        self._entries = generation.logprobs
        self._request = generation.request
        self._prompt = prompt.tokens if echo else ()
        self._before = len(prompt.tokens) - 1 if echo else 0  # entries that are the prompt's
        self._begin = len(prompt.text) if echo else 0
        self._detokenizer = Detokenizer(tokenizer, prompt.tokens)
        self._offset = self._begin
        self._shown = 0
        self._taken = 0
        self._next: int | None = None  # where the next token begins, once that is found out

    def take(self, text: str, *, told: int) -> Logprobs:
        """What has not been taken yet of the tokens that begin in the text so far.

        Args:
            text: what is new of it, the prompt's among it with `echo`.
            told: tokens of the story so far.
        """
        self._shown += len(text)
        page = Logprobs(top_logprobs=[] if self._request.logprobs else None)
        if self._prompt:
            self._copy_prompt(page)
            self._prompt = ()
        while self._taken < told:
            entry = self._entries[self._before + self._taken]
            if self._next is None:
                self._next, self._offset = _place(self._detokenizer, self._offset, entry.token)
            if self._next >= self._shown:
                break
            self._write(page, entry.token, self._next, entry)
            self._next = None
            self._taken += 1
        return page

    def _copy_prompt(self, page: Logprobs) -> None:
        detokenizer, offset = Detokenizer(self._tokenizer, ()), 0
        entries = [None, *self._entries[: self._before]]
        for token, entry in zip(self._prompt, entries, strict=True):
            begin, offset = _place(detokenizer, offset, token)
            self._write(page, token, min(begin, self._begin), entry)

    def _write(self, page: Logprobs, token: int, offset: int, entry: Logprob | None) -> None:
        page.tokens.append(self._spelt(token))
        page.text_offset.append(offset)
        page.token_logprobs.append(None if entry is None else entry.logprob)
        if page.top_logprobs is not None:
            page.top_logprobs.append(None if entry is None else self._top(entry))

    def _top(self, entry: Logprob) -> dict[str, float]:
        likeliest = {self._spelt(token): logprob for token, logprob in entry.likeliest}
        return likeliest | {self._spelt(entry.token): entry.logprob}

    def _spelt(self, token: int) -> str:
        """Its text; where that is none, or half a character, as the tokenizer calls it."""
        text = self._tokenizer.decode([token], skip_special_tokens=False)
        if text and REPLACEMENT not in text:
            return text
        return self._tokenizer.id_to_token(token) or f"token_id:{token}"


def _place(detokenizer: Detokenizer, offset: int, token: int) -> tuple[int, int]:
    """Where a token begins, and how far the text is known with it, in characters.

    A token inside a character begins where that does, if it is one and not a stray byte.
    """
    inside = detokenizer.finish()
    text = detokenizer.push([token])
    stray = len(inside) if text.startswith(inside) else 0
    return offset + stray, offset + len(text)
