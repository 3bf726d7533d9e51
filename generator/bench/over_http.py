"""Our engine as clients meet it: servers, and readers of their streams in a process beside them."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from typing import TYPE_CHECKING

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from generator.bench.work import MissingPeerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from generator.bench.work import Workload

_READY = b"generator ready on "


class Served:
    """Implements `Contestant` over a generator that runs already."""

    def __init__(self, name: str, model: str, address: str = "") -> None:
        """Keep where it is.

        Args:
            name: of the contestant.
            model: its name there.
            address: of the generator, without `/v1`.
        """
        self.name = name
        self._model = model
        self._address = address
        self._runner = asyncio.Runner()

    def tell(self, workload: Workload) -> float | None:
        """See `Contestant.tell`."""
        return statistics.median(self._runner.run(self._tell(workload)))

    def close(self) -> None:
        """See `Contestant.close`."""
        self._runner.close()

    async def _tell(self, workload: Workload) -> list[float]:
        """Seconds until each story's first words."""
        asked = workload.sampling.model_dump() | {
            "model": self._model,
            "max_tokens": workload.tokens,
            "min_tokens": workload.tokens,
            "finish_sentence": False,
            "stream": True,
        }

        async def one(seed: int, prompt: tuple[int, ...]) -> float:
            begin, first, last = time.perf_counter(), 0.0, b""
            body = asked | {"prompt": list(prompt), "seed": seed}
            async with session.post(f"{self._address}/v1/completions", json=body) as answer:
                answer.raise_for_status()
                async for piece in answer.content.iter_any():
                    first = first or time.perf_counter() - begin
                    last = (last + piece)[-64:]
            if b"[DONE]" not in last:
                raise ConnectionError(f"a stream broke off: {last!r}")
            return first

        connector, patience = TCPConnector(limit=0), ClientTimeout(total=None)
        async with ClientSession(connector=connector, timeout=patience) as session:
            return await asyncio.gather(*(one(*pair) for pair in enumerate(workload.prompts)))


class OverHTTP(Served):
    """Implements `Contestant` over a generator that is started for it."""

    def __init__(self, folder: Path, scratch: Path, settings: Mapping[str, object]) -> None:
        """Starts the server and waits until it is ready.

        Args:
            folder: of the model.
            scratch: where a folder of models may be made.
            settings: for `python -m generator serve`.

        Raises:
            MissingPeerError: it did not start, and has said why.
        """
        models = scratch / "served"
        models.mkdir()
        super().__init__("over http", folder.resolve().name)
        (models / self._model).symlink_to(folder.resolve())
        options = {"port": 0, "models": models, **settings}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._address = self._runner.run(self._start(words))

    async def _start(self, words: list[str]) -> str:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "generator", "serve", "--with-parent", *words),
            stdin=pipe,
            stdout=pipe,
        )
        assert self._process.stdout is not None  # noqa: S101  # it is a pipe
        line = await self._process.stdout.readline()
        if _READY not in line:
            await self._process.wait()
            raise MissingPeerError("its server did not start")
        return line.split(_READY)[1].split()[0].decode()

    def close(self) -> None:
        """See `Contestant.close`."""
        self._process.terminate()
        self._runner.run(self._process.wait())
        super().close()
