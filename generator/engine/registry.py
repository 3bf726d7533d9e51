"""The models at hand: which folders there are, which are loaded, and what makes room for what."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import OrderedDict
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

import torch

from generator.engine.errors import (
    BrokenModelError,
    ClosedError,
    EngineError,
    ModelTooLargeError,
    NoRoomError,
    NoSuchModelError,
)
from generator.engine.loop import Engine
from generator.engine.resident import Resident
from generator.models.errors import ModelFolderError
from generator.models.gguf_file import has_gguf
from generator.models.loading import load_model
from generator.models.sizing import least_memory, on_disk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from generator.config import EngineSettings

log = logging.getLogger(__name__)
GIB = 1024**3
_SIGNS = ("config.json", "*.gguf")
"""What says that a folder holds a model; where its name begins with a dot, it is not whole yet."""
CLOSING = "The generator is closing; ask again when it is back."


class Registry:
    """Loads models when they are asked for, within a memory budget.

    The longest unused model that nobody has borrowed makes room for a newcomer. What a model takes
    is known exactly once it is read (`Engine.memory`); before its first time here only what it
    takes at least, so it may turn out to have no room after all. All of it is for the event loop;
    loading itself happens in a thread, one model at a time.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._budget = int(settings.memory * GIB) or _half_of_memory(settings.device)
        self._residents: OrderedDict[str, Resident] = OrderedDict()  # longest unused first
        self._draining: dict[Resident, asyncio.Task[None]] = {}
        self._sizes: dict[tuple[str, int], int] = {}  # bytes in memory, by name and bytes on disk
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._wanted: list[str] = []  # a name for each who waits to borrow it
        self._one_at_a_time = asyncio.Lock()
        self._closed = False

    @property
    def residents(self) -> Iterable[Resident]:
        """The loaded models."""
        return self._residents.values()

    def resident(self, name: str) -> Resident | None:
        """The model if it is loaded."""
        return self._residents.get(name)

    def folders(self) -> dict[str, Path]:
        """The model folders there are now, by name; a model folder itself counts as one."""
        place = self._settings.models
        if (place / "config.json").is_file():
            return {place.resolve().name: place}
        found = sorted({file.parent for kind in _SIGNS for file in place.glob(f"[!.]*/{kind}")})
        if not found and has_gguf(place):
            return {place.resolve().name: place}
        return {folder.name: folder for folder in found if _can_be_said(folder.name)}

    def folder(self, name: str) -> Path:
        """One of them.

        Raises:
            NoSuchModelError: there is none of this name.
        """
        folders = self.folders()
        if name not in folders:
            raise NoSuchModelError(
                f"There is no model {name[:64]!r} here; there are {', '.join(folders) or 'none'}."
            )
        return folders[name]

    async def load_all(self) -> None:
        """Load every model for which there is room; one that cannot be loaded is only logged."""
        for name in self.folders():
            try:
                await self.load(name, make_room=False)
            except NoRoomError:
                log.info("%s stays on disk until it is asked for: no room in memory", name)
            except EngineError as error:
                log.error("%s", error)  # noqa: TRY400  # the sentence says it

    @asynccontextmanager
    async def borrow(self, name: str) -> AsyncIterator[Resident]:
        """The model, loaded if it was not; it stays while it is borrowed.

        Raises:
            EngineError: there is no such model, it cannot be loaded, or there is no room for it.
        """
        self._wanted.append(name)  # or a model loaded next could close it before it is lent
        try:
            while (resident := self._residents.get(name)) is None:
                await self.load(name)
        finally:
            self._wanted.remove(name)
        self._residents.move_to_end(name)
        resident.lend()
        try:
            yield resident
        finally:
            resident.give_back()

    async def load(self, name: str, *, make_room: bool = True) -> None:
        """Load a model, or wait for the load that goes on already.

        Args:
            name: of its folder.
            make_room: whether unused models may be closed for it.

        Raises:
            EngineError: as in `borrow`.
        """
        if self._closed:
            raise ClosedError(CLOSING)
        if name in self._residents:
            return
        task = self._loads.get(name)
        if task is None:
            task = self._loads[name] = asyncio.create_task(
                self._load(name, make_room=make_room), name=f"load {name}"
            )
            task.add_done_callback(lambda _: self._loads.pop(name))
        try:
            # A caller who leaves does not end the load: others may wait for it.
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise ClosedError(CLOSING) from None
            raise

    async def unload(self, name: str) -> None:
        """Let the stories of a model end, then free its memory. Harmless if it is not loaded.

        Raises:
            NoSuchModelError: there is none of this name.
        """
        self.folder(name)
        if resident := self._residents.pop(name, None):
            task = asyncio.create_task(self._drain(resident), name=f"unload {name}")
            self._draining[resident] = task
            await asyncio.shield(task)

    async def idle(self) -> None:
        """Wait until no model is borrowed."""
        for resident in [*self.residents, *self._draining]:
            await resident.idle.wait()

    async def close(self) -> None:
        """Stop all engines; stories still being told end with `EngineError`."""
        self._closed = True
        for task in self._loads.values():
            task.cancel()
        for resident in [*self.residents, *self._draining]:
            await resident.close()
        self._residents.clear()

    async def _drain(self, resident: Resident) -> None:
        await resident.idle.wait()
        await resident.close()
        del self._draining[resident]

    async def _load(self, name: str, *, make_room: bool) -> None:
        async with self._one_at_a_time:
            folder = self.folder(name)
            try:
                await self._load_within_budget(name, folder, make_room)
            except EngineError:
                raise
            except Exception as error:
                # Whatever a folder holds or memory lacks, the other models go on telling.
                if not isinstance(error, ModelFolderError):
                    log.exception("the model %s cannot be loaded", name)
                reason = str(error).strip().partition("\n")[0] or type(error).__name__
                raise BrokenModelError(f"The model {name} cannot be loaded: {reason}.") from error

    async def _load_within_budget(self, name: str, folder: Path, make_room: bool) -> None:
        known = name, on_disk(folder)
        if (size := self._sizes.get(known)) is None:
            size = await asyncio.to_thread(self._least, folder)
        await self._make_room(name, size, make_room)
        log.info("loading %s …", name)
        start = time.perf_counter()
        resident = await asyncio.to_thread(self._read, name, folder)
        size = self._sizes[known] = resident.engine.memory
        try:
            await self._make_room(name, size, make_room)
        except EngineError:
            del resident  # or the error's traceback would keep it in memory
            raise
        await resident.open()
        self._residents[name] = resident
        log.info(
            "%s is loaded: %.0f MB at most on %s in %s, after %.1f s",
            name,
            size / 1e6,
            resident.loaded.device,
            resident.loaded.precision,
            time.perf_counter() - start,
        )

    def _least(self, folder: Path) -> int:
        """In a thread: the first to ask has the native step compiled."""
        settings = self._settings
        return least_memory(
            folder,
            device=settings.device,
            precision=settings.precision,
            slots=settings.slots,
            reach=settings.context,
        )

    def _read(self, name: str, folder: Path) -> Resident:
        """In a thread: from the folder to an engine that is ready to start."""
        settings = self._settings
        loaded = load_model(
            folder,
            device=settings.device,
            precision=settings.precision,
            reach=settings.context,
        )
        engine = Engine(
            loaded, slots=settings.slots, waiting=settings.waiting, threads=settings.threads
        )
        return Resident(name, loaded, engine)

    async def _make_room(self, name: str, size: int, make_room: bool) -> None:
        """Returns once so many bytes are free, for which it may close unused models.

        Raises:
            ModelTooLargeError: they are more than all that models may take.
            NoRoomError: no more can be freed now.
        """
        if size > self._budget:
            raise ModelTooLargeError(
                f"The model {name} takes {size / GIB:.2f} GiB, more than the "
                f"{self._budget / GIB:.2f} GiB that loaded models may take (engine.memory); with "
                "fewer engine.slots it takes less."
            )
        while self._occupied() + size > self._budget:
            unused = next((r for r in self.residents if self._is_unused(r)), None)
            if unused is None or not make_room:
                raise NoRoomError(
                    f"There is no room for the model {name} while the loaded ones are telling "
                    "stories; ask again in a moment."
                )
            log.info("%s makes room", unused.name)
            del self._residents[unused.name]
            await unused.close()

    def _is_unused(self, resident: Resident) -> bool:
        return resident.idle.is_set() and resident.name not in self._wanted

    def _occupied(self) -> int:
        return sum(r.engine.memory for r in [*self.residents, *self._draining])


@cache
def _can_be_said(name: str) -> bool:
    """Whether the name is a line of text; what is not is said once, as nobody could ask for it."""
    if not name.isprintable():  # nor are the bytes of one that is not UTF-8
        log.warning("the model folder %a is left out: its name is not text", name)
        return False
    return True


def _half_of_memory(device: str) -> int:
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_properties(0).total_memory // 2
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
