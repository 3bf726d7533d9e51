"""From a story's tokens to the text that may be shown, piece by piece, never taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generator.text.sentences import last_whole_word, last_word_before_space, sentence_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Detokenizer:
    """Tokens to text, a few at a time, without half characters.

    Only a short window of tokens is ever decoded, so a token costs the same at the end of a long
    story as at its beginning. The window starts with the end of the prompt, because some decoders
    write a token differently at the start of a text.

    In a byte-level vocabulary a token may end inside a character. Decoding shows an unfinished
    UTF-8 sequence as one U+FFFD at the very end (Unicode 16, section 3.9, "substitution of
    maximal subparts"), so exactly that one is held until the next token completes it.
    """

    _CONTEXT = 8  # tokens; more than the 3 an unfinished character can take
    _LONGEST = 32  # tokens in the window before it is cut back to its context

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._window = list(prompt[-self._CONTEXT :])
        # Half a character at the prompt's end is the prompt's: the story begins after it.
        self._given = len(self._decoded())

    def push(self, tokens: Sequence[int]) -> str:
        """The text that `tokens` completes; empty while they are inside a character."""
        self._window += tokens
        text = self._decoded()
        finished = len(text) - text.endswith(REPLACEMENT)
        new = text[self._given : finished]
        self._given = max(self._given, finished)
        if len(self._window) > self._LONGEST:
            pending = len(text) - self._given
            self._window = self._window[-self._CONTEXT :]
            self._given = len(self._decoded()) - pending
        return new

    def finish(self) -> str:
        """What is left: an unfinished character, shown as U+FFFD, or nothing."""
        return self._decoded()[self._given :]

    def _decoded(self) -> str:
        return self._tokenizer.decode(self._window, skip_special_tokens=True)


class StopStrings:
    """Finds stop strings in a stream; text that may be the beginning of one is held back."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.found = False

    @property
    def any(self) -> bool:
        """Whether there is one to be found."""
        return bool(self._stops)

    def push(self, text: str) -> str:
        """The part of the text so far that is surely before any stop string."""
        text = self._held + text
        # The first to be complete wins, as if characters came one by one, so that the story does
        # not depend on how the stream happened to be cut.
        hits = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if hits:
            self.found = True
            self._held = ""
            return text[: min(hits)[1]]
        held = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def finish(self) -> str:
        """What was held back: no stop string came of it."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` are the beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)


class Transcript:
    """The text of one story as far as it may be shown.

    In the last stretch of the budget, which few sentences are longer than, text is shown sentence
    by sentence. So when the budget runs out the story ends with a sentence, or, if none ended in
    the stretch, with a whole word. A budget within the stretch is shown word by word until a first
    sentence has ended. A story that ends by itself is shown whole.

    Where the stream was cut makes no difference: the same tokens give the same text.
    """

    _STRETCH = 96  # tokens
    _CONTEXT = 80  # characters already shown that tell whether a sentence has ended

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompt: Sequence[int],
        *,
        budget: int,
        stops: Sequence[str] = (),
        finish_sentence: bool = True,
    ) -> None:
        """Prepare for the story that follows `prompt` (token ids) in at most `budget` tokens."""
        self._detokenizer = Detokenizer(tokenizer, prompt)
        self._stops = StopStrings(stops)
        stretch = min(self._STRETCH, budget) if finish_sentence else 0
        self._free = budget - stretch
        self._by_sentence = stretch > 0
        self._by_word = stretch == budget  # nothing to end the story with yet
        self._shown = ""
        self._held = ""
        self.tokens = 0
        """Tokens taken in so far."""

    @property
    def stopped(self) -> bool:
        """A stop string was found: the story is over, whatever the model goes on to say."""
        return self._stops.found

    def push(self, tokens: Sequence[int]) -> str:
        """Take in new tokens; returns the text that may now be shown, often empty."""
        if self._stops.any:  # one by one, so that none is counted after a stop string
            return "".join(self._push([token]) for token in tokens)
        return self._push(tokens)

    def _push(self, tokens: Sequence[int]) -> str:
        if self.stopped:
            return ""
        free = max(0, self._free - self.tokens)
        self.tokens += len(tokens)
        shown = self._read(tokens[:free]) if free else ""
        self._shown = (self._shown + shown)[-self._CONTEXT :]
        if len(tokens) > free and not self.stopped:
            self._held += self._read(tokens[free:])
            shown += self._release(complete=False)
        return shown

    def finish(self, *, cut_off: bool) -> str:
        """The story is over; returns the last text to show.

        Args:
            cut_off: by its budget, not by the model itself.
        """
        if not self.stopped:
            self._held += self._stops.push(self._detokenizer.finish())
        if not self.stopped:
            self._held += self._stops.finish()
        if cut_off and not self.stopped and self._by_sentence:
            return self._release(complete=True)
        return self._held

    def _read(self, tokens: Sequence[int]) -> str:
        return self._stops.push(self._detokenizer.push(tokens))

    def _release(self, *, complete: bool) -> str:
        """Show the held text up to the end of its last sentence, or of its last whole word."""
        sentence = sentence_end(self._shown + self._held, complete=complete)
        self._by_word = self._by_word and not sentence
        end = max(0, sentence - len(self._shown))
        if self._by_word and not complete:
            end = last_word_before_space(self._held)
        elif complete and sentence < max(1, len(self._shown.rstrip())):
            end = last_whole_word(self._held)  # mid-sentence already when the stretch began
        released, self._held = self._held[:end], self._held[end:]
        self._shown = (self._shown + released)[-self._CONTEXT :]
        return released
