"""Transactions that run to their end although the task that wants them is cancelled."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

R = TypeVar("R")


def unbroken(repository: type[R]) -> type[R]:
    """Keep cancellation out of every public coroutine method of a repository.

    A statement that is cancelled while SQLite's thread runs it keeps the write lock until the
    garbage collector finds it: every other transaction meets "database is locked". So a method
    ends, committed, before its caller is cancelled.
    """
    for name, method in vars(repository).items():
        if not name.startswith("_") and inspect.iscoroutinefunction(method):
            setattr(repository, name, _to_its_end(method))
    return repository


def _to_its_end(
    method: Callable[..., Coroutine[Any, Any, Any]],
) -> Callable[..., Coroutine[Any, Any, Any]]:
    @functools.wraps(method)
    async def whole(*args: Any, **kwargs: Any) -> Any:
        transaction = asyncio.create_task(method(*args, **kwargs))
        try:
            return await asyncio.shield(transaction)
        except asyncio.CancelledError:
            await asyncio.wait([transaction])
            transaction.exception()  # nobody is left to hear of it
            raise

    return whole
