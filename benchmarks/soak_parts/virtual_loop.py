"""An event loop whose time jumps to the next timer as soon as nobody has anything left to do.

The agent's own loop, threads and sockets are real; only waiting costs nothing. While a call is out
in a thread, time stands still.
"""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

from agent.worker import Worker

LEAST_SECONDS = 1e-6
"""Less than this the loop's own rounding could wait for, for ever."""
THREAD_SECONDS = 1.0
"""Real time: a thread that is done wakes the loop at once."""


class VirtualSelector(selectors.BaseSelector):
    """Looks what sockets have to say; else lets time pass."""

    def __init__(self, advance: Callable[[float], None], calls_out: Callable[[], int]) -> None:
        self._real = selectors.DefaultSelector()
        self._advance = advance
        self._calls_out = calls_out

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; nothing when time has passed."""
        events = self._real.select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self._calls_out() or timeout is None:
            return self._real.select(THREAD_SECONDS)
        self._advance(max(timeout, LEAST_SECONDS))
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.get_key(fileobj)

    def get_map(self) -> Any:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """Give it a function that is told the new time, in s from 0."""

    def __init__(self, passed: Callable[[float], None]) -> None:
        self._now = 0.0
        self._passed = passed
        self._out = 0
        super().__init__(VirtualSelector(self._advance, lambda: self._out))

    def time(self) -> float:
        return self._now

    def run_in_executor(self, executor: Any, function: Any, *arguments: Any) -> Any:
        return self.counted(super().run_in_executor(executor, function, *arguments))

    def counted(self, future: asyncio.Future[Any]) -> asyncio.Future[Any]:
        """Let time stand still until a thread's call is back."""
        self._out += 1
        future.add_done_callback(self._back)
        return future

    def _back(self, _: asyncio.Future[Any]) -> None:
        self._out -= 1

    def _advance(self, seconds: float) -> None:
        self._now += seconds
        self._passed(self._now)


def count_workers() -> None:
    """Have the agent's own threads stop the time, too, while they work."""
    submit = Worker.submit

    def counted(worker: Worker, function: Callable[[], Any]) -> asyncio.Future[Any]:
        future = submit(worker, function)
        loop = asyncio.get_running_loop()
        return loop.counted(future) if isinstance(loop, VirtualLoop) else future

    Worker.submit = counted  # type: ignore[assignment, method-assign]
