"""One telling as it is heard: what the model reads, and its words as they are shown."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.worker.completions import GeneratorFailedError
from bot.worker.recalling import recalled
from bot.worker.repetition import Repetition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.database.stories import Stories
    from bot.database.tables import Story
    from bot.worker.completions import Completions
    from bot.worker.presenter import Presenter
    from bot.worker.screening import Screening


class RepeatsItselfError(Exception):
    """A part goes round in circles."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a telling."""

    text: str
    tokens: int
    by_itself: bool
    """The model ended it, not its length."""


class Listener:
    """Lets a completions server tell, and shows what is fit word by word."""

    def __init__(
        self,
        stories: Stories,
        completions: Completions,
        screening: Screening,
        presenter: Presenter,
        *,
        memory: int,
    ) -> None:
        """`memory`: characters of a tale so far that its next part begins from."""
        self._stories = stories
        self._completions = completions
        self._screening = screening
        self._presenter = presenter
        self._memory = memory

    async def hear(self, story: Story, begun: Callable[[], None]) -> Told:
        """Hear a story to its end.

        Args:
            story: Claimed.
            begun: Called at its first word.

        Raises:
            RepeatsItselfError: It goes round in circles, and may be drawn anew.
            UnfitError: It is not fit to be shown.
            MessageGoneError: Nobody will read on.
            GeneratorFailedError: It was not told; so do its kin in `bot.worker.completions`.
        """
        *earlier, _ = await self._stories.thread(story)
        # A second time it may repeat what it likes: the tale goes on in any case.
        repetition = Repetition(_text_of(earlier)) if earlier and not story.redrawn else None
        prompt = story.prompt
        if earlier:  # what it has of a telling that broke off is no part of it
            prompt = recalled(_text_of(earlier), prompt.strip(), self._memory)
        text, tokens, is_taken, is_begun, last = "", 0, False, False, False
        async with (
            aclosing(self._completions.tell(story, prompt)) as told,
            aclosing(self._screening.screened(story, prompt, told)) as pieces,
        ):
            async for piece in pieces:
                if not is_taken:
                    # Whoever searches with beams says nothing for long, and tells all the same.
                    is_taken = True
                    self._presenter.began(story)
                if not is_begun and piece.text:
                    is_begun = True
                    begun()
                text += piece.text
                tokens, last = piece.tokens, piece.last
                if repetition is not None and repetition.feed(piece.text):
                    raise RepeatsItselfError
                if is_begun:
                    self._presenter.words(story, piece.text)
        if not text.strip():
            raise GeneratorFailedError("the model told nothing")
        if repetition is not None and repetition.end():
            raise RepeatsItselfError
        return Told(text, tokens, last)


def _text_of(parts: Sequence[Story]) -> str:
    """A tale so far."""
    return " ".join(filter(None, ((part.prompt + part.text).strip() for part in parts)))
