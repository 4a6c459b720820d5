"""One request where several meters want the same document at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Shared:
    """Requests under way, by what they are for.

    A page with 48 outlets of a PDU is 48 meters on one schedule: it is read once for all of them.
    """

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what `ask` returns, or what one that was begun earlier for `key` will return.

        One who stops waiting stops nobody else.
        """
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.ensure_future(_as_coroutine(ask))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        result: T = await asyncio.shield(task)
        return result

    def close(self) -> None:
        """End what is under way."""
        for task in self._under_way.values():
            task.cancel()

    def _finished(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # nobody may have waited for it to the end


async def _as_coroutine(ask: Callable[[], Awaitable[T]]) -> T:
    return await ask()
