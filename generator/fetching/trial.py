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
from generator.sampling.requests import Request
from generator.sampling.settings import Sampling

if TYPE_CHECKING:
    from pathlib import Path

    from generator.config import EngineSettings

_PROMPT = "In the year 1990, a young"
_TOKENS = 64


def try_out(folder: Path, settings: EngineSettings) -> str:
    """Load the model as the generator would and tell a story; what that took, in words.

    Raises:
        FetchError: it cannot be told, and why.
    """
    spawn = multiprocessing.get_context("spawn")  # its memory is free again when it ends
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        try:
            return process.submit(_told, folder, settings).result()
        except EngineError as error:
            raise FetchError(f"{error} The folder stays: delete it, or mend it.") from error
        except BrokenProcessPool as error:
            raise FetchError(
                f"{folder} cannot be told: reading it was ended from outside, most likely since it "
                "takes more memory than there is"
            ) from error


def _told(folder: Path, settings: EngineSettings) -> str:
    return asyncio.run(_tell(folder, settings))


async def _tell(folder: Path, settings: EngineSettings) -> str:
    registry = Registry(settings.model_copy(update={"models": folder}))
    (name,) = registry.folders()
    begin = time.perf_counter()
    try:
        async with registry.borrow(name) as resident:
            loaded = resident.loaded
            seconds = time.perf_counter() - begin
            request = Request(
                prompt=tuple(loaded.tokens.backend.encode(_PROMPT).ids),
                sampling=Sampling(),
                seed=1,
                max_tokens=min(_TOKENS, loaded.context // 2),
                min_tokens=min(_TOKENS, loaded.context // 2),
            )
            times = [time.perf_counter() async for _ in resident.engine.submit(request)]
            speed = (len(times) - 1) / (times[-1] - times[0])
            return (
                f"{resident.name} can be told: {speed:.0f} tokens/s for one story in "
                f"{loaded.precision} on {loaded.device}, {resident.engine.memory / 1e6:.0f} MB at "
                f"most with {settings.slots} slots, {loaded.context} tokens of prompt and story; "
                f"loaded in {seconds:.1f} s"
            )
    finally:
        await registry.close()
