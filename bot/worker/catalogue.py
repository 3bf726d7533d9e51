"""Which models there are, known without making a member wait."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bot.worker.completions import GeneratorDownError, GeneratorError
from bot.worker.completions_server import can_be_chosen
from bot.worker.generator_errors import GeneratorStartingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.worker.completions import Card, Completions

_log = logging.getLogger(__name__)

FRESH = 30.0
"""Seconds for which a list is taken as it is; an older one is served while a new one comes."""
PATIENCE = 1.5
"""Seconds to wait where nothing is known yet: Discord wants an answer within three, and the
database is asked after it."""

NAMED = 10
"""Models that a line of the log names."""


class UnknownModelError(Exception):
    """No model has that name."""

    def __init__(self, model: str, models: Sequence[str]) -> None:
        super().__init__(f"no model {model!r} among {', '.join(models)}")
        self.model = model
        self.models = models


class Catalogue:
    """The generator's models, asked for rarely and served at once, and the further servers'.

    Those are known from the settings: they can be chosen whatever becomes of the generator.
    """

    def __init__(self, completions: Completions) -> None:
        self._completions = completions
        self._served: tuple[str, ...] = ()
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._late: asyncio.Future[None] | None = None
        """The question that somebody lost patience with."""
        self._missed = False
        """The host was told that nobody has the default model."""
        self.unanswered = False
        """The generator did not answer when it was last asked."""

    @property
    def down(self) -> bool:
        """The generator tells nothing now: it did not answer, or nobody knows where it is."""
        return self.unanswered or self._completions.url is None

    async def models(self) -> tuple[str, ...]:
        """Their names, as the generator orders them, then the further servers'.

        Raises:
            GeneratorDownError: None is known, and the generator does not answer.
        """
        asking = self.refresh()
        if not self._served:
            try:
                # Once for each question: a command may look twice, and its member waits once.
                if asking is not self._late:
                    await asyncio.wait_for(asyncio.shield(asking), PATIENCE)
            except TimeoutError:
                self._late = asking
                self.unanswered = True
        if not (names := self._names()):
            raise GeneratorDownError("no list of models yet")
        return names

    @property
    def known(self) -> tuple[str, ...]:
        """Their names as far as they are known without asking anybody."""
        return self._names()

    async def find(self, name: str) -> str:
        """Give a model's name as its server spells it, however a member wrote it.

        Raises:
            UnknownModelError: There is none of that name.
            GeneratorDownError: It may be one of the generator's, which does not answer.
        """
        if not can_be_chosen(name.strip()):
            raise UnknownModelError(name.strip(), self.known)
        names = await self.models()
        if (found := _match(name, names)) is not None:
            return found
        if not self._served and self.down:
            raise GeneratorDownError("no list of models yet")
        raise UnknownModelError(name.strip(), names)

    async def default(self) -> str:
        """Give the host's choice, or the first that there is where nobody has that one."""
        chosen = self._completions.settings.model
        try:
            return await self.find(chosen)
        except UnknownModelError as error:
            return next(iter(error.models), chosen)
        except GeneratorDownError:
            return chosen  # nobody knows better yet, and the wish waits in any case

    def card(self, name: str) -> Card | None:
        """What the generator says of a model; None: it is a further server's, or not known yet."""
        return self._completions.card(name)

    def languages(self, model: str) -> tuple[str, ...]:
        """Give the languages that a model knows, as codes; none where its server does not say."""
        return self._completions.languages(model)

    def refresh(self) -> asyncio.Future[None]:
        """Ask again if what is known is old; the future ends when the answer is in."""
        if self._asking is not None and not self._asking.done():
            return self._asking
        now = asyncio.get_running_loop().time()
        if self._served and not self.down and now - self._asked_at < FRESH:
            known = asyncio.get_running_loop().create_future()
            known.set_result(None)
            return known
        self._asked_at = now
        self._asking = asyncio.create_task(self._ask(), name="catalogue")
        return self._asking

    async def _ask(self) -> None:
        try:
            self._served = tuple(await self._completions.served())
        except GeneratorError as error:
            if not self.unanswered:
                starts = isinstance(error, GeneratorStartingError)
                level = logging.INFO if starts else logging.WARNING
                _log.log(level, "The list of models did not come: %s", error)
            self.unanswered = True
        else:
            self.unanswered = False
            self._check_default()

    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._served, *self._completions.remote)))

    def _check_default(self) -> None:
        """Tell the host, once, when their choice can tell nothing."""
        chosen, names = self._completions.settings.model, self._names()
        missed = bool(names) and _match(chosen, names) is None
        if missed and not self._missed:
            _log.warning(
                "Nobody has [stories] model %r: %r tells instead. There are, among others: %s",
                chosen,
                names[0],
                ", ".join(names[:NAMED]),
            )
        self._missed = missed


def _match(name: str, names: Sequence[str]) -> str | None:
    """The name itself, or else the first that differs in case only."""
    wanted = name.strip()
    if wanted in names:
        return wanted
    folded = wanted.casefold()
    return next((name for name in names if name.casefold() == folded), None)
