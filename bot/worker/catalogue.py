"""Which models there are, known without making a member wait."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bot.worker.completions import GeneratorDownError, GeneratorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.worker.completions import Completions

_log = logging.getLogger(__name__)

FRESH = 30.0
"""Seconds for which a list is taken as it is; an older one is served while a new one comes."""
PATIENCE = 2.0
"""Seconds to wait where nothing is known yet: Discord wants an answer within three."""


class UnknownModelError(Exception):
    """No model has that name."""

    def __init__(self, model: str, models: Sequence[str]) -> None:
        super().__init__(f"no model {model!r} among {', '.join(models)}")
        self.model = model
        self.models = models


class Catalogue:
    """The generator's list of models, asked for rarely and served at once."""

    def __init__(self, completions: Completions) -> None:
        self._completions = completions
        self._models: tuple[str, ...] = ()
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._late: asyncio.Future[None] | None = None
        """The question that somebody lost patience with."""
        self.down = False
        """The generator did not answer when it was last asked."""

    async def models(self) -> tuple[str, ...]:
        """Their names, as the generator orders them.

        Raises:
            GeneratorDownError: None is known, and the generator does not answer.
        """
        asking = self.refresh()
        if not self._models:
            try:
                # Once for each question: a command may look twice, and its member waits once.
                if asking is not self._late:
                    await asyncio.wait_for(asyncio.shield(asking), PATIENCE)
            except TimeoutError:
                self._late = asking
                self.down = True
            if not self._models:
                raise GeneratorDownError("no list of models yet")
        return self._models

    async def check(self, model: str) -> None:
        """Make sure that there is such a model.

        Raises:
            UnknownModelError: There is none of that name.
            GeneratorDownError: None is known, and the generator does not answer.
        """
        models = await self.models()
        if model not in models:
            raise UnknownModelError(model, models)

    def refresh(self) -> asyncio.Future[None]:
        """Ask again if what is known is old; the future ends when the answer is in."""
        if self._asking is not None and not self._asking.done():
            return self._asking
        now = asyncio.get_running_loop().time()
        if self._models and not self.down and now - self._asked_at < FRESH:
            known = asyncio.get_running_loop().create_future()
            known.set_result(None)
            return known
        self._asked_at = now
        self._asking = asyncio.create_task(self._ask(), name="catalogue")
        return self._asking

    async def _ask(self) -> None:
        try:
            self._models = tuple(await self._completions.models())
            self.down = False
        except GeneratorError as error:
            self.down = True
            _log.warning("The list of models did not come: %s", error)
