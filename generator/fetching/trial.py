"""Whether a new folder can be told from, and how fast: tried in a process of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from generator.engine.errors import EngineError
from generator.engine.registry import Registry
from generator.fetching.errors import FetchError
from generator.models.tokens import is_panic
from generator.sampling.requests import Request
from generator.sampling.settings import Sampling

if TYPE_CHECKING:
    from pathlib import Path

    from generator.config import EngineSettings

_PROMPT = "In the year 1990, a young"
_TOKENS = 64
_STAYS = "The folder stays: delete it, or mend it."


def try_out(folder: Path, settings: EngineSettings) -> str:
    """Load the model as the generator would and tell a story; what that took, in words.

    Raises:
        FetchError: it cannot be told, and why.
    """
    spawn = multiprocessing.get_context("spawn")  # its memory is free again when it ends
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        try:
            return process.submit(_told, folder, settings).result()
        except BrokenProcessPool as error:
            raise FetchError(
                f"{folder} cannot be told: reading it was ended from outside, most likely since it "
                "takes more memory than there is"
            ) from error


def _told(folder: Path, settings: EngineSettings) -> str:
    """Here already any error is made a sentence: not all of them travel between processes."""
    try:
        return asyncio.run(_tell(folder, settings))
    except EngineError as error:
        raise FetchError(f"{error} {_STAYS}") from error
    except BaseException as error:  # of its tokenizer, or of a step
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        raise FetchError(f"{folder} cannot be told: {reason}. {_STAYS}") from error


async def _tell(folder: Path, settings: EngineSettings) -> str:
    registry = Registry(settings.model_copy(update={"models": folder}))
    (name,) = registry.folders()
    begin = time.perf_counter()
    try:
        async with registry.borrow(name) as resident:
            loaded = resident.loaded
            seconds = time.perf_counter() - begin
            half = loaded.context // 2
            request = Request(
                prompt=tuple(loaded.tokens.backend.encode(_PROMPT).ids[:half]),
                sampling=Sampling(),
                seed=1,
                max_tokens=min(_TOKENS, half),
                min_tokens=min(_TOKENS, half),
            )
            came = [(time.perf_counter(), 0)]
            story = resident.engine.submit(request)
            came += [(time.perf_counter(), len(tokens)) async for tokens in story]
            speed = _speed(came)
            return (
                f"{resident.name} can be told: {speed:.0f} tokens/s for one story in "
                f"{loaded.precision} on {loaded.device}, {resident.engine.memory / 1e6:.0f} MB at "
                f"most with {settings.slots} slots, {loaded.context} tokens of prompt and story; "
                f"loaded in {seconds:.1f} s"
            )
    finally:
        await registry.close()


def _speed(came: list[tuple[float, int]]) -> float:
    """Tokens a second, of when how many came; the first entry is when the story was asked for.

    What came first is left out, as reading the prompt took its time; unless all came at once.
    """
    if len(came) == 1:
        raise ValueError("it says nothing")
    counted = came if len(came) == 2 else came[1:]  # noqa: PLR2004  # the asking and all at once
    return sum(tokens for _, tokens in counted[1:]) / (counted[-1][0] - counted[0][0])
